import numpy as np
import pytest
from scipy import stats

from detectors.calibration import CalibratedMetric, Null, Throw, step_of, throw
from detectors.ks import KolmogorovSmirnov
from detectors.statistic import Spread

ROWS = 256
RISK = 0.05


def test_a_smaller_baseline_tolerates_more():
    tolerances = [CalibratedMetric(KolmogorovSmirnov(), np.full(32, rows / 32), float(rows), RISK).tolerance for rows in (500, 2_000, 50_000)]
    assert tolerances == sorted(tolerances, reverse=True)
    assert tolerances[2] < 0.01


def test_the_tolerance_is_kolmogorovs_quantile():
    calibration = CalibratedMetric(KolmogorovSmirnov(), np.full(64, 100.0), 6_400.0, 0.001)
    assert calibration.tolerance == pytest.approx(stats.kstwobign.isf(0.001) / np.sqrt(6_400), rel=0.1)


def test_the_tail_of_a_normal_norm_is_extrapolated_without_falling_below_the_truth():
    norms = np.abs(np.random.default_rng(7).normal(size=4_096)) / 10
    null = Null(norms, 100.0, Spread(variance=1.0, variance_error=0.0, largest=0.0))
    for z in (3.0, 4.0, 6.0, 8.0):
        truth = 2 * stats.norm.sf(z)
        assert truth * 0.8 < null.p_value(z / 10) < truth * 30


def test_the_tail_of_rare_events_is_extrapolated_without_falling_below_the_truth():
    rng = np.random.default_rng(8)
    rate, rows = 0.002, 500
    null = Null(rng.binomial(rows, rate, 4_096) / rows, rows, Spread(variance=rate, variance_error=0.0, largest=1.0))
    for count in (4, 6, 8, 12):
        assert null.p_value(count / rows) > stats.binom.sf(count - 1, rows, rate) * 0.5


def test_p_values_fall_as_the_norm_grows_and_never_reach_zero():
    null = Null(np.random.default_rng(9).random(4_096), 100.0, Spread(variance=1.0, variance_error=0.0, largest=1.0))
    p_values = [null.p_value(norm) for norm in np.linspace(0, 1_000, 5_000)]
    assert p_values[0] == 1.0
    assert p_values == sorted(p_values, reverse=True)
    assert p_values[-1] > 0


def test_the_norm_that_is_exceeded_with_a_risk_has_that_p_value():
    null = Null(np.random.default_rng(10).random(4_096), 100.0, Spread(variance=0.5, variance_error=0.0, largest=2.0))
    for risk in (1e-3, 1e-5, 1e-9):
        assert null.p_value(null.exceeded_with(risk)) == pytest.approx(risk, rel=1e-3)


def test_throws_have_the_frequencies_and_the_noise_of_a_multinomial():
    expected = np.array([0.125, 0.25, 0.625])
    frequencies = throw(step_of(ROWS)).frequencies(np.array([0, 256, 768, 2048]), expected)
    assert frequencies.mean(axis=0) == pytest.approx(expected, abs=0.003)
    assert frequencies.var(axis=0) == pytest.approx(expected * (1 - expected) / ROWS, rel=0.1)


def test_large_windows_have_small_noise():
    thrown = Throw(step_of(1_000_000))
    frequencies = thrown.frequencies(np.array([0, 1024, 2048]), np.array([0.5, 0.5]))
    assert frequencies.std(axis=0) == pytest.approx(0.5 / np.sqrt(thrown.rows), rel=0.1)


def test_throws_are_the_same_on_every_replica():
    boundaries, expected = np.array([0, 512, 2048]), np.array([0.25, 0.75])
    assert np.array_equal(Throw(40).frequencies(boundaries, expected), Throw(40).frequencies(boundaries, expected))


@pytest.mark.parametrize("rows", [8, 200, 1_000, 1_000_000])
def test_a_window_is_judged_as_one_that_is_not_larger_and_not_much_smaller(rows):
    assert 0.9 * rows <= 2 ** (step_of(rows) / 8) <= rows
