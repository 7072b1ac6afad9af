from __future__ import annotations

import json
import math

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from records.alert import Alert, AlertState, Severity
from records.baseline import Baseline, CategoricalBaseline, NumericBaseline
from records.comparison import ClassPair, Disagreement, Latency, PairOutcome, ScoreDifference, ShadowComparison
from records.ports import StoreUnavailableError
from records.verdict import DriftState, FeatureVerdict, Finding, Problem, TestResult, Verdict, VerdictKind
from records.window import CategoricalSummary, NumericSummary, VectorSummary, WindowSummary
from store.clickhouse.migrate import NewerStoreError
from store.clickhouse.queries import StoreQueries
from store.clickhouse.results import ResultWriter
from store.clickhouse.rows import results, row
from tests.store.clickhouse.parts import STARTED_AT_NS

DRIFT, RISK = VerdictKind.DATA_DRIFT, VerdictKind.RISK


def make_verdict(index=0, **changes):
    feature = FeatureVerdict(
        feature='wörst "area"\n',
        tests={"ks": TestResult(statistic=0.1 + 0.2, p_value=5e-324, effect=1.7976931348623157e308)},
        log_evidence=-math.inf,
        share=1 / 3,
        effect_above_floor=True,
        summary="mean 14.1 → 16.3",
    )
    fields = {"model": "fraud", "version": "", "baseline_id": "b1", "opened_at_ns": STARTED_AT_NS + 1, "closed_at_ns": STARTED_AT_NS + 10 + index}
    fields |= {"rows": 1000, "state": DriftState.FIRING, "alert": True, "evidence": 1e15, "threshold": math.inf, "features": (feature,)}
    fields |= {"quality": (Finding(feature="b", problem=Problem.STALE, rows=7, text='it\'s "stale"'),)}
    return Verdict(index=index, **(fields | changes))


def make_window(index=0):
    numeric = NumericSummary(counts=(0, 2**63, 5), missing=1, type_changes=8, out_of_range=9, total=-0.1, total_squares=math.inf, minimum=None, maximum=1e-310)
    levels = CategoricalSummary(counts=(1, 2), unseen=3, missing=4, type_changes=5, new_values={'n"\\': 2})
    return WindowSummary(
        model="fraud",
        version="2",
        baseline_id="b1",
        index=index,
        opened_at_ns=STARTED_AT_NS,
        closed_at_ns=STARTED_AT_NS + index,
        rows=7,
        late_rows=2,
        features={"a": numeric, "b": levels},
        unknown={"c": 3},
        vectors={"e": VectorSummary(rows=6, sums=(-(2**63), 0, 2**53 + 1))},
    )


@pytest.fixture
def writer(store, client):
    return ResultWriter(store)


@pytest.fixture
def queries(store, client):
    return StoreQueries(store)


def test_verdicts_come_back_as_they_were_newest_first(writer, queries):
    writer.write_verdicts([make_verdict(0), make_verdict(1), make_verdict(2, model="other")])
    assert queries.verdicts("fraud", DRIFT, 10) == [make_verdict(1), make_verdict(0)]
    assert queries.verdicts("fraud", DRIFT, 1) == [make_verdict(1)]
    assert queries.verdicts("none", DRIFT, 10) == []


def test_each_kind_of_verdict_has_windows_of_its_own(writer, queries):
    risk = make_verdict(0, kind=RISK, baseline_id="r1")
    writer.write_verdicts([make_verdict(0), risk])
    assert (queries.verdicts("fraud", DRIFT, 10), queries.verdicts("fraud", RISK, 10)) == ([make_verdict(0)], [risk])


def test_comparisons_with_shadows_are_kept_and_can_be_asked_in_sql(writer, client):
    comparison = ShadowComparison(
        model="fraud",
        version="3",
        shadow="candidate",
        index=4,
        opened_at_ns=10**18,
        closed_at_ns=10**18 + 10**9,
        outcomes={PairOutcome.AGREED: 990, PairOutcome.DIFFERED: 10},
        shadow_failed=2,
        served_seconds=Latency(p50=0.01, p99=0.02),
        classes=(ClassPair(output="label", served="0", shadow="1", rows=10),),
        scores=(ScoreDifference(output="score", rows=1_000, served_mean=0.5, shadow_mean=0.6, wasserstein=0.1, quantiles=(0.0, 0.1, 0.1, 0.2, 0.9)),),
        disagreements=(Disagreement(exchange_id="00000000-0000-7000-8000-000000000001", difference=0.9, text="label: 0 → 1"),),
    )
    writer.write_comparisons([comparison])
    writer.write_comparisons([comparison])
    asked = "outcomes['differed'], served_seconds.p99, shadow_seconds.p50, classes.shadow[1], scores.wasserstein[1], disagreements.text[1]"
    assert client.query(f"SELECT {asked} FROM comparisons FINAL").result_rows == [(10, 0.02, None, "1", 0.1, "label: 0 → 1")]


def test_windows_come_back_as_they_were(writer, queries):
    writer.write_windows([make_window(0), make_window(1)])
    assert queries.windows("fraud", 10) == [make_window(1), make_window(0)]


def test_a_result_that_is_written_again_is_there_once_and_the_last_one_counts(writer, queries, client):
    writer.write_verdicts([make_verdict(0, rows=1)])
    writer.write_verdicts([make_verdict(0, rows=2)])
    writer.write_windows([make_window(0)] * 2)
    writer.write_windows([make_window(0)])
    assert [verdict.rows for verdict in queries.verdicts("fraud", DRIFT, 10)] == [2]
    assert queries.windows("fraud", 10) == [make_window(0)]


def test_what_a_feature_carried_can_be_asked_in_sql(writer, client):
    writer.write_verdicts([make_verdict()])
    statement = "SELECT f.feature, f.share, f.tests['ks'].statistic FROM verdicts ARRAY JOIN features AS f"
    assert client.query(statement).result_rows == [('wörst "area"\n', 1 / 3, 0.1 + 0.2)]


def test_each_change_of_an_alert_is_kept_once(writer, client):
    firing = Alert(
        name="ModelInputDrift",
        severity=Severity.PAGE,
        state=AlertState.FIRING,
        labels={"version": "1", "model": "fraud"},
        summary="s",
        description="d",
        features=("a", "b"),
        started_at_ns=STARTED_AT_NS,
        fired_at_ns=STARTED_AT_NS + 5,
    )
    writer.write_alerts([firing])
    writer.write_alerts([firing, Alert(**{name: getattr(firing, name) for name in firing.__struct_fields__} | {"state": AlertState.RESOLVED})])
    statement = "SELECT state, labels, features, toUnixTimestamp64Nano(fired_at), resolved_at FROM alerts FINAL ORDER BY state"
    same = ({"version": "1", "model": "fraud"}, ["a", "b"], STARTED_AT_NS + 5, None)
    assert client.query(statement).result_rows == [("firing", *same), ("resolved", *same)]


def test_a_baseline_is_kept_whole(writer, client):
    features = (
        NumericBaseline(name="a", edges=(0.1, 0.2), counts=(1, 2, 3), centres=(0.0, 0.15, 0.3)),
        CategoricalBaseline(name="b", levels=("x",), counts=(1, 0)),
    )
    baseline = Baseline(baseline_id="b1", model="fraud", source="traffic", rows=6, created_at_ns=STARTED_AT_NS, features=features)
    writer.write_baseline(baseline)
    writer.write_baseline(baseline)
    (kept,) = client.query("SELECT baseline_id, rows, features FROM baselines FINAL").result_rows
    assert kept[:2] == ("b1", 6)
    assert json.loads(kept[2])[0]["edges"] == [0.1, 0.2]


def test_nothing_to_write_asks_nothing_of_the_store():
    ResultWriter(None).write_alerts([])


def test_a_store_that_cannot_be_used_says_so_and_is_asked_anew(store, monkeypatch):
    def from_the_future():
        raise NewerStoreError("use the newer Driftline")

    writer = ResultWriter(store)
    monkeypatch.setattr(store, "client", from_the_future)
    with pytest.raises(StoreUnavailableError, match="use the newer Driftline"):
        writer.write_verdicts([make_verdict()])
    monkeypatch.undo()
    writer.write_verdicts([make_verdict()])
    assert StoreQueries(store).verdicts("fraud", DRIFT, 1) == [make_verdict()]


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.builds(
        Verdict,
        model=st.text(),
        version=st.text(),
        baseline_id=st.text(),
        index=st.integers(0, 2**63),
        opened_at_ns=st.integers(1, 2**62),
        closed_at_ns=st.integers(1, 2**62),
        rows=st.integers(0, 2**63),
        evidence=st.floats(allow_nan=False),
        threshold=st.floats(allow_nan=False),
        features=st.just(()),
    )
)
def test_rows_and_results_are_each_other_s_inverse(verdict):
    fields = json.loads(row(verdict))
    fields["index"] = fields.pop("window_index")
    for moment in ("opened_at", "closed_at"):
        seconds, _, nanoseconds = fields.pop(moment).partition(".")
        fields[f"{moment}_ns"] = int(seconds) * 10**9 + int(nanoseconds)
    assert results(json.dumps(fields).encode(), Verdict) == [verdict]


def test_windows_of_a_time_against_a_baseline_are_found(writer, queries):
    others = [msgspec.structs.replace(make_window(2), baseline_id="b2"), msgspec.structs.replace(make_window(2), model="other")]
    writer.write_windows([make_window(index) for index in range(5)] + others)
    found = queries.windows_between("fraud", "b1", STARTED_AT_NS + 1, STARTED_AT_NS + 4, 10)
    assert found == [make_window(3), make_window(2), make_window(1)]
    assert queries.windows_between("fraud", "b1", STARTED_AT_NS + 1, STARTED_AT_NS + 4, 2) == found[:2]
