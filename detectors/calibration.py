"""What the statistics do when nothing has changed: p-values by resampling counts, with room for the baseline's own error.

The promise. With probability 1 − δ over the draw of the baseline, for all features and statistics at once, and for every
window until the baseline is replaced: P(p ≤ u) ≤ u. It must hold for a fixed baseline, since evidence that accumulates against
a finite sample always rejects in the end. Each test gets an equal part of δ (Bonferroni), its *risk*.

Windows. All distances are functions of frequencies in bins, so their null distribution comes from throwing windows of the same
size at the baseline's bins. One set of draws serves all features: rows are thrown on 2,048 equally likely cells, and a feature's bins
are runs of cells. Sizes are rounded down to a grid eight steps to the doubling: smaller windows are noisier, so the p-value is not too small.

The baseline's error. The truth P lies about the baseline b within a distance τ, exceeded with probability `risk`.
- For a metric (Kolmogorov–Smirnov, Wasserstein) D(w, b) ≤ D(w, P) + τ, so p = P(D(w, P) ≥ D(w, b) − τ). How noisy D(w, P) is is known from
  the baseline only, so noise is widened to the upper bound of its variance.
- For a divergence (chi-squared, PSI) error adds in squares: windows are thrown from a truth at the edge of the region, which is the noncentral
  chi-squared of that distance; the direction does not matter to first order, and is taken at random.

Tails. Every distance here is a norm of the deviation w − b, to first order Gaussian. By Ehrhard's inequality v ↦ Φ⁻¹(P(norm ≤ v)) is then
concave, and its slope falls to √n/σ, with σ² the largest variance of a row's part in a linear functional of norm one. So past the resampled range
a line of that slope in z gives p-values that are not too small; Bernstein's inequality widens σ² to σ² + c·v/3 for counts that are not yet Gaussian.

All rows are independent ones here: as many as are as noisy as those of the window and of the baseline (`dependence`), less what the windows before foretold (`wandering`).

Sources: Massart 1990 (tightness of KS); Ehrhard 1983, Borell 2003; Boucheron, Lugosi and Massart, "Concentration Inequalities", 2013, §2.8.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import special

from detectors.arrays import Floats, Integers
from detectors.statistic import Divergence, Metric, Spread

SMALLEST_P_VALUE: Final = 1e-300
SMALLEST_ROWS: Final = 8
"""Independent rows below which a window or a baseline says nothing."""

STEPS_PER_DOUBLING: Final = 8
"""Of the grid of window sizes."""

_REPLICATES: Final = 4096
_CELLS: Final = 2048
_LARGEST_THROWN: Final = 2048  # rows; the noise of larger windows is that of this size, scaled by the root
_TAIL: Final = 0.01  # past this p-value the tail is extrapolated
_TAIL_Z: Final = -float(special.ndtri(_TAIL))
_TABLE: Final = np.geomspace(1.0, _TAIL, 72)  # the p-values to which those before the tail are rounded up
_ITERATIONS: Final = 20  # of a contraction: the deviation grows with the root of the norm
_BLOCK: Final = 256  # replicates at a time, so that the counts stay in the cache


class Null:
    """The distribution of a norm over windows of one size when nothing has changed."""

    __slots__ = ("_rows", "_spread", "_table", "_tail_start", "mean_square")

    def __init__(self, norms: Floats, rows: float, spread: Spread) -> None:
        """`norms` are those of the replicates, `spread` is that of one of the window's `rows`."""
        passed_by = np.minimum(_TABLE * len(norms), len(norms) - 1).astype(np.int64)  # replicates that are above each entry
        self._table = array("d", np.sort(norms)[::-1][passed_by])
        self._tail_start = self._table[-1] + spread.largest / rows  # counts go in steps: one row more than the replicates showed
        self._rows = rows
        self._spread = spread
        self.mean_square: Final = float(np.mean(norms**2))

    def p_value(self, norm: float) -> float:
        """Return the probability of a norm at least as large, rounded up to a step of the table."""
        step = bisect_left(self._table, norm) - 1
        if step < len(_TABLE) - 1:
            return float(_TABLE[max(step, 0)])
        z = _TAIL_Z + max(0.0, norm - self._tail_start) / self._deviation(norm)
        return max(float(special.ndtr(-z)), SMALLEST_P_VALUE)

    def exceeded_with(self, risk: float) -> float:
        """Return the norm whose p-value is `risk`, which is less than that of the table's end."""
        z = -float(special.ndtri(risk))
        norm = self._tail_start
        for _ in range(_ITERATIONS):
            norm = self._tail_start + (z - _TAIL_Z) * self._deviation(norm)
        return norm

    def _deviation(self, norm: float) -> float:
        return math.sqrt((self._spread.variance + self._spread.largest * norm / 3) / self._rows)


class Throw:
    """Windows of one size, thrown at equally likely cells: the draws that all features share."""

    def __init__(self, step: int) -> None:
        self.step: Final = step
        self.rows: Final = 2 ** (step / STEPS_PER_DOUBLING)
        self._thrown = min(int(self.rows), _LARGEST_THROWN)
        self._below = self._throw(np.random.default_rng(step))

    def frequencies(self, boundaries: Integers, expected: Floats) -> Floats:
        """Return frequencies, replicates × bins, in the bins between `boundaries` (cells), whose `expected` frequencies are given."""
        frequencies = np.diff(self._below[boundaries].T / self._thrown, axis=1)
        return expected + (frequencies - expected) * math.sqrt(self._thrown / self.rows)

    def _throw(self, rng: np.random.Generator) -> npt.NDArray[np.uint16]:
        """Return how many rows of each replicate lie below each boundary of the cells: cells + 1 × replicates."""
        below = np.zeros((_CELLS + 1, _REPLICATES), dtype=np.uint16)
        for first in range(0, _REPLICATES, _BLOCK):
            cells = rng.integers(0, _CELLS, (self._thrown, _BLOCK), dtype=np.uint16)
            flat = cells.astype(np.int32) * _BLOCK + np.arange(_BLOCK, dtype=np.int32)
            counts = np.bincount(flat.ravel(), minlength=_CELLS * _BLOCK).reshape(_CELLS, _BLOCK)
            np.cumsum(counts, axis=0, dtype=np.uint16, out=below[1:, first : first + _BLOCK])
        return below


def step_of(rows: float) -> int:
    """Return the size on the grid of window sizes that is the largest not above `rows`."""
    return math.floor(STEPS_PER_DOUBLING * math.log2(rows))


def _rough_step_of(rows: float) -> int:
    """Return a power of two on the grid, so that features share it; noise at `rows` is that of this size, scaled by the root."""
    return STEPS_PER_DOUBLING * math.floor(math.log2(min(rows, _LARGEST_THROWN)))


@lru_cache(maxsize=2)
def throw(step: int) -> Throw:
    """Return the draws for a size on the grid; the same on every replica, so that verdicts are."""
    return Throw(step)


class _CalibratedTest:
    """One statistic of one feature: what is common to metrics and divergences."""

    def __init__(self, counts: Floats, baseline_rows: float, risk: float) -> None:
        """`counts` are the baseline's in the cells that the statistic looks at; `baseline_rows` are independent ones, at least `SMALLEST_ROWS`."""
        self._baseline = counts / counts.sum()
        self._baseline_rows = baseline_rows
        self._risk = risk
        self._boundaries = _cell_boundaries(np.where(counts > 0, counts, -math.log(risk)))  # an empty bin may hold this many in truth
        self._expected = np.diff(self._boundaries) / _CELLS
        self._nulls: dict[int, Null] = {}

    def lacks(self, step: int) -> bool:
        """Return whether windows of this size cannot be tested yet."""
        return step not in self._nulls


class CalibratedMetric(_CalibratedTest):
    """A metric with its null distributions and its tolerance for the baseline's error."""

    def __init__(self, metric: Metric, counts: Floats, baseline_rows: float, risk: float) -> None:
        super().__init__(counts, baseline_rows, risk)
        self.metric: Final = metric
        spread = metric.spread(self._expected)
        wider = 1 - float(special.ndtri(risk)) * spread.variance_error / (spread.variance * math.sqrt(baseline_rows))
        self._spread = spread._replace(variance=spread.variance * wider)
        self._wider = math.sqrt(wider)
        thrown = throw(_rough_step_of(baseline_rows))
        null = self._null(thrown)
        self.tolerance: Final = null.exceeded_with(risk) * math.sqrt(thrown.rows / baseline_rows)
        """The distance between the baseline and the truth that is exceeded with probability `risk`."""
        self.mean_square: Final = null.mean_square * thrown.rows
        """The mean square of the distance that noise alone makes, times the rows."""

    def learn(self, thrown: Throw) -> None:
        """Get ready for windows of the size that was thrown."""
        self._nulls[thrown.step] = self._null(thrown)

    def test(self, window: Floats, rows: float, remaining: float = 1.0) -> tuple[float, float]:
        """Return the distance of frequencies of `rows` independent rows, and its p-value, where this part of the baseline's error shows."""
        distance = float(self.metric(window, self._baseline))
        return distance, self._nulls[step_of(rows)].p_value(distance - remaining * self.tolerance)

    def distance(self, window: Floats) -> float:
        """Return the distance of a window of frequencies."""
        return float(self.metric(window, self._baseline))

    def noise_square(self, rows: float) -> float:
        """Return the expected square of the distance when nothing has changed, both samples' noise in it."""
        return self.mean_square * (1 / rows + 1 / self._baseline_rows)

    def _null(self, thrown: Throw) -> Null:
        norms = self.metric(thrown.frequencies(self._boundaries, self._expected), self._expected)
        return Null(norms * self._wider, thrown.rows, self._spread)


class CalibratedDivergence(_CalibratedTest):
    """A divergence with its null distributions, which hold the baseline's error."""

    def __init__(self, divergence: Divergence, counts: Floats, baseline_rows: float, risk: float) -> None:
        super().__init__(counts, baseline_rows, risk)
        self._divergence = divergence
        self._error = math.sqrt(special.chdtri(len(counts) - 1, risk) / baseline_rows)
        self._spread = Spread(variance=1.0, variance_error=0.0, largest=1 / math.sqrt(self._expected.min()))

    def learn(self, thrown: Throw) -> None:
        """Get ready for windows of the size that was thrown."""
        windows = thrown.frequencies(self._boundaries, self._expected)
        errors = np.roll(windows, 1, axis=0) - self._expected  # another replicate's deviation is a direction at random
        errors *= self._error / np.sqrt(np.maximum((errors**2 / self._expected).sum(axis=1, keepdims=True), 1e-12))
        windows = np.maximum(windows + errors, 0.0)
        values = self._divergence(windows, self._expected, thrown.rows, self._baseline_rows)
        self._nulls[thrown.step] = Null(self._divergence.norm(values, thrown.rows, self._baseline_rows), thrown.rows, self._spread)

    def test(self, window: Floats, rows: float, remaining: float = 1.0) -> tuple[float, float]:  # noqa: ARG002 - the nulls hold the whole error
        """Return the divergence of frequencies of `rows` independent rows, and its p-value."""
        value = self._divergence(window, self._baseline, rows, self._baseline_rows)
        norm = self._divergence.norm(value, rows, self._baseline_rows)
        return float(value), self._nulls[step_of(rows)].p_value(float(norm))


def _cell_boundaries(weights: Floats) -> Integers:
    """Return where bins of these weights begin and end on the grid of cells; each has one cell at least."""
    boundaries = np.rint(np.cumsum(weights) / weights.sum() * _CELLS).astype(np.int64)
    bins = np.arange(1, len(weights) + 1)
    boundaries = np.maximum.accumulate(boundaries - bins) + bins  # apart
    return np.concatenate([[0], np.minimum(boundaries, _CELLS - len(weights) + bins)])
