"""What an exchange is as spans, and which exchanges are worth it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from config.settings import TraceSettings
from config.units import Share
from records.exchange import Body, ErrorKind, Exchange, Role
from records.ids import new_exchange_id
from records.payload import Decoded, Failed, Tensor, Undecodable
from traces.exemplars import KEPT_AT_MOST, Exemplars
from traces.sampling import Sampling, failed
from traces.spans import spans_of, trace_id_of

UNREAD = Failed("", Undecodable.UNKNOWN_FORMAT)
SERVED = Exchange(
    exchange_id=new_exchange_id(10**18),
    request_id="r-1",
    role=Role.SERVED,
    route="fraud",
    arm="upstream",
    started_at_ns=10**18,
    method="POST",
    path="/v2/models/fraud/infer?key=secret",
    queue_ns=1_000,
    connect_ns=0,
    first_byte_ns=5_000,
    total_ns=9_000,
    status=200,
    client="10.0.0.9",
    trace_id="0af7651916cd43dd8448eb211c80319c",
    span_id="b7ad6b7169203331",
    request=Body(b"{}"),
    response=Body(b"[1]"),
)


def test_what_was_served_is_a_span_of_the_caller_with_the_upstreams_part_in_it() -> None:
    server, client = spans_of(SERVED, UNREAD, "fraud", "3")
    assert (server.trace_id, server.parent_id) == (0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331)
    assert (server.name, server.is_server, server.started_at_ns, server.ended_at_ns) == ("POST fraud", True, 10**18, 10**18 + 9_000)
    assert (client.trace_id, client.parent_id) == (server.trace_id, server.span_id)
    assert (client.name, client.is_server, client.started_at_ns, client.first_byte_at_ns) == ("POST", False, 10**18 + 1_000, 10**18 + 5_000)
    assert server.attributes["http.response.status_code"] == 200
    assert server.attributes["driftline.version"] == "3"
    assert (server.error, client.error) == ("", "")


def test_queries_of_paths_stay_out_of_spans() -> None:
    assert all("secret" not in str(span) for span in spans_of(SERVED, UNREAD, "fraud", ""))


def test_a_shadows_span_has_the_served_one_for_its_parent_though_it_only_knows_its_own_record() -> None:
    shadow = replace(SERVED, role=Role.SHADOW, arm="candidate", status=500)
    (span,) = spans_of(shadow, UNREAD, "fraud", "4")
    server, upstream = spans_of(SERVED, UNREAD, "fraud", "3")
    assert span.parent_id == server.span_id
    assert span.span_id not in {server.span_id, upstream.span_id}
    assert span.error == "500"


def test_without_a_callers_trace_the_exchange_begins_one() -> None:
    alone = replace(SERVED, trace_id="", span_id="")
    server, client = spans_of(alone, UNREAD, "fraud", "")
    assert server.parent_id == 0
    assert server.trace_id == client.trace_id == int.from_bytes(SERVED.exchange_id)


def test_what_never_had_a_connection_has_no_part_of_an_upstream() -> None:
    (server,) = spans_of(replace(SERVED, queue_ns=-1, first_byte_ns=-1, status=504, error=ErrorKind.CONNECT_TIMEOUT), UNREAD, "fraud", "")
    assert server.error == "connect_timeout"


def test_a_status_of_the_clients_fault_is_an_error_of_the_client_span_alone() -> None:
    server, client = spans_of(replace(SERVED, status=404), UNREAD, "fraud", "")
    assert (server.error, client.error) == ("", "404")


def test_tokens_of_language_models_have_the_conventions_names() -> None:
    reply = Decoded("openai", [Tensor("prompt_tokens", "INT64", (1,), [12]), Tensor("completion_tokens", "INT64", (1,), [34])], model="tiny")
    _, client = spans_of(replace(SERVED, path="/v1/chat/completions"), reply, "tiny", "")
    assert {name: value for name, value in client.attributes.items() if name.startswith("gen_ai.")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.response.model": "tiny",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 34,
    }


@given(st.integers(0, 2**128 - 1))
def test_nothing_is_kept_of_a_share_of_nothing_and_everything_of_the_whole(trace_id: int) -> None:
    assert not Sampling(TraceSettings(sample=Share(0))).keeps(SERVED, trace_id)
    assert Sampling(TraceSettings(sample=Share(1))).keeps(SERVED, trace_id)


def test_the_share_is_kept_of_our_own_trace_ids_too() -> None:
    sampling = Sampling(TraceSettings(sample=Share(0.25)))
    kept = sum(sampling.keeps(SERVED, int.from_bytes(new_exchange_id())) for _ in range(4_000))
    assert 0.2 < kept / 4_000 < 0.3


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"status": 503}, True),
        ({"error": ErrorKind.UPSTREAM_CLOSED}, True),
        ({"error": ErrorKind.CLIENT_LEFT}, False),
        ({"status": 404}, False),
        ({}, False),
    ],
)
def test_failures_are_kept_whatever_the_share_unless_they_are_the_clients(changes: dict[str, object], kept: bool) -> None:
    exchange = replace(SERVED, **changes)
    assert failed(exchange) is kept
    assert Sampling(TraceSettings(sample=Share(0))).keeps(exchange, trace_id_of(exchange)) is kept
    assert not Sampling(TraceSettings(sample=Share(0), failures=False)).keeps(exchange, trace_id_of(exchange))


def test_each_bucket_remembers_the_latest_trace_of_such_a_duration() -> None:
    exemplars = Exemplars()
    for total_ns, trace_id in ((4_000_000, 1), (20_000_000, 2), (3_000_000, 3), (60_000_000_000, 4), (-1, 5)):
        exemplars.add(replace(SERVED, total_ns=total_ns), "fraud-model", "7", trace_id)
    latest = {"0.005": 3, "0.025": 2, "+Inf": 4}
    assert {key[1:]: int(traced.trace_id, 16) for key, traced in exemplars.latest.items()} == {
        **{("fraud", "upstream", "served", bound): trace_id for bound, trace_id in latest.items()},
        **{("fraud", "fraud-model", "7", "upstream", "served", bound): trace_id for bound, trace_id in latest.items()},
    }


def test_traces_of_ever_new_models_are_bounded() -> None:
    exemplars = Exemplars()
    for number in range(KEPT_AT_MOST + 10):
        exemplars.add(SERVED, f"m{number}", "", number + 1)
    assert len(exemplars.latest) == KEPT_AT_MOST
    assert any(key[2] == f"m{KEPT_AT_MOST + 9}" for key in exemplars.latest)
    assert not any(key[2] == "m0" for key in exemplars.latest)
