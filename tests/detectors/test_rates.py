import numpy as np
import pytest
from scipy import stats

from detectors.rates import MissingRateTest, NonFiniteRateTest, OtherRateTest, OutOfRangeRateTest, TypeChangeRateTest, UnseenRateTest
from detectors.tally import News, Tally


def tally(*counts, absent=0, unseen=0):
    return Tally(np.array(counts, dtype=float), absent, unseen)


def test_missing_rows_are_counted_of_all_rows():
    test = MissingRateTest(0, 5_000, 1.0, 0.001)
    result = test.result(News(tally(900, absent=100)))
    assert result.statistic == 0.1
    assert result.p_value < 1e-20
    assert result.effect == pytest.approx(0.1, rel=0.01)


def test_unseen_levels_are_tested_for_more_than_good_and_turing_expect_and_never_for_fewer():
    test = UnseenRateTest(100, 20, 5_000, 1.0, 0.001)
    assert test.result(News(tally(1_000, unseen=0))).p_value == 1.0
    assert test.result(News(tally(1_000, unseen=25))).p_value > 0.1
    assert test.result(News(tally(1_000, unseen=100))).p_value < 1e-6


def test_a_rare_level_that_becomes_frequent_is_seen():
    test = OtherRateTest(10, 5_000, 1.0, 0.001)
    assert test.result(News(tally(998, 2, 0))).p_value > 0.2
    assert test.result(News(tally(950, 50, 0))).p_value < 1e-6


def test_a_window_without_rows_says_nothing():
    result = MissingRateTest(0, 5_000, 1.0, 0.001).result(News(tally(0)))
    assert (result.statistic, result.p_value, result.effect) == (0.0, 1.0, 0.0)


def test_fewer_independent_rows_make_a_difference_less_strange():
    window = tally(970, absent=30)
    independent, dependent = MissingRateTest(25, 5_000, 1.0, 0.001), MissingRateTest(25, 5_000, 4.0, 0.001)
    p_value = independent.result(News(window)).p_value
    assert dependent.result(News(window)).p_value > p_value
    assert independent.result(News(window.scaled(0.25))).p_value > p_value


def test_where_only_a_part_of_a_deviation_shows_less_of_it_is_put_down_to_the_baseline():
    test, window = MissingRateTest(25, 5_000, 1.0, 0.001), tally(988, absent=12)
    assert test.result(News(window, 0.2)).p_value < test.result(News(window)).p_value


@pytest.mark.parametrize(("test", "field"), [(NonFiniteRateTest, "non_finite"), (TypeChangeRateTest, "type_changes")])
def test_rows_without_a_usable_value_are_told_apart_by_why(test, field):
    window = News(Tally(np.array([900.0]), 100.0, 0.0)._replace(**{field: 60.0}))
    assert test(0, 5_000, 1.0, 0.001).result(window).statistic == 0.06
    assert MissingRateTest(0, 5_000, 1.0, 0.001).result(window).statistic == 0.04
    nothing = test(0, 5_000, 1.0, 0.001).result(News(tally(1_000)))
    assert (nothing.statistic, nothing.p_value, nothing.effect) == (0, 1, 0)


@pytest.mark.parametrize("design_effect", [1.0, 4.0])
def test_values_out_of_range_hold_for_nearly_every_baseline_whatever_the_distribution(design_effect):
    """The share outside the smallest and largest of n rows is a Beta(2, n − 1), and no more than its bound in all but one of a thousand baselines."""
    rng = np.random.default_rng(5)
    independent, risk, rows, bad = 500, 0.01, 20_000, 0
    test = OutOfRangeRateTest(independent * design_effect, design_effect, risk)
    for _ in range(1_000):
        baseline = rng.uniform(size=independent)
        outside = 1 - (baseline.max() - baseline.min())
        bad += test.result(News(Tally(np.array([float(rows)]), 0, 0, out_of_range=outside * rows))).p_value < 0.3
    assert bad <= stats.binom.ppf(0.999, 1_000, risk)
    assert test.result(News(Tally(np.array([1_000.0]), 0, 0, out_of_range=60))).p_value < 1e-6
