"""The checks that every statistic faces."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from config.choices import CategoricalStatistic, NumericStatistic
from detectors.baseline import build_baseline
from detectors.calibration import CalibratedDivergence, CalibratedMetric, step_of, throw
from detectors.chi_squared import ChiSquared
from detectors.frequencies import Cells
from detectors.g_test import LikelihoodRatio
from detectors.hellinger import Hellinger
from detectors.jensen_shannon import JensenShannon
from detectors.ks import KolmogorovSmirnov
from detectors.psi import PopulationStability
from detectors.tally import News, Tally
from detectors.total_variation import TotalVariation
from detectors.univariate import Statistics, feature_tests
from detectors.wasserstein import Wasserstein

ROWS = 256
BASELINE_ROWS = 2_000
RISK = 0.05
EVEN = np.full(32, 1 / 32)
SHAPES = {
    "even": EVEN,
    "skewed": 0.75 ** np.arange(24) / (0.75 ** np.arange(24)).sum(),
    "two values": np.array([0.97, 0.03]),
}
METRICS = {
    "ks": lambda cells: KolmogorovSmirnov(),
    "wasserstein": lambda cells: Wasserstein(np.arange(float(cells)), 1.0),
    "total_variation": lambda cells: TotalVariation(),
}
DIVERGENCES = {
    "psi": lambda cells: PopulationStability(),
    "jensen_shannon": lambda cells: JensenShannon(),
    "hellinger": lambda cells: Hellinger(),
    "chi_squared": lambda cells: ChiSquared(),
    "g_test": lambda cells: LikelihoodRatio(),
}
STATISTICS = METRICS | DIVERGENCES
SHOWN = {name: DIVERGENCES[name](0) for name in ("psi", "jensen_shannon", "hellinger")}


def value(name, window, baseline):
    """Return the statistic of counts."""
    window, baseline = np.asarray(window, dtype=float), np.asarray(baseline, dtype=float)
    now, before = window / window.sum(), baseline / baseline.sum()
    statistic = STATISTICS[name](len(window))
    return float(statistic(now, before) if name in METRICS else statistic(now, before, window.sum(), baseline.sum()))


def calibrated(name, counts, *rows):
    kind = CalibratedMetric if name in METRICS else CalibratedDivergence
    test = kind(STATISTICS[name](len(counts)), counts.astype(float), float(counts.sum()), RISK)
    for each in rows or (ROWS,):
        test.learn(throw(step_of(each)))
    return test


def counts_of(cells, fewest=0):
    return st.lists(st.integers(fewest, 50), min_size=cells, max_size=cells).filter(any)


PAIRS = st.integers(2, 20).flatmap(lambda cells: st.tuples(counts_of(cells), counts_of(cells)))
FULL_PAIRS = st.integers(2, 20).flatmap(lambda cells: st.tuples(counts_of(cells, 1), counts_of(cells, 1)))
TRIPLES = st.integers(2, 20).flatmap(lambda cells: st.tuples(counts_of(cells), counts_of(cells), counts_of(cells)))


def test_every_statistic_that_settings_know_is_checked_here():
    assert {*NumericStatistic, *CategoricalStatistic} == STATISTICS.keys() - {"total_variation"}


@pytest.mark.parametrize("name", STATISTICS)
@given(PAIRS)
def test_it_is_a_number_from_nothing_on_whatever_the_counts(name, pair):
    found = value(name, *pair)
    assert np.isfinite(found)
    assert found >= -1e-12


@pytest.mark.parametrize("name", STATISTICS)
@given(PAIRS)
def test_it_is_the_same_from_either_side(name, pair):
    window, baseline = pair
    assert value(name, window, baseline) == pytest.approx(value(name, baseline, window), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", STATISTICS)
@given(st.integers(2, 20).flatmap(counts_of))
def test_it_is_nothing_where_nothing_differs(name, counts):
    assert value(name, counts, counts) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("name", STATISTICS)
def test_it_is_nothing_of_one_category(name):
    assert value(name, [7], [3]) == 0.0


@pytest.mark.parametrize("name", STATISTICS)
@given(PAIRS)
def test_windows_may_come_many_at_once(name, pair):
    window, baseline = (np.array(counts) / sum(counts) for counts in pair)
    statistic = STATISTICS[name](len(window))
    rows = () if name in METRICS else (100.0, 200.0)
    together = statistic(np.array([window, baseline]), baseline, *rows)
    assert together == pytest.approx([float(statistic(window, baseline, *rows)), float(statistic(baseline, baseline, *rows))])


@pytest.mark.parametrize("name", ["ks", "wasserstein", "total_variation"])
@given(TRIPLES)
def test_no_detour_is_shorter(name, triple):
    one, two, three = triple
    assert value(name, one, three) <= value(name, one, two) + value(name, two, three) + 1e-9


@pytest.mark.parametrize("name", ["jensen_shannon", "hellinger"])
@given(TRIPLES)
def test_the_root_that_is_shown_takes_no_detour_either_and_is_at_most_one(name, triple):
    first, second, whole = (np.sqrt(max(0.0, value(name, triple[a], triple[b]))) for a, b in ((0, 1), (1, 2), (0, 2)))
    assert whole <= first + second + 1e-7
    assert whole <= 1 + 1e-9


@given(FULL_PAIRS)
def test_the_tests_of_homogeneity_are_scipys(pair):
    for name, power in (("chi_squared", "pearson"), ("g_test", "log-likelihood")):
        assert value(name, *pair) == pytest.approx(stats.chi2_contingency(np.array(pair), correction=False, lambda_=power).statistic, rel=1e-6, abs=1e-9)


@given(PAIRS)
def test_jensen_and_shannons_is_scipys(pair):
    assert value("jensen_shannon", *pair) == pytest.approx(distance.jensenshannon(*pair, base=2) ** 2, abs=1e-9)


@given(PAIRS)
def test_hellingers_is_what_the_overlap_of_the_roots_lacks(pair):
    window, baseline = (np.array(counts) / sum(counts) for counts in pair)
    assert value("hellinger", *pair) == pytest.approx(1 - np.sqrt(window * baseline).sum(), abs=1e-9)


@pytest.mark.parametrize(
    ("name", "most"), [("ks", 1), ("wasserstein", 1), ("total_variation", 1), ("jensen_shannon", 1), ("hellinger", 1), ("chi_squared", 20), ("g_test", 27.726)]
)
def test_what_shares_nothing_differs_as_much_as_can_be(name, most):
    assert value(name, [10, 0], [0, 10]) == pytest.approx(most, rel=1e-4)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_a_small_change_has_the_same_norm_by_every_divergence(name):
    before = EVEN
    now = before * (1 + 0.02 * np.resize([1, -1], 32))
    divergence = DIVERGENCES[name](32)
    many = 1e9
    assert divergence.norm(divergence(now, before, many, many), many, many) == pytest.approx(0.02, rel=0.01)


@pytest.mark.parametrize("name", SHOWN)
def test_the_effect_that_is_shown_has_noise_taken_off(name):
    rng = np.random.default_rng(1)
    before = np.full(20, 0.05)
    rows, baseline_rows = 1_000, 5_000
    values = [
        float(SHOWN[name](rng.multinomial(rows, before) / rows, rng.multinomial(baseline_rows, before) / baseline_rows, rows, baseline_rows))
        for _ in range(300)
    ]
    assert SHOWN[name].effect(float(np.mean(values)) * 0.95, 20, rows, baseline_rows) == 0.0
    assert SHOWN[name].effect(float(np.mean(values)) * 1.1, 20, rows, baseline_rows) > 0.0


@pytest.mark.parametrize("name", STATISTICS)
def test_p_values_fall_with_the_shift_and_with_the_rows(name):
    test = calibrated(name, np.full(32, 1_000), 256, 1_024, 4_096)
    slope = np.linspace(-1, 1, 32)
    by_shift = [test.test(EVEN * (1 + shift * slope), 1_024)[1] for shift in (0.0, 0.3, 0.5, 0.8)]
    by_rows = [test.test(EVEN * (1 + 0.5 * slope), rows)[1] for rows in (256, 1_024, 4_096)]
    for p_values in (by_shift, by_rows):
        assert all(later < earlier for earlier, later in pairwise(p_values))
        assert p_values[-1] < 1e-6
    assert by_shift[0] > 0.9


@pytest.mark.parametrize("column", [np.random.default_rng(1).normal(size=2_000), np.array(list("aabc") * 500, dtype=object)], ids=["numbers", "levels"])
def test_merged_counts_give_the_same_result_and_few_rows_none(column):
    baseline = build_baseline({"f": column}, model="m", source="test", created_at_ns=0)
    everything = Statistics(tuple(NumericStatistic), tuple(CategoricalStatistic))
    tests, _ = feature_tests(baseline.features[0], baseline.rows, 0.001, everything)
    counts = np.random.default_rng(2).multinomial(500, np.array(baseline.features[0].counts) / 2_000)
    part = np.random.default_rng(3).binomial(counts, 0.3)
    whole, merged = Tally(counts.astype(float), 3, 0), Tally(part.astype(float), 1, 0).plus(Tally((counts - part).astype(float), 2, 0))
    for test in tests:
        if (step := test.missing_step(whole)) is not None:
            test.learn(step)
        assert test.result(News(whole)) == test.result(News(merged))
        for rows in (0, 1):
            few = np.zeros(len(counts))
            few[0] = rows
            result = test.result(News(Tally(few, 0, 0)))
            assert (result.p_value, result.effect) == (1.0, 0.0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", STATISTICS)
def test_p_values_are_not_too_small_for_nearly_every_baseline(name, shape):
    rng = np.random.default_rng(5)
    truth = SHAPES[shape]
    windows = rng.multinomial(ROWS, truth, 200) / ROWS
    bad, baselines, level = 0, 20, 0.1
    for _ in range(baselines):
        counts = np.maximum(rng.multinomial(BASELINE_ROWS, truth), 1).astype(float)
        cells = Cells(np.arange(len(counts)), counts, 1.0, RISK)
        first = cells.first if name in METRICS else cells.joined().first  # divergences are never asked of cells that are almost empty
        test = calibrated(name, np.add.reduceat(counts, first))
        passed = sum(test.test(window, ROWS)[1] <= level for window in np.add.reduceat(windows, first, axis=1))
        bad += stats.binomtest(passed, len(windows), level, alternative="greater").pvalue < 0.001
    assert bad <= stats.binom.ppf(0.999, baselines, RISK)


@pytest.mark.parametrize("name", STATISTICS)
def test_p_values_without_the_baselines_error_would_be_those_of_the_resampled_null(name):
    test = calibrated(name, np.full(32, 10_000_000))
    rng = np.random.default_rng(6)
    p_values = np.array([test.test(window, ROWS)[1] for window in rng.multinomial(ROWS, np.full(32, 1 / 32), 2_000) / ROWS])
    for level in (0.5, 0.1, 0.02):
        assert level * 0.5 < np.mean(p_values <= level) < level * 1.25  # counts go in steps, which are rounded up


@pytest.mark.parametrize("name", STATISTICS)
def test_a_change_is_seen(name):
    counts = np.full(32, 100)
    changed = np.repeat([2.0, 1.5, 0.5, 0.0], 8) / 32
    assert calibrated(name, counts).test(changed, ROWS)[1] < 1e-4
