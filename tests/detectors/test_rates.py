import numpy as np
import pytest
from scipy import stats

from detectors.rates import CalibratedRate, MissingRateTest, OtherRateTest, UnseenRateTest
from detectors.tally import News, Tally


def tally(*counts, absent=0, unseen=0):
    return Tally(np.array(counts, dtype=float), absent, unseen)


def test_the_p_value_is_the_binomial_tail_at_the_baselines_upper_bound():
    risk, rate = 0.01, CalibratedRate(50, 5_000, 0.01)
    upper = stats.binomtest(50, 5_000).proportion_ci(1 - risk, method="exact").high
    assert rate.p_value(25, 1_000) == pytest.approx(2 * stats.binom.sf(24, 1_000, upper))


def test_too_few_events_are_as_strange_as_too_many():
    rate = CalibratedRate(2_500, 5_000, 0.001)
    assert rate.p_value(300, 1_000) < 1e-9
    assert rate.p_value(700, 1_000) < 1e-9
    assert rate.p_value(500, 1_000) == 1.0


@pytest.mark.parametrize(("events", "rows"), [(0, 5_000), (5_000, 5_000)])
def test_a_rate_of_none_or_of_all_is_not_taken_for_certain(events, rows):
    rate = CalibratedRate(events, rows, 0.001)
    assert 0 < rate.tolerance < 0.01
    assert rate.p_value(events / 5, 1_000) == 1.0


@pytest.mark.parametrize("true_rate", [0.002, 0.02, 0.3])
def test_it_holds_for_nearly_every_baseline_that_could_have_been_drawn(true_rate):
    rng = np.random.default_rng(4)
    risk, level, windows = 0.05, 0.1, rng.binomial(500, true_rate, 200)
    bad = 0
    for events in rng.binomial(1_000, true_rate, 200):
        rate = CalibratedRate(float(events), 1_000, risk)
        passed = sum(rate.p_value(float(count), 500) <= level for count in windows)
        bad += stats.binomtest(passed, len(windows), level, alternative="greater").pvalue < 0.001
    assert bad <= stats.binom.ppf(0.999, 200, risk)


def test_return_is_believed_only_near_the_baselines_rate():
    rate = CalibratedRate(100, 10_000, 0.001)
    assert rate.return_p_value(100, 10_000, 0.01) < 1e-6
    assert rate.return_p_value(200, 10_000, 0.01) > 0.4


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
