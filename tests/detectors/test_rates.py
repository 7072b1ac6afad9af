import numpy as np
import pytest

from detectors.rates import MissingRateTest, OtherRateTest, UnseenRateTest
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
