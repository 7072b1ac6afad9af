"""Kolmogorov–Smirnov: the largest gap between two distribution functions.

    D = max over bins i of |F_window(i) − F_baseline(i)|

On 64 bins it loses nothing measurable against the exact statistic, once it is calibrated on its own grid of values.
Source: Smirnov, "Table for estimating the goodness of fit of empirical distributions", 1948.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from detectors.arrays import Floats
from detectors.statistic import Spread


class KolmogorovSmirnov:
    """A metric on frequencies: the triangle inequality holds.

    >>> float(KolmogorovSmirnov()(np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.25, 0.5])))
    0.5
    """

    name: Final = "ks"
    floor: Final = 0.05
    """A distance that is worth an alert."""

    def __call__(self, window: Floats, baseline: Floats) -> Floats:
        """Return the distances (0 to 1) of windows (… × bins) of frequencies from a baseline (bins)."""
        return np.asarray(np.abs(np.cumsum(window - baseline, axis=-1)).max(axis=-1))

    def spread(self, frequencies: Floats) -> Spread:
        """Return what one row adds to the noise: that of the distribution function where it varies most."""
        below = np.cumsum(frequencies)
        share = float(below[np.argmax(below * (1 - below))])
        variance = share * (1 - share)
        return Spread(variance=variance, variance_error=abs(1 - 2 * share) * math.sqrt(variance), largest=1.0)
