"""Correlation: the largest change of the correlation of any two features, and the change of all of them together.

    D = max over pairs |r_window(i, j) − r_baseline(i, j)| ,   F = √(mean over pairs (r_window(i, j) − r_baseline(i, j))²)

which no test of one feature sees. D finds a few pairs that change much, F many that change a little. To first order a correlation is a mean over rows of zᵢ·zⱼ − r·(zᵢ² + zⱼ²)/2, with z the standardised scores. So the noise of D is that of
the maximum of such means: Gaussian, with the covariance of their means over stretches of the baseline, in its order, drawn by multipliers. The distance is a metric, so its
tolerance for the baseline's error and its tail are those of `calibration`. The noise of F is a weighted chi-squared, with the eigenvalues of that covariance (`mean_distance`).
Source: Chernozhukov, Chetverikov and Kato, "Gaussian approximations and multiplier bootstrap for maxima of sums of high-dimensional random vectors", 2013.
"""

from __future__ import annotations

import math
from collections.abc import Container
from itertools import combinations
from typing import Final

import msgspec
import numpy as np

from detectors.arrays import Floats
from detectors.calibration import SMALLEST_ROWS, Null
from detectors.effect import NOISE_BELOW_FLOOR, return_p_value, without_noise
from detectors.mean_distance import MeanDistance
from detectors.pairs import LARGEST_PRODUCT, PairTally
from detectors.statistic import Spread
from records.baseline import MeanNoise, PairBaseline
from records.verdict import TestResult

FLOOR: Final = 0.1
"""A change of a correlation that is worth an alert."""

FLOOR_OF_ALL: Final = 0.05
"""A root mean square of the changes of all correlations that is."""

_DRAWS: Final = 2048
_KEPT_DRAWS: Final = 256  # their quantiles
_FEWEST_STRETCHES: Final = 16
_SURENESS: Final = 2.0  # standard errors of the variances by which noise is widened


def pair_baseline(names: tuple[str, ...], scores: Floats) -> PairBaseline | None:
    """Return the correlations of scores (features × rows, in the order of the traffic) and their noise; None where there are too few rows to tell."""
    length = math.isqrt(scores.shape[1])
    stretches = scores.shape[1] // length if length else 0
    if stretches < _FEWEST_STRETCHES:
        return None
    pairs = np.triu_indices(len(names), 1)
    centred = scores - scores.mean(axis=1, keepdims=True)
    standard = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True))
    correlations = (standard @ standard.T / scores.shape[1])[pairs]
    parts = standard[:, : stretches * length].reshape(len(names), stretches, length).transpose(1, 0, 2)
    products = parts @ parts.transpose(0, 2, 1) / length
    squares = np.diagonal(products, axis1=1, axis2=2)
    means = products[:, pairs[0], pairs[1]] - correlations * (squares[:, pairs[0]] + squares[:, pairs[1]]) / 2
    means -= means.mean(axis=0)
    widened = 1 + _SURENESS * math.sqrt(2 / stretches) / 2
    noise = np.abs(np.random.default_rng(0).normal(size=(_DRAWS, stretches)) @ means).max(axis=1) * math.sqrt(length / stretches) * widened
    kept = np.quantile(noise, (np.arange(_KEPT_DRAWS) + 0.5) / _KEPT_DRAWS)
    variance = float(means.var(axis=0).max()) * length * widened**2
    return PairBaseline(
        features=names,
        correlations=tuple(correlations.tolist()),
        noise=tuple(kept.tolist()),
        variance=variance,
        together=_noise_together(means * math.sqrt(length), standard, correlations),
    )


def _noise_together(means: Floats, standard: Floats, correlations: Floats) -> MeanNoise:
    """Return the noise of all correlations, from their means over stretches in units of one row's noise (stretches × pairs), and from the standardised scores (features × rows)."""
    stretches, features = len(means), len(standard)
    squares = np.einsum("ij,ij->i", means, means)
    spectrum, combinations_of_stretches = np.linalg.eigh(means @ means.T / stretches)
    leading = np.zeros((features, features))
    leading[np.triu_indices(features, 1)] = combinations_of_stretches[:, -1] @ means / max(math.sqrt(stretches * spectrum[-1]), 1e-12)
    usual = np.zeros_like(leading)
    usual[np.triu_indices(features, 1)] = correlations
    of_squares = (leading * usual + (leading * usual).T).sum(axis=0) / 2
    parts = np.einsum("ij,ij->j", leading.T @ standard, standard) - of_squares @ standard**2
    return MeanNoise(
        spectrum=tuple(np.maximum(spectrum[::-1], 0.0).tolist()),
        spread_error=float(squares.std() / squares.mean()) * math.sqrt(standard.shape[1] / stretches) if squares.any() else 0.0,
        largest=float(np.abs(parts).max()),
    )


def pairs_among(names: Container[str], pairs: PairBaseline) -> PairBaseline | None:
    """Return the pairs of these features alone, None where there is none. The noise stays that of all of them, which is no less."""
    kept = tuple(name for name in pairs.features if name in names)
    among = zip(combinations(pairs.features, 2), pairs.correlations, strict=True)
    correlations = tuple(correlation for (one, other), correlation in among if one in names and other in names)
    return msgspec.structs.replace(pairs, features=kept, correlations=correlations) if correlations else None


class CorrelationTest:
    """The largest change of a correlation, its p-value and its effect."""

    name: Final = "correlation"

    def __init__(self, baseline: PairBaseline, rows: int, risk: float) -> None:
        """`rows` are the baseline's; it is wrong about its own error with probability `risk`."""
        self._baseline = np.array(baseline.correlations)
        self._noise = np.array(baseline.noise)
        self._spread = Spread(variance=baseline.variance, variance_error=0.0, largest=LARGEST_PRODUCT)
        self._rows = rows
        self._tolerance = self._null(rows).exceeded_with(risk)
        self._mean_square = float((self._noise**2).mean())
        self.floor = max(FLOOR, self._tolerance)

    def result(self, tally: PairTally) -> TestResult:
        """Return the largest change, its p-value and its effect."""
        if tally.rows < SMALLEST_ROWS:
            return TestResult(statistic=0.0, p_value=1.0, effect=0.0)
        distance = self.distance(tally)
        return TestResult(statistic=distance, p_value=self._null(tally.rows).p_value(distance - self._tolerance), effect=self.size(tally))

    def distance(self, tally: PairTally) -> float:
        """Return the largest change."""
        return float(self.changes(tally).max())

    def changes(self, tally: PairTally) -> Floats:
        """Return the change of each pair, without its sign."""
        return np.asarray(np.abs(tally.correlations - self._baseline))

    def size(self, tally: PairTally) -> float:
        """Return the largest change without the part that noise makes."""
        return without_noise(self.distance(tally), self._mean_square * (1 / tally.rows + 1 / self._rows)) if tally.rows else 0.0

    def can_return(self, tally: PairTally) -> bool:
        """Return whether the tally has rows enough to tell an effect at the floor from none."""
        return tally.rows * self.floor**2 >= NOISE_BELOW_FLOOR**2 * self._mean_square

    def return_p_value(self, tally: PairTally) -> float:
        """Return the p-value of "the effect is at the floor or above"."""
        return return_p_value(self.distance(tally), self.floor, self._spread, tally.rows)

    def _null(self, rows: float) -> Null:
        return Null(self._noise / math.sqrt(rows), rows, self._spread)


class AllCorrelationsTest:
    """The change of all correlations together, its p-value and its effect."""

    name: Final = "all_correlations"

    def __init__(self, baseline: PairBaseline, together: MeanNoise, rows: int, risk: float) -> None:
        """`rows` are the baseline's; it is wrong about its own error with probability `risk`."""
        usual = np.array(baseline.correlations)
        self._distance = MeanDistance(usual, together, rows, risk, FLOOR_OF_ALL, math.sqrt(len(usual)))
        self.floor = self._distance.floor

    def result(self, tally: PairTally) -> TestResult:
        """Return the root mean square of the changes, its p-value and its effect. The square of a correlation of n independent rows is 1/(n − 1) on average."""
        return self._distance.result(tally.correlations, tally.rows - 1)

    def size(self, tally: PairTally) -> float:
        """Return the root mean square without the part that noise makes."""
        return self._distance.size(tally.correlations, tally.rows) if tally.rows else 0.0

    def can_return(self, tally: PairTally) -> bool:
        """Return whether the tally has rows enough to tell an effect at the floor from none."""
        return self._distance.can_return(tally.rows)

    def return_p_value(self, tally: PairTally) -> float:
        """Return the p-value of "the effect is at the floor or above"."""
        return self._distance.return_p_value(tally.correlations, tally.rows)
