import numpy as np
import pytest
from scipy import integrate, special

from detectors.weighted_chi_squared import WeightedChiSquared

P_VALUES = np.array([0.99, 0.9, 0.7, 0.5, 0.3, 0.1, 0.05, 0.01])


def imhof(weights, x, shift_square):
    """P(Q > x) by the inversion of the characteristic function (Imhof 1961)."""
    shifts = np.zeros(len(weights))
    shifts[0] = shift_square / weights[0]

    def integrand(u):
        turned = (weights * u) ** 2
        angle = np.sum(np.arctan(weights * u) + shifts * weights * u / (1 + turned)) / 2 - x * u / 2
        damping = np.prod((1 + turned) ** 0.25) * np.exp(np.sum(shifts * turned / (1 + turned)) / 2)
        return np.sin(angle) / (u * damping)

    return 0.5 + integrate.quad(integrand, 0, np.inf, limit=500, epsabs=1e-8)[0] / np.pi


@pytest.mark.parametrize("alike", [1, 2, 10, 200])
def test_equal_weights_give_chi_squared(alike):
    found = WeightedChiSquared(np.full(alike, 0.5))
    exact = special.chdtri(alike, P_VALUES) / 2
    assert found.tail(exact) == pytest.approx(P_VALUES, rel=0.06)


@pytest.mark.parametrize("shift_square", [0.0, 0.5, 5.0])
@pytest.mark.parametrize("weights", [np.geomspace(1, 0.001, 50), np.geomspace(0.05, 1e-6, 256)], ids=["50", "256"])
def test_the_tail_is_that_of_the_inverted_characteristic_function(weights, shift_square):
    found = WeightedChiSquared(weights, shift_square)
    x = found.quantiles(1 - P_VALUES)
    assert np.all(np.diff(x) > 0)
    assert found.tail(x) == pytest.approx(P_VALUES, rel=1e-6)
    assert [imhof(weights, each, shift_square) for each in x] == pytest.approx(P_VALUES, rel=0.06)


def test_a_shift_moves_the_mean():
    assert WeightedChiSquared(np.array([1.0, 0.5]), shift_square=2.0).mean == 3.5
