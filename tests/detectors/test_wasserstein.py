import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from detectors.wasserstein import Wasserstein


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 9)), min_size=2, max_size=20))
def test_it_is_scipys_distance_of_discrete_data_in_standard_deviations(rows):
    window, baseline, gaps = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    centres = np.cumsum(gaps)
    expected = stats.wasserstein_distance(centres, centres, window, baseline) / 2.5
    assert np.isclose(Wasserstein(centres, 2.5)(window / window.sum(), baseline / baseline.sum()), expected)


def test_the_spread_of_a_row_is_that_of_the_distribution():
    spread = Wasserstein(np.array([-1.0, 1.0]), 2.0).spread(np.array([0.5, 0.5]))
    assert spread.variance == pytest.approx(0.25)
    assert spread.variance_error == pytest.approx(0.0)
    assert spread.largest == pytest.approx(0.5)
