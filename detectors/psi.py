"""Population stability index: the symmetrised Kullback–Leibler divergence of binned frequencies.

    PSI = Σ (w_i − b_i) · ln(w_i / b_i)

Half a row is added to each count so that empty bins stay finite. Even without any change its expectation is about
(B − 1)·(1/n + 1/n₀), which is why 64 bins at 1,000 rows put stationary windows past the customary 0.1; the effect that is shown has
that part taken off. Source: Siddiqi, "Credit Risk Scorecards", 2006; the bias: Yurdakul, "Statistical properties of PSI", 2018.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.arrays import Floats


class PopulationStability:
    """A divergence of frequencies.

    >>> round(float(PopulationStability()(np.array([0.4, 0.6]), np.array([0.5, 0.5]), 1000.0, 5000.0)), 4)
    0.0405
    """

    name: Final = "psi"

    def __call__(self, window: Floats, baseline: Floats, rows: float, baseline_rows: float) -> Floats:
        """Return the PSI of windows (… × cells) of frequencies of `rows` against a baseline (cells) of `baseline_rows`."""
        now, before = _smoothed(window, rows), _smoothed(baseline, baseline_rows)
        return np.asarray(((now - before) * np.log(now / before)).sum(axis=-1))

    def norm(self, value: Floats, rows: float, baseline_rows: float) -> Floats:  # noqa: ARG002 - PSI does not grow with the rows
        """Return the distance of which `value` is about the square."""
        return np.asarray(np.sqrt(value))

    def effect(self, value: float, cells: int, rows: float, baseline_rows: float) -> float:
        """Return the PSI without what noise makes of it."""
        return max(0.0, value - (cells - 1) * (1 / rows + 1 / baseline_rows))


def _smoothed(frequencies: Floats, rows: float) -> Floats:
    return np.asarray((frequencies * rows + 0.5) / (rows + frequencies.shape[-1] / 2))
