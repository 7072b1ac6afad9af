"""Weighted sums of chi-squared variables: what the squared distance of a mean from a point is, where the mean is normal.

    Q = Σ λᵢ · (Zᵢ + aᵢ)² ,   Zᵢ standard normal

has the cumulant generating function K(s) = Σ (λᵢaᵢ²s/(1 − 2λᵢs) − ln(1 − 2λᵢs)/2). The saddle point of x, where K′(s) = x, gives its tail

    P(Q > x) ≈ 1 − Φ(w + ln(v/w)/w) ,   w = sign(s)·√(2(s·x − K(s))) ,   v = s·√K″(s)

Here s runs over a grid and x follows from it, so that nothing is solved for: a curve of points (x, p), between which p is read off. Down to p = 0.01, where `calibration` takes
over, p is within 6% of what the inversion of the characteristic function gives (Imhof); the error is largest with few variables (`tests/detectors/test_weighted_chi_squared.py`).
Sources: Kuonen, "Saddlepoint approximations for distributions of quadratic forms in normal variables", 1999; Imhof 1961; Lugannani and Rice 1980.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import special

from detectors.arrays import Floats

_UPPER: Final = 1 - np.geomspace(1.0, 1e-4, 160)[1:]  # of the largest s that there is
_LOWER: Final = -np.geomspace(1e-3, 1e5, 120)


class WeightedChiSquared:
    """The distribution of Q.

    >>> two = WeightedChiSquared(np.array([1.0, 1.0]))  # twice an exponential variable
    >>> round(float(two.tail(np.array([6.0]))[0]), 3), round(float(two.quantiles(np.array([0.95]))[0]), 1)
    (0.051, 6.0)
    """

    def __init__(self, weights: Floats, shift_square: float = 0.0) -> None:
        """`weights` are the λ, above 0, the largest first; `shift_square` is λ₁·a₁², the square of a shift along the first direction."""
        self.mean: Final = float(weights.sum()) + shift_square
        s = np.concatenate([_LOWER[::-1] / weights.sum(), _UPPER / (2 * weights[0])])
        inverse = 1 / (1 - 2 * np.outer(s, weights))
        ratios = weights * inverse
        x = ratios.sum(axis=1) + shift_square * inverse[:, 0] ** 2
        curvature = 2 * (ratios**2).sum(axis=1) + 4 * shift_square * weights[0] * inverse[:, 0] ** 3
        generating = np.log(inverse).sum(axis=1) / 2 + shift_square * s * inverse[:, 0]
        w = np.sign(s) * np.sqrt(np.maximum(2 * (s * x - generating), 0.0))
        v = s * np.sqrt(curvature)
        told = np.abs(w) > 0.05  # nearer to the mean the formula is 0/0
        normal = w[told] + np.log(v[told] / w[told]) / w[told]
        self._x = np.concatenate([[0.0], x[told]])
        self._z = np.concatenate([[-40.0], np.maximum.accumulate(normal)])

    def tail(self, x: Floats) -> Floats:
        """Return P(Q > x) of each x."""
        return np.asarray(special.ndtr(-np.interp(x, self._x, self._z)))

    def quantiles(self, levels: Floats) -> Floats:
        """Return the values that Q is below with these probabilities."""
        return np.asarray(np.interp(special.ndtri(levels), self._z, self._x))
