import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from detectors.ks import KolmogorovSmirnov

COUNTS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=2, max_size=20).filter(
    lambda pairs: any(a for a, _ in pairs) and any(b for _, b in pairs)
)


@given(COUNTS)
def test_it_is_scipys_two_sample_statistic_of_discrete_data(pairs):
    window, baseline = (np.array(counts) for counts in zip(*pairs, strict=True))
    values = np.arange(len(window))
    expected = stats.ks_2samp(np.repeat(values, window), np.repeat(values, baseline), method="asymp").statistic
    assert np.isclose(KolmogorovSmirnov()(window / window.sum(), baseline / baseline.sum()), expected)


def test_it_takes_many_windows_at_once():
    baseline = np.array([0.5, 0.5])
    assert KolmogorovSmirnov()(np.array([[0.5, 0.5], [1.0, 0.0]]), baseline).tolist() == [0.0, 0.5]


def test_one_row_adds_most_noise_where_the_distribution_is_halved():
    spread = KolmogorovSmirnov().spread(np.array([0.25, 0.25, 0.5]))
    assert (spread.variance, spread.variance_error) == (0.25, 0.0)
