import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.baseline import build_baseline
from detectors.correlation import FLOOR, AllCorrelationsTest, CorrelationTest
from detectors.drift import DetectorState, DriftDetector
from detectors.pairs import MAX_FEATURES, PairTally, scores_of_bins
from detectors.summary import WindowAccumulator, merge
from detectors.windows import WindowPolicy
from records.baseline import Baseline
from records.verdict import DriftState

FEATURES, ROWS = 6, 500
POLICY = WindowPolicy(max_rows=ROWS, max_seconds=None)
CORRELATIONS = "(correlations)"


def traffic(rows, seed, together=0.0):
    """Six numbers, the second of which goes with the first as far as `together` says; each alone stays as it is."""
    numbers = np.random.default_rng(seed).normal(size=(FEATURES, rows))
    numbers[1] = together * numbers[0] + np.sqrt(1 - together**2) * numbers[1]
    return {f"x{index}": column for index, column in enumerate(numbers)}


BASELINE = build_baseline(traffic(5_000, 0), model="m", source="test", created_at_ns=0)


def summary_of(columns, baseline=BASELINE):
    accumulator = WindowAccumulator(baseline)
    accumulator.add(columns, 0, len(columns["x0"]))
    return accumulator.summary(index=0, opened_at_ns=0, closed_at_ns=1)


def verdicts(detector, tables):
    times_ns = np.zeros(ROWS, dtype=np.int64)
    return [verdict for table in tables for _, verdict in detector.update(table, times_ns)]


def test_a_correlation_that_no_feature_shows_alone_is_alerted_named_and_resolved():
    detector = DriftDetector(BASELINE, threshold=200.0, windows=POLICY)
    tables = [traffic(ROWS, seed, together=0.5 if 5 <= seed < 15 else 0.0) for seed in range(60)]
    found = verdicts(detector, tables)
    (alert,) = [verdict for verdict in found if verdict.alert]
    assert 5 <= alert.index < 9
    assert alert.carriers == (CORRELATIONS,)
    (words,) = [feature.summary for feature in alert.features if feature.feature == CORRELATIONS]
    assert words.startswith("x0 with x1 0.0")
    assert words.count("→") == 1, "pairs that changed little are not named"
    assert [verdict.index for verdict in found if verdict.resolved]
    assert found[-1].state is DriftState.OK


def test_what_stays_together_raises_no_alert():
    baseline = build_baseline(traffic(5_000, 1, together=0.7), model="m", source="test", created_at_ns=0)
    detector = DriftDetector(baseline, threshold=200.0, windows=POLICY)
    found = verdicts(detector, [traffic(ROWS, seed, together=0.7) for seed in range(2, 60)])
    assert max(verdict.evidence for verdict in found) < 20


def test_a_feature_that_drifts_is_named_without_the_correlations_that_it_takes_with_it():
    baseline = build_baseline(traffic(5_000, 1, together=0.7), model="m", source="test", created_at_ns=0)
    detector = DriftDetector(baseline, threshold=200.0, windows=POLICY)
    broken = [table | {"x1": np.full(ROWS, 9.0)} for table in (traffic(ROWS, seed, together=0.7) for seed in range(5))]
    found = verdicts(detector, broken)
    assert found[-1].carriers == ("x1",)


@given(st.lists(st.integers(0, 2), min_size=60, max_size=60), st.integers(0, 5))
def test_rows_split_over_replicas_have_the_same_sums(owners, seed):
    table = traffic(60, seed, together=0.4)
    table["x3"][::7] = np.nan
    replicas = [{name: column[np.array(owners) == replica] for name, column in table.items()} for replica in range(3)]
    whole, first, second, third = (summary_of(rows).pairs for rows in [table, *replicas])
    merged = merge(merge(summary_of(replicas[2]), summary_of(replicas[0])), summary_of(replicas[1])).pairs
    assert merged == whole
    assert len(first.sums) == len(second.sums) == len(third.sums) == FEATURES


def test_correlations_are_those_of_ranks():
    table = traffic(20_000, 3, together=0.6)
    stretched = table | {"x0": np.exp(table["x0"]), "x1": table["x1"] ** 3}
    found = PairTally.of(summary_of(stretched, build_baseline(stretched, model="m", source="t", created_at_ns=0)).pairs, 20_000).correlations
    assert found[0] == pytest.approx(0.6, abs=0.03)
    assert np.abs(found[1:]).max() < 0.05


def test_a_feature_that_does_not_vary_goes_with_nothing():
    constant = traffic(ROWS, 1) | {"x2": np.zeros(ROWS)}
    tally = PairTally.of(summary_of(constant).pairs, ROWS)
    assert tally.correlations[[1, 5, 9, 10, 11]].tolist() == [0.0] * 5


def test_scores_are_those_of_a_normal_number_of_the_same_rank():
    scores = scores_of_bins(BASELINE.features[0])
    assert scores.tolist() == sorted(scores.tolist())
    assert scores[0] == pytest.approx(-2.4 * 256, rel=0.05)
    assert abs(scores.sum()) < 64


def test_p_values_of_windows_without_a_change_are_not_too_small():
    test = CorrelationTest(BASELINE.pairs, BASELINE.rows, 0.01)
    found = [test.result(PairTally.of(summary_of(traffic(ROWS, seed)).pairs, ROWS)).p_value for seed in range(100, 300)]
    assert sum(p_value <= 0.05 for p_value in found) <= 10


def test_a_small_baseline_raises_the_floor():
    small = build_baseline(traffic(400, 0), model="m", source="test", created_at_ns=0)
    assert CorrelationTest(small.pairs, small.rows, 0.001).floor > CorrelationTest(BASELINE.pairs, BASELINE.rows, 0.001).floor >= FLOOR


@pytest.mark.parametrize("columns", [{"x": np.arange(300.0)}, {"x": np.arange(300.0), "y": np.zeros(300)}, traffic(150, 1)])
def test_without_two_numbers_or_rows_enough_there_are_no_pairs(columns):
    baseline = build_baseline(columns, model="m", source="test", created_at_ns=0)
    assert baseline.pairs is None
    assert summary_of({"x0": np.zeros(10)}, baseline).pairs.sums == ()


def test_of_many_features_the_first_ones_are_paired():
    rng = np.random.default_rng(1)
    wide = {f"x{index}": rng.normal(size=400) for index in range(MAX_FEATURES + 5)}
    baseline = build_baseline(wide, model="m", source="test", created_at_ns=0)
    assert baseline.pairs.features == tuple(wide)[:MAX_FEATURES]
    assert len(summary_of(wide, baseline).pairs.products) == MAX_FEATURES * (MAX_FEATURES + 1) // 2


def test_a_restart_goes_on_with_the_evidence():
    tables = [traffic(ROWS, seed, together=0.3) for seed in range(8)]
    whole = verdicts(DriftDetector(BASELINE, threshold=200.0, windows=POLICY), tables)
    first, second = (DriftDetector(BASELINE, threshold=200.0, windows=POLICY) for _ in range(2))
    found = verdicts(first, tables[:4])
    second.restore(msgspec.json.decode(msgspec.json.encode(first.snapshot()), type=DetectorState))
    assert [(v.state, v.evidence, v.carriers) for v in found + verdicts(second, tables[4:])] == [(v.state, v.evidence, v.carriers) for v in whole]


def test_a_baseline_with_pairs_comes_back_from_json_as_it_was():
    assert msgspec.json.decode(msgspec.json.encode(BASELINE), type=Baseline) == BASELINE


def in_common(rows, seed, correlation):
    """Twelve numbers that all go together a little."""
    rng = np.random.default_rng(seed)
    numbers = np.sqrt(correlation) * rng.normal(size=rows) + np.sqrt(1 - correlation) * rng.normal(size=(12, rows))
    return {f"x{index}": column for index, column in enumerate(numbers)}


MANY = build_baseline(in_common(5_000, 0, 0.0), model="m", source="test", created_at_ns=0)


def test_a_weak_correlation_of_all_pairs_is_found_although_no_pair_stands_out():
    detector = DriftDetector(MANY, threshold=200.0, windows=POLICY)
    found = verdicts(detector, [in_common(ROWS, seed, 0.1 if seed >= 4 else 0.0) for seed in range(1, 9)])
    (alert,) = [verdict for verdict in found if verdict.alert]
    assert alert.index in {3, 4}
    assert alert.carriers == (CORRELATIONS,)


@pytest.mark.parametrize("rows", [100, 500])
def test_p_values_of_all_pairs_together_are_not_too_small(rows):
    test = AllCorrelationsTest(MANY.pairs, MANY.pairs.together, MANY.rows, 0.01)
    found = [test.result(PairTally.of(summary_of(in_common(rows, seed, 0.0), MANY).pairs, rows)).p_value for seed in range(100, 300)]
    assert sum(p_value <= 0.05 for p_value in found) <= 18


def test_pairs_of_a_former_version_have_one_test():
    former = msgspec.structs.replace(MANY, pairs=msgspec.structs.replace(MANY.pairs, together=None))
    (found,) = verdicts(DriftDetector(former, threshold=200.0, windows=POLICY), [in_common(ROWS, 1, 0.0)])
    assert [set(feature.tests) for feature in found.features if feature.feature == CORRELATIONS] == [{"correlation"}]
