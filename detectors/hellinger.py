"""Hellinger: the distance between the roots of the frequencies.

    H² = ½ · Σ (√w_i − √b_i)² = 1 − Σ √(w_i · b_i)

H is a metric between 0 and 1, the effect that is shown. The root makes the noise of all cells alike, whatever their size. Without any change the expectation of H² is
about (B − 1)·(1/n + 1/n₀) / 8, which the effect has taken off.
Source: Hellinger, "Neue Begründung der Theorie quadratischer Formen von unendlichvielen Veränderlichen", Journal für die reine und angewandte Mathematik 136, 1909;
its use for counts: Freeman and Tukey, "Transformations related to the angular and the square root", Annals of Mathematical Statistics 21, 1950.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from detectors.arrays import Floats


class Hellinger:
    """A divergence of frequencies.

    >>> round(float(Hellinger()(np.array([0.4, 0.6]), np.array([0.5, 0.5]), 1000.0, 5000.0)), 5)
    0.00506
    """

    name: Final = "hellinger"

    def __call__(self, window: Floats, baseline: Floats, rows: float, baseline_rows: float) -> Floats:  # noqa: ARG002 - it does not grow with the rows
        """Return H² (0 to 1) of windows (… × cells) of frequencies against a baseline (cells)."""
        return np.asarray(((np.sqrt(window) - np.sqrt(baseline)) ** 2).sum(axis=-1) / 2)

    def norm(self, value: Floats, rows: float, baseline_rows: float) -> Floats:  # noqa: ARG002 - likewise
        """Return the distance of which `value` is about the square."""
        return np.asarray(np.sqrt(8 * value))

    def effect(self, value: float, cells: int, rows: float, baseline_rows: float) -> float:
        """Return H (0 to 1) without what noise makes of it."""
        return math.sqrt(max(0.0, value - (cells - 1) * (1 / rows + 1 / baseline_rows) / 8))
