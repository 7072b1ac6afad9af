import json
from pathlib import Path

import pytest

from driftline.demo.plan import Plan
from driftline.demo.report import Result, checks, document, readable, story
from driftline.demo.traffic import Latency
from driftline.demo.watch import StoredRows, Window
from driftline.demo.webhook import Received
from records.status import AgreementStatus, Counts
from records.verdict import DriftState

BEGAN, DRIFT_BEGAN = 1_000.0, 1_030.0
ALERT = Received(DRIFT_BEGAN + 2.5, "ModelDataDrift", "tumour", ("mean area", "worst area"), "The inputs of tumour drifted")


def window(index, evidence=0.4, *, alert=False):
    return Window(index, 1_000, DriftState.FIRING if alert else DriftState.OK, alert, evidence, 4_320.0)


SHADOW = ALERT._replace(name="ShadowDiverging", features=())
RESULT = Result(
    plan=Plan(requests=30_000, rate_per_second=500.0, window_rows=1_000, drift_at=15_000),
    sent=30_000,
    failed=0,
    failures=(),
    latency_added=Latency(0.2, 0.6),
    began_at_seconds=BEGAN,
    drift_began_at_seconds=DRIFT_BEGAN,
    counts=Counts(captured=59_990, stored=59_990, dropped={}, pending=0),
    stored=StoredRows(served=30_000, served_requests=30_000, shadow=29_990),
    challenger_answered=29_990,
    agreement=AgreementStatus(route="default", arm="shadow-1", model="fraud", compared=29_990, agreed=27_890),
    windows=(*(window(index) for index in range(16)), window(16, 12_300.0, alert=True), window(17, 1e15)),
    alerts=(SHADOW, ALERT),
    exit_code=0,
    directory=Path("/tmp/driftline-demo-x"),
)


def broken(result):
    return [check.claim for check in checks(result) if not check.holds]


def test_a_run_in_which_everything_holds_breaks_no_check():
    assert broken(RESULT) == []


@pytest.mark.parametrize(
    ("change", "claim"),
    [
        ({"failed": 1, "failures": ("request 7: status 502",)}, "every request was answered as the service answers it"),
        ({"counts": Counts(captured=59_990, stored=59_989, dropped={}, pending=0)}, "captured = stored + dropped + pending"),
        ({"counts": Counts(captured=59_991, stored=59_991, dropped={}, pending=0)}, "captured is what the clients sent and the challenger answered"),
        ({"counts": Counts(captured=59_990, stored=59_980, dropped={"spool_full": 10}, pending=0)}, "nothing was dropped or is pending"),
        ({"counts": Counts(captured=59_990, stored=59_980, dropped={}, pending=10)}, "nothing was dropped or is pending"),
        ({"stored": StoredRows(29_999, 29_999, 29_990)}, "the store holds each request of the clients once"),
        ({"stored": StoredRows(30_000, 29_999, 29_990)}, "the store holds each request of the clients once"),
        ({"stored": StoredRows(30_000, 30_000, 29_989)}, "the store holds each answer of the challenger once"),
        ({"agreement": None}, "the challenger's answers were compared"),
        ({"alerts": (ALERT,)}, "the challenger was said to differ"),
        ({"alerts": (SHADOW,)}, "the drift was found"),
        ({"alerts": (ALERT._replace(at_seconds=DRIFT_BEGAN - 1), ALERT)}, "no alert was false"),
        ({"alerts": (ALERT, ALERT._replace(name="ExchangesDropped"))}, "no alert was false"),
        ({"alerts": (ALERT._replace(features=("mean area",)),)}, "the alert names what drifted and nothing else"),
        ({"alerts": (ALERT._replace(features=("mean area", "worst area", "mean radius")),)}, "the alert names what drifted and nothing else"),
        ({"exit_code": 1}, "driftline up ended with exit code 0"),
    ],
)
def test_each_fault_breaks_the_check_that_is_about_it(change, claim):
    assert claim in broken(RESULT._replace(**change))


def test_a_failed_check_says_what_was_found_instead():
    (check,) = [check for check in checks(RESULT._replace(failed=1, failures=("request 7: status 502",))) if not check.holds]
    assert check.found == "1 failed; request 7: status 502"


def test_the_features_of_the_alert_may_come_in_any_order():
    assert broken(RESULT._replace(alerts=(SHADOW, ALERT._replace(features=("worst area", "mean area"))))) == []


def test_the_document_holds_the_measured_numbers_and_nothing_else():
    assert document(RESULT) == {
        "requests": 30_000,
        "failed": 0,
        "captured": 59_990,
        "stored": 59_990,
        "dropped": 0,
        "pending": 0,
        "false_alerts": 0,
        "alert_delay_seconds": 2.5,
        "alert_features": ["mean area", "worst area"],
        "shadow": {"compared": 29_990, "agreement_ratio": 27_890 / 29_990},
        "latency_added_ms": {"p50": 0.2, "p99": 0.6},
    }


def test_the_document_of_a_run_without_an_alert_or_a_reply_is_json_all_the_same():
    text = json.dumps(document(RESULT._replace(alerts=(), latency_added=None, agreement=None)), allow_nan=False)
    assert json.loads(text)["alert_delay_seconds"] is None


def test_the_story_has_five_lines_with_the_numbers():
    told = dict(story(RESULT))
    assert len(told) == 5
    assert told["What drifted"] == "After 30 s an instrument began to read mean area and worst area 15% too high; nothing else changed."
    assert told["When found"].startswith("2.5 s later, in the 2nd drifted window (1,000 rows a window)")
    assert "evidence 12,300" in told["When found"]
    assert "1 per 30 days asks for 4,320" in told["When found"]
    assert told["False alarms"] == "None, in 15 windows of unchanged traffic before the drift."
    assert "--data-dir /tmp/driftline-demo-x/data" in told["Where to look"]


def test_the_story_of_a_run_that_found_nothing_says_so():
    told = dict(story(RESULT._replace(alerts=(), windows=())))
    assert told["When found"] == "It was not found."
    assert told["What was alerted"] == "Nothing."


@pytest.mark.parametrize(("evidence", "shown"), [(0.54, "0.5"), (12_345.6, "12,346"), (8.46e14, "over 10¹⁴"), (1e15, "over 10¹⁵")])
def test_evidence_is_shown_by_its_magnitude(evidence, shown):
    assert readable(evidence) == shown
