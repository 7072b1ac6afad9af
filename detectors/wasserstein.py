"""Wasserstein-1: how far, on average, rows have to move for the window to look like the baseline.

    W = ∫ |F_window(x) − F_baseline(x)| dx ,   in standard deviations of the baseline

From counts: the integral between the centres of neighbouring bins. A pure shift of the mean by m standard deviations gives m.
Source: Vallender, "Calculation of the Wasserstein distance between probability distributions on the line", 1974.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from detectors.arrays import Floats
from detectors.statistic import Spread


class Wasserstein:
    """A metric on frequencies: the triangle inequality holds.

    >>> float(Wasserstein(np.array([0.0, 1.0, 4.0]), 2.0)(np.array([0.0, 0.5, 0.5]), np.array([0.5, 0.5, 0.0])))
    1.0
    """

    name: Final = "wasserstein"
    floor: Final = 0.1
    """A distance, in standard deviations, that is worth an alert."""

    def __init__(self, centres: Floats, standard_deviation: float) -> None:
        """`centres` are those of the bins, `standard_deviation` (above 0) is the baseline's."""
        self._positions = (centres - centres[0]) / standard_deviation
        self._gaps = np.diff(self._positions)

    def __call__(self, window: Floats, baseline: Floats) -> Floats:
        """Return the distances (standard deviations) of windows (… × bins) of frequencies from a baseline (bins)."""
        return np.asarray(np.abs(np.cumsum(window - baseline, axis=-1)[..., :-1]) @ self._gaps)

    def spread(self, frequencies: Floats) -> Spread:
        """Return what one row adds to the noise: the distance that noise makes most of is a shift of the mean."""
        from_mean = self._positions - frequencies @ self._positions
        variance = float(frequencies @ from_mean**2)
        variance_error = math.sqrt(max(0.0, float(frequencies @ from_mean**4) - variance**2))
        return Spread(variance=variance, variance_error=variance_error, largest=float(np.abs(from_mean).max()))
