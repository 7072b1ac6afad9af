from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from detectors.two_proportions import CalibratedRate


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


def test_p_values_fall_with_the_excess_and_with_the_rows():
    rate = CalibratedRate(100, 5_000, 0.001)
    by_excess = [rate.p_value(events, 1_000) for events in (20, 40, 60, 100)]
    by_rows = [rate.p_value(0.05 * rows, rows) for rows in (200, 1_000, 5_000)]
    for p_values in (by_excess, by_rows):
        assert all(later < earlier for earlier, later in pairwise(p_values))
        assert p_values[-1] < 1e-9
    assert by_excess[0] == 1.0


@pytest.mark.parametrize(("events", "p_value"), [(0, 1.0), (1, pytest.approx(0.06, abs=0.02))])
def test_one_row_says_little(events, p_value):
    assert CalibratedRate(100, 5_000, 0.001).p_value(events, 1) == p_value
