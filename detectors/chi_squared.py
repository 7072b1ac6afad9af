"""Pearson's chi-squared of homogeneity: the odds that window and baseline are samples of one population.

    X² = n·n₀/(n + n₀) · Σ (w_i − b_i)² / p_i ,   p_i the frequency in both together

On 16 coarse cells for numbers, where it sees a change of variance at once and Kolmogorov–Smirnov does not; on the levels for
categories. Its effect is the total variation (`total_variation`).
Source: Pearson, "On the probability that two independent distributions of frequency are really samples from the same population", Biometrika 8, 1911.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.arrays import Floats


class ChiSquared:
    """A divergence of frequencies.

    >>> round(float(ChiSquared()(np.array([0.4, 0.6]), np.array([0.5, 0.5]), 1000.0, 5000.0)), 2)
    33.37
    """

    name: Final = "chi_squared"

    def __call__(self, window: Floats, baseline: Floats, rows: float, baseline_rows: float) -> Floats:
        """Return X² of windows (… × cells) of frequencies of `rows` against a baseline (cells) of `baseline_rows`."""
        pooled = (window * rows + baseline * baseline_rows) / (rows + baseline_rows)
        terms = np.divide((window - baseline) ** 2, pooled, out=np.zeros_like(pooled), where=pooled > 0)
        return np.asarray(rows * baseline_rows / (rows + baseline_rows) * terms.sum(axis=-1))

    def norm(self, value: Floats, rows: float, baseline_rows: float) -> Floats:
        """Return the distance of which `value` is the square, in units that do not grow with the rows."""
        return np.asarray(np.sqrt(value * (1 / rows + 1 / baseline_rows)))
