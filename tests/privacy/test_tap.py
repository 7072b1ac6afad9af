import pytest

from config.redaction import Action, Capture, Place
from config.secrets import Secret
from config.settings import PrivacySettings, RedactionSettings, RouteSettings
from config.units import Share
from privacy.policy import Policy
from privacy.tap import PrivateTap, private
from records.exchange import Body, ErrorKind, Redaction
from records.metrics import Metric
from records.outcome import Outcome

from .making import PlainCounters, RememberingTap, body, exchange

RULES = (RedactionSettings(at=Place.parse("$.a")), RedactionSettings(at=Place.parse("?token"), do=Action.MASK))


def private_tap(**settings) -> tuple[PrivateTap, RememberingTap, PlainCounters]:
    tap, counters = RememberingTap(), PlainCounters()
    made = private(tap, [RouteSettings(upstream=(), **settings)], PrivacySettings(), counters)
    assert isinstance(made, PrivateTap)
    return made, tap, counters


def test_where_no_route_asks_for_anything_there_is_no_other_tap() -> None:
    tap = RememberingTap()
    assert private(tap, [RouteSettings(upstream=())], PrivacySettings(), PlainCounters()) is tap


def test_what_is_kept_is_handed_on_with_its_sequence_and_its_outcome() -> None:
    made, tap, _ = private_tap(redact=RULES)
    assert made.append(exchange(body(b'{"a":"s","b":1}'))) == 1
    made.amend(1, Outcome(bytes(16), ErrorKind.CLIENT_LEFT, 5))
    assert tap.exchanges[0].request.content == b'{"b":1}'
    assert [sequence for sequence, _ in tap.outcomes] == [1]


def test_what_is_left_out_is_counted_and_has_no_sequence() -> None:
    for settings, reason in [({"capture": Capture.OFF}, "off"), ({"sample": Share(0)}, "sampled")]:
        made, tap, counters = private_tap(**settings)
        assert made.append(exchange()) == 0
        assert tap.exchanges == []
        assert counters[Metric.NOT_CAPTURED.metric_name, "default", reason] == 1


def test_an_exchange_can_be_left_out_before_there_is_a_record_of_it_and_is_counted_once() -> None:
    for settings, reason in [({"capture": Capture.OFF}, "off"), ({"sample": Share(0)}, "sampled")]:
        made, _, counters = private_tap(**settings)
        assert made.leaves_out("default", bytes(16))
        assert not made.leaves_out("other", bytes(16))
        assert counters[Metric.NOT_CAPTURED.metric_name, "default", reason] == 1
    made, _, counters = private_tap(redact=RULES)
    assert not made.leaves_out("default", bytes(16))


def test_bodies_that_are_not_kept_are_counted() -> None:
    made, _, counters = private_tap(redact=RULES)
    made.append(exchange(body(b"no json"), body(b"{}", encoding="gzip")))
    assert counters[Metric.BODIES_NOT_KEPT.metric_name, "default", "unreadable"] == 1
    assert counters[Metric.BODIES_NOT_KEPT.metric_name, "default", "encoded"] == 1


def test_of_a_request_that_no_route_took_only_the_path_is_kept() -> None:
    made, tap, _ = private_tap(redact=RULES)
    made.append(exchange(route="", path="/typo?token=s3cr3t", request_id="s3cr3t"))
    made.append(exchange(route="", path="/typo"))
    assert [(record.path, record.request_id) for record in tap.exchanges] == [("/typo?***", ""), ("/typo", "")]


def test_where_only_bodies_are_redacted_a_request_that_no_route_took_is_kept_as_it_is() -> None:
    made, tap, _ = private_tap(redact=RULES[:1])
    made.append(exchange(route="", path="/typo?a=1"))
    assert (tap.exchanges[0].path, tap.exchanges[0].request_id) == ("/typo?a=1", "r")


def test_bodies_that_no_route_took_are_not_kept_where_any_route_has_rules_for_bodies() -> None:
    made, tap, _ = private_tap(redact=RULES[:1])
    made.append(exchange(body(b'{"b":1}'), body(b'{"b":1}'), route=""))
    assert [(each.request.content, each.response.content) for each in tap.exchanges] == [(b"", b"")]
    made, tap, _ = private_tap(capture=Capture.HEADS)
    made.append(exchange(body(b'{"b":1}'), route=""))
    assert tap.exchanges[0].request.content == b'{"b":1}'


def test_another_route_is_left_alone() -> None:
    made, tap, _ = private_tap(redact=RULES)
    record = exchange(body(b"x"), route="other", path="/p?token=x")
    made.append(record)
    assert tap.exchanges == [record]


def test_a_fault_of_ours_keeps_nothing_and_raises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Faulty(Policy):
        def kept(self, exchange):
            raise RuntimeError("s3cr3t")

    tap = RememberingTap()
    route = RouteSettings(upstream=(), redact=RULES)
    made = PrivateTap(tap, {"default": Faulty(route, None)}, PlainCounters())
    assert made.append(exchange(body(b"s3cr3t"), body(b"s3cr3t"), path="/p?a=s3cr3t", request_id="s3cr3t")) == 1
    (kept,) = tap.exchanges
    assert (kept.request, kept.path, kept.request_id) == (Body(b"", 6, content_type="application/json", redaction=Redaction.NOT_KEPT), "/p?***", "")
    assert "s3cr3t" not in caplog.text
    assert "RuntimeError" in caplog.text


def test_a_key_that_cannot_be_read_stops_the_start(tmp_path) -> None:
    with pytest.raises(ValueError, match="the key a cannot be read"):
        private(RememberingTap(), [], PrivacySettings(hash_keys=(Secret("a", file=str(tmp_path / "absent")),)), PlainCounters())
