"""Total variation: the share of rows that would have to change cell for the window to look like the baseline.

    T = ½ · Σ |w_i − b_i|

What people read as "points of share that moved"; the effect of chi-squared and of G.
Source: Levin, Peres and Wilmer, "Markov Chains and Mixing Times", 2009, §4.1.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.arrays import Floats
from detectors.statistic import Spread


class TotalVariation:
    """A metric on frequencies: the triangle inequality holds.

    >>> float(TotalVariation()(np.array([0.4, 0.6]), np.array([0.5, 0.5])).round(6))
    0.1
    """

    name: Final = "total_variation"
    floor: Final = 0.05
    """A distance between levels that is worth an alert."""

    def __call__(self, window: Floats, baseline: Floats) -> Floats:
        """Return the distances (0 to 1) of windows (… × cells) of frequencies from a baseline (cells)."""
        return np.asarray(np.abs(window - baseline).sum(axis=-1) / 2)

    def spread(self, frequencies: Floats) -> Spread:  # noqa: ARG002 - the bound holds for any
        """Return what one row adds to the noise at most: that of the frequency of one half of the cells."""
        return Spread(variance=0.25, variance_error=0.0, largest=1.0)
