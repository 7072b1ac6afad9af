"""Changes of the synthetic traffic (`bench/drift_traffic.py`): each makes changed rows of rows, whose numbers are unit normal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from scipy import stats

from bench.drift_traffic import NUMBERS

Change: TypeAlias = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


def mapped(change: Callable[[np.ndarray], np.ndarray], features: int = 1) -> Change:
    """Change each of the first numbers by itself."""
    return lambda rows: rows | {f"number {index}": change(rows[f"number {index}"]) for index in range(features)}


def shifted(by: float, features: int = 1) -> Change:
    """Add a number of standard deviations."""
    return mapped(lambda column: column + by, features)


def spread(variance: float, features: int = 1) -> Change:
    """Multiply the variance."""
    return mapped(lambda column: column * np.sqrt(variance), features)


def tailed(degrees: float, features: int = 1) -> Change:
    """Give numbers the tails of Student's t, at the same variance."""
    return mapped(lambda column: stats.t.ppf(stats.norm.cdf(column), degrees) / np.sqrt(degrees / (degrees - 2)), features)


def mixed(one_in: int, by: float, features: int = 1) -> Change:
    """Shift one row in so many: a second population."""
    return mapped(lambda column: column + by * (np.arange(len(column)) % one_in == 0), features)


def blanked(one_in: int, features: int = 1) -> Change:
    """Leave out one value in so many."""
    return mapped(lambda column: np.where(np.arange(len(column)) % one_in == 0, np.nan, column), features)


def relabelled(share: float, level: str) -> Change:
    """Give a share of rows one level of a category."""

    def change(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        column = rows["category 0"].copy()
        column[:: round(1 / share)] = level
        return rows | {"category 0": column}

    return change


def together(correlation: float) -> Change:
    """Make one pair go together."""

    def change(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return rows | {"number 1": correlation * rows["number 0"] + np.sqrt(1 - correlation**2) * rows["number 1"]}

    return change


def all_together(correlation: float) -> Change:
    """Make all numbers go together, by a common part of which the first rows are the seed."""

    def change(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        common = np.random.default_rng(int(abs(rows["number 0"][0]) * 1e9)).normal(size=len(rows["number 0"]))
        return mapped(lambda column: np.sqrt(correlation) * common + np.sqrt(1 - correlation) * column, NUMBERS)(rows)

    return change


SHIFTS: dict[str, Change] = {
    "mean +0.1 sd, 1 feature": shifted(0.1),
    "mean +0.15 sd, 1 feature": shifted(0.15),
    "mean +0.25 sd, 1 feature": shifted(0.25),
    "mean +0.5 sd, 1 feature": shifted(0.5),
    "mean +0.05 sd, all numbers": shifted(0.05, NUMBERS),
    "mean +0.1 sd, all numbers": shifted(0.1, NUMBERS),
    "variance ×1.2, 1 feature": spread(1.2),
    "variance ×1.5, 1 feature": spread(1.5),
    "variance ×1.2, all numbers": spread(1.2, NUMBERS),
    "tails of t(3), 1 feature": tailed(3),
    "tails of t(5), all numbers": tailed(5, NUMBERS),
    "10% of rows +1 sd, 1 feature": mixed(10, 1.0),
    "10% of rows +2 sd, 1 feature": mixed(10, 2.0),
    "5% of rows +2 sd, all numbers": mixed(20, 2.0, NUMBERS),
    "10% of rows to another level": relabelled(0.1, "level 5"),
    "2% of a level never seen": relabelled(0.02, "new"),
    "correlation 0 → 0.2, 1 pair": together(0.2),
    "correlation 0 → 0.3, 1 pair": together(0.3),
    "correlation 0 → 0.1, all pairs": all_together(0.1),
    "correlation 0 → 0.3, all pairs": all_together(0.3),
    "2% missing, 1 feature": blanked(50),
    "5% missing, 1 feature": blanked(20),
    "2% missing, all numbers": blanked(50, NUMBERS),
}
"""What the detectors are compared on."""
