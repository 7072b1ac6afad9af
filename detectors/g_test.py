"""G: twice the log of the likelihood ratio between one population for window and baseline, and one for each.

    G = 2 · Σ n·w_i · ln(w_i / p_i) + n₀·b_i · ln(b_i / p_i) ,   p_i the frequency in both together

To first order it is Pearson's chi-squared; it weighs cells that emptied more, and those that were almost empty and filled less. Its effect is the total variation.
Source: Wilks, "The likelihood test of independence in contingency tables", Annals of Mathematical Statistics 6, 1935.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import special

from detectors.arrays import Floats


class LikelihoodRatio:
    """A divergence of frequencies.

    >>> round(float(LikelihoodRatio()(np.array([0.4, 0.6]), np.array([0.5, 0.5]), 1000.0, 5000.0)), 2)
    33.6
    """

    name: Final = "g_test"

    def __call__(self, window: Floats, baseline: Floats, rows: float, baseline_rows: float) -> Floats:
        """Return G of windows (… × cells) of frequencies of `rows` against a baseline (cells) of `baseline_rows`."""
        pooled = (window * rows + baseline * baseline_rows) / (rows + baseline_rows)
        return np.asarray(2 * (rows * special.rel_entr(window, pooled) + baseline_rows * special.rel_entr(baseline, pooled)).sum(axis=-1))

    def norm(self, value: Floats, rows: float, baseline_rows: float) -> Floats:
        """Return the distance of which `value` is about the square, in units that do not grow with the rows."""
        return np.asarray(np.sqrt(np.maximum(value, 0.0) * (1 / rows + 1 / baseline_rows)))
