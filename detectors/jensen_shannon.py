"""Jensen–Shannon: how many bits a row tells of whether it came from the window or from the baseline.

    J = ½ · Σ w_i · log₂(w_i / m_i) + ½ · Σ b_i · log₂(b_i / m_i) ,   m = (w + b)/2

Its root is a metric between 0 and 1, the effect that is shown. Empty cells are finite by themselves. Without any change the expectation of J is about
(B − 1)·(1/n + 1/n₀) / (8 ln 2), which the effect has taken off.
Sources: Lin, "Divergence measures based on the Shannon entropy", IEEE Transactions on Information Theory 37, 1991; Endres and Schindelin, "A new metric for
probability distributions", ibid. 49, 2003.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from scipy import special

from detectors.arrays import Floats

_BITS: Final = 8 * math.log(2)
"""The square of a small Euclidean distance (of chi-squared) in J's units."""


class JensenShannon:
    """A divergence of frequencies.

    >>> round(float(JensenShannon()(np.array([0.4, 0.6]), np.array([0.5, 0.5]), 1000.0, 5000.0)), 5)
    0.0073
    """

    name: Final = "jensen_shannon"

    def __call__(self, window: Floats, baseline: Floats, rows: float, baseline_rows: float) -> Floats:  # noqa: ARG002 - it does not grow with the rows
        """Return J (0 to 1) of windows (… × cells) of frequencies against a baseline (cells)."""
        middle = (window + baseline) / 2
        return np.asarray((special.rel_entr(window, middle) + special.rel_entr(baseline, middle)).sum(axis=-1) / math.log(4))

    def norm(self, value: Floats, rows: float, baseline_rows: float) -> Floats:  # noqa: ARG002 - likewise
        """Return the distance of which `value` is about the square."""
        return np.asarray(np.sqrt(_BITS * np.maximum(value, 0.0)))

    def effect(self, value: float, cells: int, rows: float, baseline_rows: float) -> float:
        """Return the root of J (0 to 1) without what noise makes of it."""
        return math.sqrt(max(0.0, value - (cells - 1) * (1 / rows + 1 / baseline_rows) / _BITS))
