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
