import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.binning import BINS, LARGEST_VALUE, Binner, bin_numbers, quantile_edges

NUMBERS = st.floats(-LARGEST_VALUE, LARGEST_VALUE)


def counted(edges, values):
    matrix = np.array([values], dtype=np.float64)
    binner = Binner([edges])
    return binner.count(binner.bins_of(matrix), np.ones(matrix.shape, dtype=bool))[0].tolist()


@given(st.lists(NUMBERS, min_size=1, max_size=200), st.lists(NUMBERS, min_size=1, max_size=50))
def test_the_look_up_agrees_with_the_search_for_any_numbers(baseline, values):
    edges = quantile_edges(np.array(baseline))
    values = values + list(edges) + [np.nextafter(edge, -np.inf) for edge in edges]
    expected = np.bincount(bin_numbers(np.array(values), edges), minlength=len(edges) + 1)
    assert counted(edges, values) == expected.tolist()


@given(st.lists(NUMBERS, min_size=1, max_size=300))
def test_edges_increase_and_make_no_more_bins_than_asked(values):
    edges = quantile_edges(np.array(values))
    assert all(low < high for low, high in itertools.pairwise(edges))
    assert len(edges) < BINS


def test_bins_of_a_continuous_feature_have_equal_shares():
    values = np.random.default_rng(1).normal(size=6_400)
    counts = np.bincount(bin_numbers(values, quantile_edges(values)), minlength=BINS)
    assert counts.min() >= 99
    assert counts.max() <= 101


def test_a_few_distinct_values_get_a_bin_each_and_one_on_either_side():
    values = np.array([0.0, 1.0, 1.0, 5.0])
    edges = quantile_edges(values)
    assert bin_numbers(np.array([-1.0, 0.0, 1.0, 5.0, 6.0]), edges).tolist() == [0, 1, 2, 3, 4]


def test_a_constant_feature_has_a_bin_for_less_and_one_for_more():
    assert bin_numbers(np.array([4.9, 5.0, 5.1]), quantile_edges(np.full(100, 5.0))).tolist() == [0, 1, 2]


def test_a_frequent_value_among_many_has_a_bin_of_its_own():
    values = np.concatenate([np.zeros(500), np.random.default_rng(2).exponential(size=500) + 1e-6])
    edges = quantile_edges(values)
    counts = np.bincount(bin_numbers(values, edges), minlength=len(edges) + 1)
    assert counts.max() == 500


def test_features_with_different_numbers_of_bins_are_counted_together():
    edges = [quantile_edges(np.arange(1000.0)), quantile_edges(np.full(9, 5.0)), ()]
    values = np.array([[-1.0, 2000.0, 0.0], [5.0, 4.0, 5.0], [1.0, 2.0, 3.0]])
    valid = np.array([[True, True, True], [True, True, False], [True, True, True]])
    binner = Binner(edges)
    counts = binner.count(binner.bins_of(values), valid)
    assert counts[0, 0] == 2
    assert counts[0, BINS - 1] == 1
    assert counts[1, :3].tolist() == [1, 1, 0]
    assert counts[2, 0] == 3
    assert counts.sum() == 8


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1.0, 1e120])
def test_features_of_any_scale_are_binned(scale):
    values = np.random.default_rng(3).normal(size=2_000) * scale
    edges = quantile_edges(values)
    assert counted(edges, values) == np.bincount(bin_numbers(values, edges), minlength=len(edges) + 1).tolist()
