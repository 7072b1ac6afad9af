import numpy as np
import pytest
from scipy import stats

from detectors.psi import PopulationStability


def test_it_is_the_sum_of_both_relative_entropies():
    window, baseline = np.array([0.2, 0.3, 0.5]), np.array([0.4, 0.4, 0.2])
    many = 1e12  # rows: smoothing is nothing
    expected = stats.entropy(window, baseline) + stats.entropy(baseline, window)
    assert PopulationStability()(window, baseline, many, many) == pytest.approx(expected)


def test_empty_bins_stay_finite():
    value = PopulationStability()(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 100.0, 100.0)
    assert np.isfinite(value)
    assert value > 5


def test_its_bias_is_its_mean_when_nothing_has_changed():
    rng = np.random.default_rng(1)
    baseline = np.full(20, 0.05)
    values = [PopulationStability()(rng.multinomial(1_000, baseline) / 1_000, rng.multinomial(5_000, baseline) / 5_000, 1_000, 5_000) for _ in range(300)]
    assert np.mean(values) == pytest.approx(PopulationStability().bias(20, 1_000, 5_000), rel=0.1)
