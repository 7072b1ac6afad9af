import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from detectors.chi_squared import ChiSquared


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=2, max_size=20))
def test_it_is_scipys_test_of_homogeneity(pairs):
    window, baseline = (np.array(counts) for counts in zip(*pairs, strict=True))
    expected = stats.chi2_contingency(np.array([window, baseline]), correction=False).statistic
    assert np.isclose(ChiSquared()(window / window.sum(), baseline / baseline.sum(), window.sum(), baseline.sum()), expected)


def test_a_cell_without_any_rows_adds_nothing():
    assert ChiSquared()(np.array([0.5, 0.5, 0.0]), np.array([0.5, 0.5, 0.0]), 10, 10) == 0.0
