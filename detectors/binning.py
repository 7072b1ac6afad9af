"""The bins of numeric features: cut at quantiles of the baseline, looked up on a grid.

A search among 63 edges costs eight times as much as a look-up. The grid spreads 2,048 cells evenly between the first and
the last edge; a cell knows how many edges lie in cells before it, and one comparison with the next edge settles the rest:

    bin(x) = before[cell(x)] + (x >= edges[before[cell(x)]])

This is exact, not a rounding of the edges: x ↦ cell(x) is the same floating-point expression for edges and values, and
monotone, so an edge in an earlier cell is below x and an edge in a later cell above it. It needs cells with one edge at most;
features for which that does not hold (a few distinct values, a very long tail) are searched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, Integers

BINS: Final = 64
LARGEST_VALUE: Final = 1e140
"""Values beyond this are counted as not finite: sums of their squares would overflow."""

_GRID_CELLS: Final = 2048


def quantile_edges(values: Floats, bins: int = BINS) -> tuple[float, ...]:
    """Return at most `bins` − 1 increasing inner edges that cut finite `values` (any order, may be empty) into bins of equal shares.

    A few distinct values get a bin each, and an empty bin on either side, so that a value never seen shows. Among many values, one that
    is more frequent than a bin's share gets a bin of its own.
    """
    distinct = np.unique(values)
    if not len(distinct):
        return ()
    if len(distinct) <= bins - 2:
        return tuple(np.unique([distinct[0], *_between(distinct), np.nextafter(distinct[-1], np.inf)]).tolist())
    quantiles = np.quantile(values, np.arange(1, bins) / bins, method="inverted_cdf")
    repeated = quantiles[1:][quantiles[1:] == quantiles[:-1]]
    return tuple(np.unique(np.concatenate([quantiles, np.nextafter(repeated, np.inf)])).tolist())


def _between(distinct: Floats) -> Floats:
    """Return a number in the middle of each pair of neighbours: above the lower one, at most the upper one."""
    return np.maximum(distinct[:-1] + (distinct[1:] - distinct[:-1]) / 2, np.nextafter(distinct[:-1], np.inf))


def bin_numbers(values: Floats, edges: Floats | Sequence[float]) -> Integers:
    """Return the bin of each finite value by search: the definition that the look-up agrees with."""
    return np.searchsorted(np.asarray(edges, dtype=np.float64), values, side="right")


class Binner:
    """Counts the values of many features in their bins, a batch at a time."""

    def __init__(self, edges: Sequence[Sequence[float]]) -> None:
        """`edges` are the inner edges of each feature; features may differ in their number of bins."""
        self._edges = [np.asarray(of_feature, dtype=np.float64) for of_feature in edges]
        self.bins: Final = max((len(of_feature) + 1 for of_feature in edges), default=1)
        """Bins of the feature that has most of them."""
        scales = np.array([_grid_scale(of_feature) for of_feature in self._edges])
        self._on_grid = np.flatnonzero(scales)
        self._searched = np.flatnonzero(scales == 0)
        self._scale = scales[self._on_grid, None]
        self._low = np.array([self._edges[index][0] for index in self._on_grid])[:, None]
        self._before = np.array([_edges_before(self._edges[i], scales[i]) for i in self._on_grid], dtype=np.int64).reshape(-1, _GRID_CELLS + 2)
        self._cell_offsets = np.arange(len(self._on_grid))[:, None] * (_GRID_CELLS + 2)
        self._next_edges = np.full((len(self._on_grid), self.bins), np.inf)
        for row, index in enumerate(self._on_grid):
            self._next_edges[row, : len(self._edges[index])] = self._edges[index]
        self._edge_offsets = np.arange(len(self._on_grid))[:, None] * self.bins

    def bins_of(self, values: Floats) -> Integers:
        """Return the bin of each of finite `values` (features × rows)."""
        bins = np.empty(values.shape, dtype=np.int64)
        bins[self._on_grid] = self._look_up(values[self._on_grid])
        for index in self._searched:
            bins[index] = bin_numbers(values[index], self._edges[index])
        return bins

    def count(self, bins: Integers, valid: npt.NDArray[np.bool_]) -> Integers:
        """Return the rows in each bin, features × `bins`, from the bin of each value (features × rows); rows that are not `valid` are not counted."""
        features = len(self._edges)
        cells = bins + np.arange(features)[:, None] * self.bins
        cells[~valid] = features * self.bins
        return np.bincount(cells.ravel(), minlength=features * self.bins + 1)[:-1].reshape(features, self.bins)

    def _look_up(self, values: Floats) -> Integers:
        cells = _cells(values, self._low, self._scale)
        cells += self._cell_offsets
        before = self._before.ravel().take(cells)
        before += values >= self._next_edges.ravel().take(before + self._edge_offsets)
        return before


def _cells(values: Floats, low: Floats | float, scale: Floats | float) -> Integers:
    """Return the cell of each value: 0 below the first edge, 1 … 2,048 between the edges, 2,049 above. Monotone in the value."""
    with np.errstate(over="ignore"):
        positions = (values - low) * scale
    return np.clip(positions, 0.0, _GRID_CELLS).astype(np.int64) + (positions >= 0)


def _grid_scale(edges: Floats) -> float:
    """Return the cells per unit, or 0 where two edges would share a cell or there is no span to divide."""
    if len(edges) < 2:
        return 0.0
    with np.errstate(over="ignore"):
        scale = float(_GRID_CELLS / (edges[-1] - edges[0]))
    if not np.isfinite(scale) or np.any(np.diff(_cells(edges, edges[0], scale)) == 0):
        return 0.0
    return scale


def _edges_before(edges: Floats, scale: float) -> Integers:
    """Return, for each cell, the number of edges that lie in cells before it."""
    return np.searchsorted(_cells(edges, edges[0], scale), np.arange(_GRID_CELLS + 2), side="left")
