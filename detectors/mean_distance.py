"""How far the mean of several numbers of each row is from the baseline's: what noise makes of it, whatever the numbers are.

    D = |mean of φ over the window − mean of φ over the baseline|

With Σ the covariance of one row's φ in the baseline, λ its eigenvalues, and n rows,

    D² of a window  ~  Σ λᵢ (Zᵢ + aᵢ)² / n

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

from detectors.arrays import Floats
from detectors.calibration import SMALLEST_ROWS, STEPS_PER_DOUBLING, Null, step_of
from detectors.effect import NOISE_BELOW_FLOOR, return_p_value, without_noise
from detectors.statistic import Spread
from detectors.weighted_chi_squared import WeightedChiSquared
from records.baseline import MeanNoise
from records.verdict import TestResult

_LEVELS: Final = (np.arange(4096) + 0.5) / 4096
_PARTS: Final = 32  # to which the part of the baseline's error that shows is rounded up
_NULLS_KEPT: Final = 64
_LEAST_WEIGHT: Final = 1e-9  # of an eigenvalue, in units of their sum


class MeanDistance:
    """The distance of a mean from the baseline's, its p-value and its effect. Rows are independent ones."""

    def __init__(self, mean: Floats, noise: MeanNoise, rows: float, risk: float, floor: float, unit: float = 1.0) -> None:
        """`mean` is the baseline's, of at least `SMALLEST_ROWS` rows; it is wrong about its own error with probability `risk`.

        `floor` is a distance that is worth an alert, and `unit` what distances are told in: the root of the numbers, for a root mean square over them.
        """
        self._mean = mean
        self._unit = unit
        self._rows = rows
        weights = np.array(noise.spectrum or (0.0,)) / unit**2 * (1 - float(special.ndtri(risk)) * noise.spread_error / math.sqrt(rows))
        largest = noise.largest / unit
        weights[0] = max(weights[0], -(largest**2) * math.log(risk) / rows)  # rows of a kind that the baseline did not meet
        self._weights = weights[weights > _LEAST_WEIGHT * weights.sum()]
        self._spread = Spread(variance=float(weights[0]), variance_error=0.0, largest=largest)
        self._mean_square = float(weights.sum())
        self.tolerance: Final = self._null(rows, 0.0).exceeded_with(risk)
        """The distance between the baseline and the truth that is exceeded with probability `risk`."""
        self.floor: Final = max(floor, self.tolerance)
        self._null_of_step = lru_cache(_NULLS_KEPT)(lambda step, parts: self._null(2 ** (step / STEPS_PER_DOUBLING), parts / _PARTS * self.tolerance))

    def result(self, mean: Floats, rows: float, *, remaining: float = 1.0) -> TestResult:
        """Return the distance of a mean over `rows` and its p-value, where this part of the baseline's error shows, and its effect."""
        if rows < SMALLEST_ROWS:
            return TestResult(statistic=0.0, p_value=1.0, effect=0.0)
        distance = self.distance(mean)
        null = self._null_of_step(step_of(rows), math.ceil(remaining * _PARTS))
        return TestResult(statistic=distance, p_value=null.p_value(distance), effect=self.size(mean, rows))

    def distance(self, mean: Floats) -> float:
        """Return the distance of a mean."""
        return float(np.linalg.norm(mean - self._mean)) / self._unit

    def size(self, mean: Floats, rows: float) -> float:
        """Return the distance without the part that noise makes."""
        return without_noise(self.distance(mean), self._mean_square * (1 / rows + 1 / self._rows)) if rows else 0.0

    def can_return(self, rows: float) -> bool:
        """Return whether these are rows enough to tell an effect at the floor from none."""
        return rows * self.floor**2 >= NOISE_BELOW_FLOOR**2 * self._mean_square

    def return_p_value(self, mean: Floats, rows: float, largest_variance: float | None = None) -> float:
        """Return the p-value of "the effect is at the floor or above"; the variance is that of the direction that varies most, where it is known better than from the baseline."""
        spread = self._spread if largest_variance is None else self._spread._replace(variance=largest_variance)
        return return_p_value(self.distance(mean), self.floor, spread, rows)

    def _null(self, rows: float, error: float) -> Null:
        """Return the distribution of the distance of so many rows from a baseline that is so far from the truth."""
        squares = WeightedChiSquared(self._weights, error**2 * rows).quantiles(_LEVELS)
        return Null(np.sqrt(squares / rows), rows, self._spread)
