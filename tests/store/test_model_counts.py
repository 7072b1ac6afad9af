"""Requests, errors and durations by model and version."""

from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from records.exchange import ErrorKind, Exchange, Role
from records.metrics import Metric
from store.model_counts import COUNTED_AT_MOST, OTHER, ModelCount, add_exchanges, samples_of_models

HOUR_NS = 3_600_000_000_000


def exchange(number: int = 0, *, role: Role = Role.SERVED, status: int = 200, error: ErrorKind = ErrorKind.NONE, total_ns: int = 3_000_000) -> Exchange:
    arm = "upstream" if role is Role.SERVED else "candidate"
    return Exchange(bytes(16), "r", role, "fraud", arm, number, "POST", "/", total_ns=total_ns, status=status, error=error)


Stored = tuple[Exchange, str, str]
SOME = st.tuples(
    st.builds(
        exchange,
        st.integers(0, 9),
        role=st.sampled_from(Role),
        status=st.sampled_from((0, 200, 503)),
        error=st.sampled_from((ErrorKind.NONE, ErrorKind.UPSTREAM_CLOSED)),
        total_ns=st.integers(-1, 20_000_000_000),
    ),
    st.sampled_from(("fraud", "churn")),
    st.sampled_from(("", "1", "2")),
)


def total(counts: Sequence[ModelCount]) -> int:
    return sum(sum(count.codes.values()) for count in counts)


@given(st.lists(st.lists(SOME, max_size=8), max_size=4))
def test_batches_add_up_to_what_one_would_count_and_survive_a_file(batches: list[list[Stored]]) -> None:
    counts: tuple[ModelCount, ...] = ()
    for batch in batches:
        counts = msgspec.msgpack.decode(msgspec.msgpack.encode(add_exchanges(counts, batch)), type=tuple[ModelCount, ...])
    together = [row for batch in batches for row in batch]
    assert counts == add_exchanges((), together)
    assert total(counts) == len(together)
    assert sum(sum(count.errors.values()) for count in counts) == sum(row[0].error is not ErrorKind.NONE for row in together)
    assert sum(sum(count.durations) for count in counts) == sum(row[0].total_ns >= 0 for row in together)
    assert sum(count.sum_ns for count in counts) == sum(max(row[0].total_ns, 0) for row in together)


def test_what_was_given_stays_as_it_is() -> None:
    before = add_exchanges((), [(exchange(), "fraud", "1")])
    add_exchanges(before, [(exchange(), "fraud", "1")])
    assert total(before) == 1


def test_the_page_shows_routes_models_versions_arms_and_roles() -> None:
    rows = [
        (exchange(total_ns=5_000_000), "fraud", "1"),
        (exchange(status=502, error=ErrorKind.BAD_REPLY), "fraud", "1"),
        (exchange(role=Role.SHADOW), "fraud", "2"),
    ]
    samples = samples_of_models(add_exchanges((), rows))
    served, shadow = ("fraud", "fraud", "1", "upstream", "served"), ("fraud", "fraud", "2", "candidate", "shadow")
    assert {name[1:]: value for name, value in samples.items() if name[0] == Metric.MODEL_REQUESTS.metric_name} == {
        (*served, "200"): 1,
        (*served, "502"): 1,
        (*shadow, "200"): 1,
    }
    assert samples[Metric.MODEL_REQUEST_ERRORS.metric_name, *served, "bad_reply"] == 1
    assert samples["driftline_model_request_duration_seconds_bucket", *served, "0.005"] == 2, "a bound belongs to its own bucket"
    assert samples["driftline_model_request_duration_seconds_sum_ns", *served] == 8_000_000


def test_names_beyond_the_bound_are_counted_together_and_nothing_is_lost() -> None:
    rows = [(exchange(number), f"model-{number}", "") for number in range(COUNTED_AT_MOST + 50)]
    counts = add_exchanges((), rows)
    assert len(counts) == COUNTED_AT_MOST + 1
    assert {count.of.model for count in counts} >= {"model-0", OTHER}
    assert total(counts) == len(rows)


def test_a_name_that_was_idle_for_long_makes_room() -> None:
    counts = add_exchanges((), [(exchange(number), f"model-{number}", "") for number in range(COUNTED_AT_MOST)])
    counts = add_exchanges(counts, [(exchange(2 * HOUR_NS), "new", "")])
    names = {count.of.model for count in counts}
    assert len(counts) == COUNTED_AT_MOST
    assert "new" in names
    assert "model-0" not in names
