import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.baseline import build_baseline, restricted
from detectors.cycle import Cycle, Timed
from detectors.drift import DetectorState, DriftDetector
from detectors.explanation import explain
from detectors.joint import MAX_FEATURES
from detectors.joint_watch import JointWatch
from detectors.summary import WindowAccumulator, merge
from detectors.tally import Tally
from detectors.windows import WindowPolicy
from records.baseline import Baseline
from records.verdict import Problem

FEATURES, ROWS = 12, 500
POLICY = WindowPolicy(max_rows=ROWS, max_seconds=None)
ALL_NUMBERS = "(all numbers)"
THRESHOLD = 200.0


def traffic(rows, seed, moved=0.0, spread=1.0):
    """Twelve numbers, half of them skewed, all of which move a little."""
    numbers = spread * np.random.default_rng(seed).normal(size=(FEATURES, rows)) + moved
    return {f"x{index}": np.exp(column) if index % 2 else column for index, column in enumerate(numbers)}


BASELINE = build_baseline(traffic(8_000, 0), model="m", source="test", created_at_ns=0)


def verdicts(detector, tables):
    times_ns = np.zeros(ROWS, dtype=np.int64)
    return [verdict for table in tables for _, verdict in detector.update(table, times_ns)]


def detector_of(baseline=BASELINE):
    return DriftDetector(baseline, threshold=THRESHOLD, windows=POLICY)


def summary_of(columns, baseline=BASELINE):
    accumulator = WindowAccumulator(baseline)
    accumulator.add(columns, 0, len(next(iter(columns.values()))))
    return accumulator.summary(index=0, opened_at_ns=0, closed_at_ns=1)


def results_of(watch, summary):
    return watch.update(watch.tally({name: Tally.of(each) for name, each in summary.features.items()}, summary.rows))


def verdict_of(found, name=ALL_NUMBERS):
    return next(feature for feature in found.features if feature.feature == name)


def test_a_small_change_of_all_numbers_is_alerted_named_and_resolved():
    tables = [traffic(ROWS, seed, moved=0.12 if 5 <= seed < 15 else 0.0) for seed in range(70)]
    found = verdicts(detector_of(), tables)
    (alert,) = [verdict for verdict in found if verdict.alert]
    assert 5 <= alert.index < 8
    assert ALL_NUMBERS in alert.carriers
    assert verdict_of(alert).summary.startswith("means moved by 0.1")
    assert [verdict.index for verdict in found if verdict.resolved]


def test_a_little_more_spread_in_all_numbers_is_alerted():
    found = verdicts(detector_of(), [traffic(ROWS, seed, spread=1.15 if seed >= 5 else 1.0) for seed in range(9)])
    assert next(verdict for verdict in found if verdict.alert).carriers == (ALL_NUMBERS,)


def test_what_is_below_the_floor_gives_evidence_and_no_alert():
    found = verdicts(detector_of(), [traffic(ROWS, seed, moved=0.07) for seed in range(12)])
    assert found[-1].evidence > THRESHOLD
    assert not any(verdict.alert for verdict in found)


def test_evidence_without_effect_does_not_let_another_feature_alert_on_less_of_its_own():
    def window(seed):
        table = traffic(ROWS, seed, moved=0.07)
        return table | {"x0": table["x0"] + 0.08} if seed == 12 else table

    found = verdicts(detector_of(), [window(seed) for seed in range(13)])
    assert found[-1].evidence > THRESHOLD
    assert not found[-1].alert


def test_evidence_without_effect_does_not_hide_a_feature_that_drifts():
    detector = detector_of()
    before = verdicts(detector, [traffic(ROWS, seed, moved=0.07) for seed in range(120)])
    assert verdict_of(before[-1]).log_evidence > 300
    assert not any(verdict.alert for verdict in before)
    drifting = verdicts(detector, [table | {"x0": table["x0"] + 0.4} for table in (traffic(ROWS, seed, moved=0.07) for seed in range(120, 126))])
    assert any(verdict.alert and "x0" in verdict.carriers for verdict in drifting)


def test_a_feature_that_drifts_is_named_without_all_numbers_unless_the_others_drift_too():
    alone = verdicts(detector_of(), [table | {"x0": table["x0"] + 2.0} for table in (traffic(ROWS, seed) for seed in range(4))])
    assert verdict_of(alone[-1]).tests["location"].effect > 0.1, "it takes them with it"
    assert alone[-1].carriers == ("x0",)
    beside = verdicts(detector_of(), [table | {"x0": table["x0"] + 2.0} for table in (traffic(ROWS, seed, moved=0.15) for seed in range(4))])
    assert {"x0", ALL_NUMBERS} <= set(beside[-1].carriers)


@pytest.mark.parametrize("rows", [100, 500])
def test_p_values_of_windows_without_a_change_are_not_too_small(rows):
    baseline = build_baseline(traffic(8_000, 5), model="m", source="test", created_at_ns=0)
    found = [results_of(JointWatch(baseline.joint, baseline, 0.01), summary_of(traffic(rows, seed), baseline)) for seed in range(100, 400)]
    for test in ("location", "scale"):
        assert sum(result[test].p_value <= 0.05 for result in found) <= 24


def test_neither_dependence_nor_what_goes_together_makes_evidence():
    rng = np.random.default_rng(0)

    def alike(rows):
        """Users of ten rows, and a part that all numbers have in common."""
        users = np.repeat(rng.normal(size=(FEATURES, rows // 10)), 10, axis=1) + rng.normal(size=rows)
        return {f"x{index}": column for index, column in enumerate(users + 0.5 * rng.normal(size=(FEATURES, rows)))}

    baseline = build_baseline(alike(8_000), model="m", source="test", created_at_ns=0)
    assert baseline.joint.location.spectrum[0] > 3
    assert baseline.joint.memories
    found = verdicts(detector_of(baseline), [alike(ROWS) for _ in range(60)])
    assert max(verdict.evidence for verdict in found) < 20


def test_a_baseline_with_a_cycle_is_compared_hour_by_hour():
    hour_ns, rows = 3_600 * 10**9, 9_600
    times_ns = np.arange(rows) * (48 * hour_ns // rows)

    def tide(times, seed):
        return traffic(len(times), seed, moved=0.5 * np.sin(2 * np.pi * times / (24 * hour_ns)))

    baseline = build_baseline(tide(times_ns, 1), model="m", source="t", created_at_ns=0, timed=Timed(times_ns, Cycle.DAY))
    detector = detector_of(baseline)
    later = times_ns + 48 * hour_ns
    table = tide(later, 2)
    assert max(verdict_of(verdict).log_evidence for _, verdict in detector.update(table, later)) < 3


@given(st.lists(st.integers(0, 2), min_size=90, max_size=90), st.integers(0, 5))
def test_rows_split_over_replicas_give_the_same_results(owners, seed):
    table = traffic(90, seed)
    table["x3"][::7] = np.nan
    parts = [summary_of({name: column[np.array(owners) == replica] for name, column in table.items()}) for replica in range(3)]
    watches = [JointWatch(BASELINE.joint, BASELINE, 0.01) for _ in range(2)]
    assert results_of(watches[0], merge(merge(parts[2], parts[0]), parts[1])) == results_of(watches[1], summary_of(table))


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"x0": np.full(ROWS, np.nan)},
        {f"x{index}": np.full(ROWS, np.nan) for index in range(FEATURES)},
        {"x0": np.full(ROWS, np.inf), "x1": np.full(ROWS, 1e300)},
        {"x0": np.full(ROWS, "text", dtype=object)},
    ],
)
def test_values_that_are_missing_are_in_the_middle(broken):
    (found,) = verdicts(detector_of(), [traffic(ROWS, 1) | broken])
    for result in verdict_of(found).tests.values():
        assert 1e-3 < result.p_value <= 1
        assert np.isfinite(result.statistic)


@pytest.mark.parametrize("rows", [0, 1, 7])
@pytest.mark.parametrize("repeated", [1, 10])
def test_a_window_of_a_few_rows_or_none_says_nothing(rows, repeated):
    table = {name: np.repeat(column, repeated) for name, column in traffic(4_000 // repeated, 0).items()}
    baseline = build_baseline(table, model="m", source="test", created_at_ns=0)
    detector = detector_of(baseline)
    found = detector.test(summary_of(traffic(rows, 1), baseline))
    assert {result.p_value for result in verdict_of(found).tests.values()} == {1.0}
    assert [finding.problem for finding in found.quality] == [Problem.FEW_ROWS]
    assert detector.test(summary_of(traffic(ROWS, 1), baseline)).evidence < 10


def test_a_baseline_of_fewer_features_tests_those_together():
    fewer = restricted(BASELINE, lambda name: name != "x3")
    assert fewer.joint.features == tuple(name for name in BASELINE.joint.features if name != "x3")
    tables = [traffic(ROWS, seed, moved=0.15) for seed in range(5)]
    assert ALL_NUMBERS in verdicts(detector_of(fewer), [{name: column for name, column in table.items() if name != "x3"} for table in tables])[-1].carriers
    assert restricted(BASELINE, lambda name: name == "x3").joint is None


def test_without_two_numbers_that_vary_nothing_is_tested_together():
    baseline = build_baseline({"x": np.arange(300.0), "y": np.zeros(300)}, model="m", source="t", created_at_ns=0)
    assert baseline.joint is None


def test_of_very_many_features_the_first_ones_are_tested():
    rng = np.random.default_rng(1)
    baseline = build_baseline({f"x{index}": rng.normal(size=200) for index in range(MAX_FEATURES + 5)}, model="m", source="t", created_at_ns=0)
    assert len(baseline.joint.features) == MAX_FEATURES


def test_a_baseline_of_a_former_version_is_watched_without_it():
    former = msgspec.json.decode(msgspec.json.encode(msgspec.structs.replace(BASELINE, joint=None)), type=Baseline)
    (found,) = verdicts(detector_of(former), [traffic(ROWS, 1)])
    assert ALL_NUMBERS not in [feature.feature for feature in found.features]


def test_a_restart_goes_on_with_the_evidence():
    tables = [traffic(ROWS, seed, moved=0.05) for seed in range(6)]
    whole, first = detector_of(), detector_of()
    expected = verdicts(whole, tables)
    verdicts(first, tables[:3])
    second = detector_of()
    second.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(first.snapshot()), type=DetectorState))
    assert verdicts(second, tables[3:]) == expected[3:]


def test_the_explanation_has_the_numbers_that_moved_most():
    table = traffic(ROWS, 1, moved=0.15)
    detector = detector_of()
    ((summary, verdict),) = detector.update(table | {"x4": table["x4"] - 0.5}, np.zeros(ROWS, dtype=np.int64))
    features = tuple(msgspec.structs.replace(each, share=float(each.feature == ALL_NUMBERS), effect_above_floor=True) for each in verdict.features)
    (explained,) = explain(BASELINE, summary, msgspec.structs.replace(verdict, features=features), ()).features
    assert explained.scores[0].feature == "x4"
    assert explained.scores[0].location == pytest.approx(-0.35, abs=0.1)
    assert len(explained.scores) == FEATURES
