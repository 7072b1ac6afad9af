"""How often the detectors alert on rows that do not drift: people's own, put in an order in which nothing can.

The table is cut into blocks of a few windows, in the order of the rows, and the blocks are shuffled: what neighbouring rows have in common stays, what changes over
the table is spread over all of it. The first rows of each order are the baseline, the others its windows, and orders are drawn until there were ten times as many windows as the
budget allows one alert for. Source: Kunsch, "The jackknife and the bootstrap for general stationary observations", 1989 (blocks).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from scipy import stats

from detectors.arrays import Columns, Integers
from detectors.baseline import BaselineError, build_baseline
from detectors.drift import DriftDetector
from detectors.univariate import Statistics
from detectors.windows import WindowPolicy

_BLOCK_WINDOWS: Final = 8
_FEWEST_WINDOWS: Final = 16  # to each baseline
_BUDGETS: Final = 10
_BOUND: Final = 0.99


class NullRun(NamedTuple):
    """What the detectors said of rows that do not drift."""

    windows: int
    baselines: int
    alerts: int
    allowed: float
    """Alerts that the budget allows in so many windows."""

    @property
    def bound(self) -> int:
        """As many alerts may come by chance, in 99 of 100 runs, where the mean is what is allowed (a Poisson count)."""
        return int(stats.poisson.ppf(_BOUND, self.allowed))

    @property
    def is_within(self) -> bool:
        """Whether the alerts are no more than the budget allows."""
        return self.alerts <= self.bound


def null_run(
    columns: Columns,
    rows: int,
    *,
    window_rows: int,
    baseline_rows: int,
    threshold: float,
    statistics: Statistics = Statistics(),  # noqa: B008 - a constant
    seed: int = 0,
) -> NullRun:
    """Shuffle the blocks of a table and test windows, at a budget of one alert in `threshold` windows. Raises `BaselineError` where the table is too short."""
    needed = baseline_rows + _FEWEST_WINDOWS * window_rows
    if rows < needed:
        raise BaselineError(f"a baseline of {baseline_rows:,} rows and {_FEWEST_WINDOWS} windows need {needed:,} rows, and the table has {rows:,}")
    rng = np.random.default_rng(seed)
    windows = baselines = alerts = 0
    while windows < _BUDGETS * threshold:
        order = _shuffled_blocks(rng, rows, _BLOCK_WINDOWS * window_rows)
        shuffled = {name: column[order] for name, column in columns.items()}
        verdicts = _tested(shuffled, rows, window_rows, baseline_rows, threshold, statistics)
        windows, baselines, alerts = windows + len(verdicts), baselines + 1, alerts + sum(verdicts)
    return NullRun(windows, baselines, alerts, windows / threshold)


def _shuffled_blocks(rng: np.random.Generator, rows: int, block_rows: int) -> Integers:
    """Return an order of the rows; it begins within a block, so that blocks are cut elsewhere each time."""
    turned = np.roll(np.arange(rows), -int(rng.integers(rows)))
    blocks = [turned[first : first + block_rows] for first in range(0, rows, block_rows)]
    return np.concatenate([blocks[index] for index in rng.permutation(len(blocks))])


def _tested(columns: Columns, rows: int, window_rows: int, baseline_rows: int, threshold: float, statistics: Statistics) -> list[bool]:
    """Return for each window behind the baseline's rows whether it raised an alert."""
    baseline = build_baseline({name: column[:baseline_rows] for name, column in columns.items()}, model="null", source="the table", created_at_ns=0)
    detector = DriftDetector(baseline, threshold=threshold, windows=WindowPolicy(max_rows=window_rows, max_seconds=None), statistics=statistics)
    rest = {name: column[baseline_rows:] for name, column in columns.items()}
    return [verdict.alert for _, verdict in detector.update(rest, np.zeros(rows - baseline_rows, dtype=np.int64))]
