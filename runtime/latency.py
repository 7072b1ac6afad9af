"""How long a batch takes, learned from those that were computed: a + b·rows, and how far the slowest of a hundred lie above it.

Least squares with exponential forgetting (Haykin, Adaptive Filter Theory, ch. 10, in closed form for two parameters); the quantile follows by
stochastic approximation (Robbins and Monro, 1951).
"""

from __future__ import annotations

from typing import Final

_KEEP: Final = 0.99
"""What an observation counts for after one more: about the last hundred matter."""

_QUANTILE: Final = 0.99
_STEP: Final = 0.05
_LARGEST_FACTOR: Final = 20.0


class LatencyModel:
    """Observations in, predictions out; without clock."""

    __slots__ = ("_factor", "_per_row", "_rows", "_rows_squared", "_start", "_time", "_time_rows", "_weight")

    def __init__(self) -> None:
        self._weight = self._rows = self._rows_squared = self._time = self._time_rows = 0.0
        self._start = self._per_row = 0.0
        self._factor = 1.0

    @property
    def known(self) -> bool:
        """Whether anything was observed."""
        return self._weight > 0

    def observe(self, rows: int, seconds: float) -> None:
        """Learn that a batch of so many rows took so long."""
        if self._weight:
            self._learn_factor(seconds / max(self.mean(rows), 1e-9))
        self._weight = self._weight * _KEEP + 1
        self._rows = self._rows * _KEEP + rows
        self._rows_squared = self._rows_squared * _KEEP + rows * rows
        self._time = self._time * _KEEP + seconds
        self._time_rows = self._time_rows * _KEEP + rows * seconds
        self._fit()

    def mean(self, rows: int) -> float:
        """Return the seconds that a batch of so many rows takes on the average."""
        return self._start + self._per_row * rows

    def p99(self, rows: int) -> float:
        """Return the seconds within which 99 of 100 batches of so many rows end."""
        return self.mean(rows) * self._factor

    def rows_within(self, seconds: float, at_most: int) -> int:
        """Return how many rows 99 of 100 batches compute within `seconds`; at least 1."""
        spare = seconds / self._factor - self._start
        if self._per_row * at_most <= spare:
            return at_most
        return max(1, int(spare / self._per_row)) if self._per_row > 0 else 1

    def _fit(self) -> None:
        spread = self._weight * self._rows_squared - self._rows * self._rows
        if spread > 1e-6 * self._rows_squared * self._weight:
            self._per_row = max(0.0, (self._weight * self._time_rows - self._rows * self._time) / spread)
        else:  # batches of one size say nothing of the others: assume the worst, that each row costs the same
            self._per_row = self._time / self._rows if self._rows else 0.0
        self._start = max(0.0, (self._time - self._per_row * self._rows) / self._weight)

    def _learn_factor(self, ratio: float) -> None:
        step = _STEP * self._factor
        self._factor += step * _QUANTILE if ratio > self._factor else -step * (1 - _QUANTILE)
        self._factor = min(max(self._factor, 1.0), _LARGEST_FACTOR)
