import numpy as np
import pytest
from scipy import stats

from detectors.effect import return_p_value, without_noise
from detectors.statistic import Spread

HALF = Spread(variance=0.25, variance_error=0.0, largest=0.0)


def test_what_noise_explains_is_no_effect():
    assert without_noise(0.03, 0.03**2) == 0.0
    assert without_noise(0.02, 0.03**2) == 0.0
    assert without_noise(-0.05, 0.03**2) == pytest.approx(0.04)


def test_return_is_not_believed_while_the_effect_is_at_its_floor():
    assert return_p_value(0.05, 0.05, HALF, 1_000) == 1.0
    assert return_p_value(0.2, 0.05, HALF, 1_000) == 1.0


def test_return_is_believed_by_the_rows_that_show_it():
    few, many = (return_p_value(0.02, 0.05, HALF, rows) for rows in (1_000, 10_000))
    assert many < few
    assert many == pytest.approx(stats.norm.sf(0.03 * 100 / 0.5))


def test_a_true_effect_at_the_floor_is_seldom_taken_for_a_return():
    rng = np.random.default_rng(1)
    distances = np.abs(rng.binomial(2_000, 0.55, 2_000) / 2_000 - 0.5)
    p_values = [return_p_value(distance, 0.05, HALF, 2_000) for distance in distances]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.07
