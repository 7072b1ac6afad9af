import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.baseline import build_baseline
from detectors.drift import DetectorState, DriftDetector
from detectors.summary import WindowAccumulator, merge
from detectors.windows import WindowPolicy
from records.verdict import DriftState, Problem

ROWS = 250
POLICY = WindowPolicy(max_rows=ROWS, max_seconds=None)
THRESHOLD = 200.0


def traffic(rows, seed, shift=0.0):
    """Two numbers that go together, one that is rounded, and a category; `shift` moves the second number."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=rows)
    return {
        "steady": common + 0.3 * rng.normal(size=rows),
        "moving": common + 0.3 * rng.normal(size=rows) + shift,
        "rounded": np.round(rng.normal(size=rows) * 2),
        "level": np.array(["a", "b", "c", "d"], dtype=object)[rng.integers(0, 4, rows)],
    }


BASELINE = build_baseline(traffic(4_000, 0), model="m", version="1", source="test", created_at_ns=0)
PRISTINE = DriftDetector(BASELINE, threshold=THRESHOLD, windows=POLICY)
FRESH = PRISTINE.snapshot()


@pytest.fixture
def detector():
    """A detector without a past; what it learned about window sizes is shared by the tests."""
    PRISTINE.restore(FRESH)
    return PRISTINE


def at(rows, first=0):
    return np.arange(first, first + rows, dtype=np.int64)


def verdicts(detector, *tables):
    return [verdict for table in tables for _, verdict in detector.update(table, at(len(table["steady"])))]


def test_traffic_like_the_baseline_raises_no_alert(detector):
    found = verdicts(detector, *[traffic(ROWS, seed) for seed in range(1, 101)])
    assert len(found) == 100
    assert all(verdict.state is DriftState.OK and not verdict.carriers for verdict in found)
    assert max(verdict.evidence for verdict in found) < THRESHOLD / 10


def test_a_change_is_alerted_once_by_the_feature_that_changed_and_resolved_when_it_has_gone(detector):
    before = verdicts(detector, *[traffic(ROWS, seed) for seed in range(1, 6)])
    during = verdicts(detector, *[traffic(ROWS, seed, shift=0.6) for seed in range(6, 16)])
    after = verdicts(detector, *[traffic(ROWS, seed) for seed in range(16, 90)])
    assert not any(verdict.alert for verdict in before)
    alert = next(verdict for verdict in during if verdict.alert)
    assert alert.index - 5 < 3
    assert alert.carriers == ("moving",)
    assert alert.evidence >= alert.threshold == THRESHOLD
    assert alert.features[0].feature == "moving"
    assert alert.features[0].share > 0.5, "all numbers, half of which it is, have the rest"
    assert "sd)" in alert.features[0].summary
    assert sum(verdict.alert for verdict in during) == 1
    assert all(verdict.state is DriftState.FIRING for verdict in during if verdict.index >= alert.index)
    resolved = [verdict for verdict in after if verdict.resolved]
    assert len(resolved) == 1
    assert resolved[0].state is DriftState.OK
    assert not any(verdict.alert for verdict in after)
    assert all(verdict.state is DriftState.OK for verdict in after if verdict.index >= resolved[0].index)


def test_a_change_that_stays_is_not_resolved(detector):
    found = verdicts(detector, *[traffic(ROWS, seed, shift=0.6) for seed in range(1, 80)])
    assert sum(verdict.alert for verdict in found) == 1
    assert not any(verdict.resolved for verdict in found)


def test_a_real_change_below_the_floor_is_shown_and_not_alerted():
    baseline = build_baseline({"x": np.random.default_rng(1).normal(size=400_000)}, model="m", source="test", created_at_ns=0)
    detector = DriftDetector(baseline, threshold=THRESHOLD, windows=WindowPolicy(max_rows=20_000, max_seconds=None))
    rng = np.random.default_rng(2)
    found = [detector.update({"x": rng.normal(size=20_000) + 0.06}, at(20_000))[0][1] for _ in range(12)]
    assert found[-1].evidence > THRESHOLD
    assert all(verdict.state is DriftState.OK for verdict in found)


def test_a_level_never_seen_and_missing_values_are_alerted(detector):
    table = traffic(3 * ROWS, 1)
    table["level"][::10] = "new"
    table["rounded"][::10] = np.nan
    found = verdicts(detector, table)
    assert set(found[-1].carriers) == {"level", "rounded"}
    words = {feature.feature: feature.summary for feature in found[-1].features}
    assert "'new'" in words["level"]
    assert "missing 0.0% → 10.0%" in words["rounded"]


def test_a_batch_may_hold_several_windows_and_a_window_several_batches(detector):
    table = traffic(1_100, 3)
    whole = [verdict for _, verdict in detector.update(table, at(1_100))]
    assert detector.open_rows == 100
    detector.restore(FRESH)
    parts = []
    for first in range(0, 1_100, 70):
        part = {name: column[first : first + 70] for name, column in table.items()}
        parts += [verdict for _, verdict in detector.update(part, at(len(part["steady"]), first))]
    assert [(v.index, v.rows, v.opened_at_ns, v.closed_at_ns) for v in whole] == [(i, ROWS, i * ROWS, (i + 1) * ROWS - 1) for i in range(4)]
    assert parts == whole


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=ROWS, max_size=ROWS), st.integers(0, 5), st.sampled_from([0.0, 0.5]))
def test_rows_split_over_replicas_give_the_same_verdict(owners, seed, shift):
    table = traffic(ROWS, seed, shift)
    replicas = [{name: column[np.array(owners) == replica] for name, column in table.items()} for replica in range(3)]
    summaries = [summary_of(rows) for rows in [table, *replicas]]
    PRISTINE.restore(FRESH)
    whole = PRISTINE.test(summaries[0])
    PRISTINE.restore(FRESH)
    merged = PRISTINE.test(merge(merge(summaries[3], summaries[1]), summaries[2]))
    assert [(f.feature, f.tests, f.log_evidence, f.share) for f in merged.features] == [(f.feature, f.tests, f.log_evidence, f.share) for f in whole.features]
    assert (merged.evidence, merged.state) == (whole.evidence, whole.state)


def summary_of(table):
    accumulator = WindowAccumulator(BASELINE)
    accumulator.add(table, 0, len(table["steady"]))
    return accumulator.summary(index=0, opened_at_ns=0, closed_at_ns=1)


@pytest.mark.parametrize("stop", [0, 130, 1_000, 2_400, 5_130])
def test_a_restart_at_any_point_changes_nothing(detector, stop):
    tables = [traffic(1_500, 1), traffic(1_500, 2, shift=0.6), traffic(15_000, 3)]
    table = {name: np.concatenate([part[name] for part in tables]) for name in tables[0]}
    rows = len(table["steady"])
    undisturbed = [verdict for _, verdict in detector.update(table, at(rows))]
    detector.restore(FRESH)
    first = [verdict for _, verdict in detector.update({name: column[:stop] for name, column in table.items()}, at(stop))]
    written = msgspec.json.encode(detector.snapshot())
    detector.update(traffic(700, 9, shift=3.0), at(700))  # what is restored owes nothing to what came after
    detector.restore(msgspec.json.decode(written, type=DetectorState))
    second = [verdict for _, verdict in detector.update({name: column[stop:] for name, column in table.items()}, at(rows - stop, stop))]
    assert any(verdict.alert for verdict in undisturbed)
    assert any(verdict.resolved for verdict in undisturbed)
    assert [(v.index, v.state, v.evidence, v.carriers) for v in first + second] == [(v.index, v.state, v.evidence, v.carriers) for v in undisturbed]


def test_a_window_closes_by_time_although_no_row_comes():
    detector = DriftDetector(BASELINE, threshold=THRESHOLD, windows=WindowPolicy(max_rows=1_000, max_seconds=1.0, min_rows=50))
    assert detector.update(traffic(60, 1), at(60)) == []
    assert detector.close_due(999_999_999) == []
    [(summary, verdict)] = detector.close_due(1_000_000_000)
    assert (summary.rows, verdict.rows, verdict.index) == (60, 60, 0)
    assert detector.close_due(10**12) == []


def test_columns_that_the_baseline_does_not_know_are_ignored_and_counted():
    detector = DriftDetector(BASELINE, threshold=THRESHOLD, windows=WindowPolicy(max_rows=10_000, max_seconds=None))
    texts = np.array(["a", None] * 20, dtype=object)
    detector.update(traffic(40, 1) | {"extra": np.zeros(40), "never": np.full(40, np.nan), "text": texts}, at(40))
    for number in range(1_500):
        detector.update(traffic(1, number) | {f"extra {number}": np.zeros(1)}, at(1))
    summary, verdict = detector.close()
    assert len(summary.unknown) == 32
    assert (summary.unknown["extra"], summary.unknown["text"], "never" in summary.unknown) == (40, 20, False)
    [finding] = verdict.quality
    assert (finding.problem, finding.rows) == (Problem.UNKNOWN, 40)
    assert "extra, text" in finding.text


ODD = {
    "constant": np.full(400, 7.0),
    "all missing": np.full(400, np.nan),
    "all infinite": np.full(400, np.inf),
    "huge": np.resize([1e300, -1e300, 1.0], 400),
    "tiny": np.random.default_rng(1).normal(size=400) * 1e-305,
    "two values": np.resize([0.0, 1.0], 400),
    "nearly constant": np.concatenate([np.zeros(399), [1.0]]),
    "heavy": np.random.default_rng(2).standard_cauchy(400),
    "one level": np.full(400, "a", dtype=object),
    "no level": np.full(400, None, dtype=object),
    "all different": np.array([f"id {index}" for index in range(400)], dtype=object),
}


def finite(verdict):
    numbers = [verdict.evidence, verdict.threshold]
    for feature in verdict.features:
        numbers += [feature.log_evidence, feature.share]
        for result in feature.tests.values():
            numbers += [result.statistic, result.p_value, result.effect]
    return bool(np.isfinite(numbers).all())


@pytest.fixture(scope="module")
def odd():
    baseline = build_baseline(ODD, model="m", source="test", created_at_ns=0)
    detector = DriftDetector(baseline, threshold=THRESHOLD, windows=WindowPolicy(max_rows=400, max_seconds=None, min_rows=1))
    return detector, detector.snapshot()


@pytest.fixture
def odd_detector(odd):
    detector, fresh = odd
    detector.restore(fresh)
    return detector


@pytest.mark.parametrize("rows", [1, 2, 400])
def test_odd_features_never_crash_nor_give_what_is_no_number(odd_detector, rows):
    for columns in (ODD, dict(zip(ODD, reversed(ODD.values()), strict=True)), {"unknown": np.zeros(rows)}):
        odd_detector.update({name: column[:rows] for name, column in columns.items()}, at(rows))
        if odd_detector.open_rows:
            _, verdict = odd_detector.close()
            assert finite(verdict)


def test_an_odd_feature_that_stays_as_it_was_raises_no_alert(odd_detector):
    columns = dict(ODD)
    columns["all different"] = np.array([f"other {index}" for index in range(400)], dtype=object)
    found = [odd_detector.update(columns, at(400))[0][1] for _ in range(20)]
    assert all(finite(verdict) for verdict in found)
    assert all(verdict.state is DriftState.OK for verdict in found)


def test_a_constant_that_takes_another_value_is_alerted(odd_detector):
    columns = ODD | {"constant": np.full(400, 8.0)}
    found = [odd_detector.update(columns, at(400))[0][1] for _ in range(3)]
    assert any(verdict.alert for verdict in found)
    assert found[-1].carriers == ("constant",)


def test_a_summary_or_snapshot_of_another_baseline_is_refused(detector):
    other = build_baseline(traffic(300, 8), model="m", version="2", source="test", created_at_ns=0)
    accumulator = WindowAccumulator(other)
    with pytest.raises(ValueError, match="baseline"):
        detector.test(accumulator.summary(index=0, opened_at_ns=0, closed_at_ns=0))
    with pytest.raises(ValueError, match="baseline"):
        detector.restore(msgspec.structs.replace(FRESH, baseline_id="another"))


def test_a_budget_in_time_counts_short_windows_for_less(detector):
    timed = DriftDetector(BASELINE, threshold=THRESHOLD, windows=POLICY, window_seconds=600.0)
    rows = traffic(ROWS, 1)
    ((_, usual),) = detector.update(rows, at(ROWS))
    ((_, short),) = timed.update(rows, np.linspace(0, 6e9, ROWS).astype(np.int64))
    assert usual.evidence / short.evidence == pytest.approx(100)
