import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.random_features import FEATURES, SCALE, VectorCounter, VectorTally, features_of, waves
from detectors.reconstruction import MAX_COMPONENTS, principal_components, reconstruction_errors
from detectors.vectors import STEPS, WIDEST, Lattice, folded, folded_width, median_distance, usable

RNG = np.random.default_rng(3)


def vectors(rows, width, scale=1.0, seed=0):
    return (np.random.default_rng(seed).normal(size=(rows, width)) * scale).astype(np.float32)


def waves_of(rows, bandwidth):
    return waves(Lattice(np.zeros(rows.shape[1], dtype=np.float32), bandwidth).points(rows).offsets)


def test_products_of_features_are_the_gaussian_kernel():
    rows = vectors(200, 40)
    features = features_of(waves_of(rows, 9.0))
    squares = ((rows[:, None].astype(float) - rows) ** 2).sum(axis=2)
    kernel = np.exp(-squares / (2 * 81.0))
    assert np.abs(features @ features.T - kernel).mean() < 0.06
    assert (features**2).sum(axis=1) == pytest.approx(1.0, abs=1e-3)


def test_frequencies_are_the_same_for_ever():
    found = waves(np.eye(3) * STEPS)  # a bandwidth along each axis: the cosines of the frequencies
    assert found[:, :3].tolist() == [[3847, 3349, -688], [1663, 3474, 3999], [1625, 855, 3494]]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1_000), st.lists(st.integers(0, 90), max_size=6), st.randoms(), st.sampled_from([1e-20, 1.0, 1e12]))
def test_any_split_of_the_rows_gives_the_same_sums_exactly(seed, cuts, random, scale):
    rows = vectors(90, 130, scale, seed)
    order = np.arange(90)
    random.shuffle(order)
    whole, split = VectorCounter(), VectorCounter()
    whole.add(waves_of(rows, 16 * scale))
    bounds = [0, *sorted(cuts), 90]
    for first, last in itertools.pairwise(bounds):
        split.add(waves_of(rows[order[first:last]], 16 * scale))
    assert split.summary() == whole.summary()
    assert whole.summary().rows == 90


def test_a_counter_goes_on_from_its_summary_and_begins_anew():
    first, second = VectorCounter(), VectorCounter()
    first.add(waves_of(vectors(20, 9), 3.0))
    second.resume(first.summary())
    second.add(np.zeros((3, FEATURES), dtype=np.int16))  # rows without a vector
    assert second.summary() == first.summary()
    second.clear()
    assert (second.summary().rows, sum(second.summary().sums)) == (0, 0)


def test_a_tally_is_a_mean_that_adds_up():
    counter = VectorCounter()
    counter.add(waves_of(vectors(50, 9), 3.0))
    tally = VectorTally.of(counter.summary())
    assert np.linalg.norm(tally.frequencies()) <= 1 + 1 / SCALE
    assert tally.plus(tally).frequencies() == pytest.approx(tally.frequencies())
    assert tally.scaled(0.1).rows == pytest.approx(5.0)
    restored = VectorTally.restored(tally.state())
    assert (restored.rows, restored.sums.tolist()) == (tally.rows, tally.sums.tolist())
    assert VectorTally(np.zeros(FEATURES), 0).frequencies().tolist() == [0.0] * FEATURES


@pytest.mark.parametrize("dimension", [1, 2048, 2049, 5_000, 100_000])
def test_wide_vectors_are_folded_and_keep_their_distances(dimension):
    rows = np.random.default_rng(1).normal(size=(6, dimension))
    found = folded(rows)
    assert found.dtype == np.float32
    assert found.shape == (6, folded_width(dimension))
    assert found.shape[1] <= WIDEST
    before = np.linalg.norm(rows[:3] - rows[3:], axis=1)
    assert np.linalg.norm(found[:3] - found[3:], axis=1) == pytest.approx(before, rel=0.1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e35])
def test_a_vector_with_a_value_that_is_none_is_not_usable(value):
    rows = np.ones((3, 5_000))
    rows[1, 17] = value
    assert usable(folded(rows)).tolist() == [True, False, True]
    assert usable(folded(rows[:, :40])).tolist() == [True, False, True]


def test_the_bandwidth_is_the_median_distance():
    rows = vectors(3_000, 50)
    assert median_distance(rows) == pytest.approx(10.0, rel=0.02)
    assert median_distance(rows * 1e-6) == pytest.approx(1e-5, rel=0.02)


def test_the_bandwidth_of_vectors_that_do_not_vary_is_their_length():
    assert median_distance(np.full((10, 4), 3.0, dtype=np.float32)) == pytest.approx(6.0)
    assert median_distance(np.zeros((10, 4), dtype=np.float32)) == 1.0
    assert median_distance(np.empty((0, 4), dtype=np.float32)) == 1.0
    assert median_distance(np.ones((1, 4), dtype=np.float32)) == pytest.approx(2.0)
    mostly_alike = np.concatenate([np.zeros((99, 4)), np.ones((1, 4))]).astype(np.float32)
    assert median_distance(mostly_alike) == pytest.approx(2.0)


def test_components_explain_what_varies_most():
    directions = np.linalg.qr(RNG.normal(size=(60, 3)))[0].T
    points = (RNG.normal(size=(500, 3)) * [300, 200, 100]) @ directions + RNG.normal(size=(500, 60))
    found = principal_components(points) * 2.0**-14
    assert found @ found.T == pytest.approx(np.eye(len(found)), abs=1e-3)
    assert np.abs(found[0] @ directions[0]) > 0.99
    assert len(found) == 2  # nine and four of fourteen parts of the variance are more than four fifths


def test_there_are_no_more_components_than_rows_or_the_bound_allow():
    assert len(principal_components(RNG.normal(size=(500, 300)) * 1000)) == MAX_COMPONENTS
    assert len(principal_components(RNG.normal(size=(3, 300)) * 1000)) <= 3
    assert principal_components(np.ones((50, 300))).shape == (0, 300)
    assert principal_components(np.empty((0, 300))).shape == (0, 300)


def test_the_error_is_the_part_that_the_components_do_not_explain():
    points = np.rint(RNG.normal(size=(40, 30)) * 1000)
    assert reconstruction_errors(points, np.empty((0, 30), dtype=np.int16), 0.5) == pytest.approx(np.linalg.norm(points, axis=1) * 0.5)
    everything = np.rint(np.eye(30) * 2**14).astype(np.int16)
    assert reconstruction_errors(points, everything, 0.5) == pytest.approx(0.0, abs=1e-3)
