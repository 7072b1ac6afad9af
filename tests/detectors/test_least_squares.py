import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import optimize

from detectors.least_squares import non_negative_least_squares

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 9))
NUMBERS = st.floats(-100, 100).map(lambda number: round(number, 3))


@st.composite
def problems(draw):
    shape = draw(SHAPES)
    return draw(arrays(np.float64, shape, elements=NUMBERS)), draw(arrays(np.float64, shape[0], elements=NUMBERS))


@given(problems())
def test_no_solution_without_negative_coefficients_is_closer(problem) -> None:
    matrix, target = problem
    found = non_negative_least_squares(matrix, target)
    assert found.min() >= 0
    theirs = optimize.lsq_linear(matrix, target, bounds=(0, np.inf), method="bvls").x
    scale = max(1.0, float(np.linalg.norm(target)))
    assert np.linalg.norm(matrix @ found - target) <= np.linalg.norm(matrix @ theirs - target) + 1e-6 * scale


def test_growth_curves_are_taken_apart_as_by_scipy() -> None:
    lengths = 4.0 * 2 ** np.arange(9)
    matrix = np.array([[1 - (1 - np.exp(-length / memory)) / (length / memory) for memory in 4.0 ** np.arange(6)] for length in lengths])
    random = np.random.default_rng(7)
    for _ in range(200):
        target = matrix @ (random.exponential(5, size=6) * (random.random(6) < 0.4)) + random.normal(0, 0.2, size=len(lengths))
        theirs = optimize.lsq_linear(matrix, target, bounds=(0, np.inf), method="bvls").x
        assert non_negative_least_squares(matrix, target) == pytest.approx(theirs, abs=1e-6)


def test_nothing_is_explained_by_nothing() -> None:
    assert non_negative_least_squares(np.zeros((3, 2)), np.ones(3)).tolist() == [0.0, 0.0]
    assert non_negative_least_squares(np.ones((3, 2)), np.zeros(3)).tolist() == [0.0, 0.0]
