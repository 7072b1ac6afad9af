"""Maximum mean discrepancy: how far the distribution of a window's vectors is from the baseline's.

    MMD = |mean of φ over the window − mean of φ over the baseline|

with φ the random features of `random_features`: 0 where the distributions are the same, and about 0.05 where all values have moved by a tenth of a standard deviation, or five
rows of a hundred are of a kind never seen. With Σ the covariance of φ in the baseline, λ its eigenvalues, and n rows,

    MMD² of a window  ~  Σ λᵢ (Zᵢ + aᵢ)² / n

a weighted chi-squared (`weighted_chi_squared`), so that nothing is permuted. The shift a is the baseline's own error: the truth lies within a distance τ of it, exceeded with
probability `risk`, and the tail of the sum is largest where it lies along the first eigenvector. Past the 100th part the tail is that of `calibration`, which allows for means of
few rows that are not yet normal. Source: Gretton, Borgwardt, Rasch, Schölkopf and Smola, "A kernel two-sample test", 2012.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
from scipy import special

from detectors.calibration import SMALLEST_ROWS, STEPS_PER_DOUBLING, Null, step_of
from detectors.effect import NOISE_BELOW_FLOOR, return_p_value, without_noise
from detectors.random_features import VectorTally
from detectors.statistic import Spread
from detectors.tally import News
from detectors.weighted_chi_squared import WeightedChiSquared
from records.baseline import VectorBaseline
from records.verdict import TestResult

FLOOR: Final = 0.05
"""A distance that is worth an alert."""

LARGEST_SQUARE: Final = 2.0
"""Of the distance of one row's φ from the mean, if not more than that of two that have nothing in common."""

_LEVELS: Final = (np.arange(4096) + 0.5) / 4096
_PARTS: Final = 32  # to which the part of the baseline's error that shows is rounded up
_NULLS_KEPT: Final = 64
_LEAST_WEIGHT: Final = 1e-9  # of an eigenvalue, in units of their sum


class MmdTest:
    """The distance of a window's vectors from the baseline's, its p-value and its effect."""

    name: Final = "mmd"

    def __init__(self, baseline: VectorBaseline, independent_rows: float, risk: float) -> None:
        """The baseline is worth `independent_rows`, at least `SMALLEST_ROWS`; it is wrong about its own error with probability `risk`."""
        self._mean = VectorTally.of(baseline).frequencies()
        self._rows = independent_rows
        widened = 1 - float(special.ndtri(risk)) * baseline.spread_error / math.sqrt(independent_rows)
        weights = np.array(baseline.spectrum or (0.0,)) * widened
        weights[0] = max(weights[0], -LARGEST_SQUARE * math.log(risk) / independent_rows)  # of a kind that the baseline did not meet
        self._weights = weights[weights > _LEAST_WEIGHT * weights.sum()]
        self._spread = Spread(variance=float(weights[0]), variance_error=0.0, largest=math.sqrt(LARGEST_SQUARE))
        self._mean_square = float(weights.sum())
        self.tolerance: Final = self._null(independent_rows, 0.0).exceeded_with(risk)
        """The distance between the baseline and the truth that is exceeded with probability `risk`."""
        self.floor: Final = max(FLOOR, self.tolerance)
        self._null_of_step = lru_cache(_NULLS_KEPT)(lambda step, parts: self._null(2 ** (step / STEPS_PER_DOUBLING), parts / _PARTS * self.tolerance))

    def result(self, news: News[VectorTally]) -> TestResult:
        """Return the distance, its p-value and its effect."""
        tally = news.tally
        if tally.rows < SMALLEST_ROWS:
            return TestResult(statistic=0.0, p_value=1.0, effect=0.0)
        distance = self.distance(tally)
        null = self._null_of_step(step_of(tally.rows), math.ceil(news.remaining * _PARTS))
        return TestResult(statistic=distance, p_value=null.p_value(distance), effect=self.size(tally))

    def distance(self, tally: VectorTally) -> float:
        """Return the distance of the means."""
        return float(np.linalg.norm(tally.frequencies() - self._mean))

    def size(self, tally: VectorTally) -> float:
        """Return the distance without the part that noise makes."""
        return without_noise(self.distance(tally), self._mean_square * (1 / tally.rows + 1 / self._rows)) if tally.rows else 0.0

    def can_return(self, tally: VectorTally) -> bool:
        """Return whether the tally has rows enough to tell an effect at the floor from none."""
        return tally.rows * self.floor**2 >= NOISE_BELOW_FLOOR**2 * self._mean_square

    def return_p_value(self, tally: VectorTally) -> float:
        """Return the p-value of "the effect is at the floor or above". As |φ| is 1, no direction varies more than 1 − |mean of φ|²."""
        most = max(0.0, 1 - float(tally.frequencies() @ tally.frequencies()))
        return return_p_value(self.distance(tally), self.floor, self._spread._replace(variance=most), tally.rows)

    def _null(self, rows: float, error: float) -> Null:
        """Return the distribution of the distance of so many rows from a baseline that is so far from the truth."""
        squares = WeightedChiSquared(self._weights, error**2 * rows).quantiles(_LEVELS)
        return Null(np.sqrt(squares / rows), rows, self._spread)
