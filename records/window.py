"""Summaries of a window of rows. Summaries of the same window merge by addition, whatever the split."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec


class NumericSummary(msgspec.Struct, frozen=True, tag="numeric", kw_only=True):
    """A numeric feature in one window, over the bins of its baseline."""

    counts: tuple[int, ...]
    missing: int = 0
    non_finite: int = 0
    type_changes: int = 0
    """Rows whose value is text."""
    out_of_range: int = 0
    """Rows, among those counted in bins, whose value is below the baseline's smallest or above its largest."""
    total: float = 0.0
    """Sum of the finite values."""
    total_squares: float = 0.0
    minimum: float | None = None
    maximum: float | None = None


class CategoricalSummary(msgspec.Struct, frozen=True, tag="categorical", kw_only=True):
    """A feature with levels in one window."""

    counts: tuple[int, ...]
    """Rows of each of the baseline's levels, then of all others together."""
    unseen: int = 0
    """Rows, among the others, whose level the baseline never saw."""
    missing: int = 0
    type_changes: int = 0
    """Rows whose value is a number, and no code of a level."""
    new_values: dict[str, int] = {}
    """The heaviest new levels and their rows; capped."""


class PairSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What goes with what among the numeric features in one window: exact sums of scores (`detectors.pairs`)."""

    sums: tuple[int, ...]
    """Of each feature's scores."""
    products: tuple[int, ...]
    """Of the scores of each two features, a feature with itself among them: (0, 0), (0, 1), …, (1, 1), …"""


class DuplicateSummary(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows of a window equal an earlier one (`detectors.duplicates`)."""

    smallest: bytes = b""
    """The smallest hashes of its rows, in order, each once: 32 bits little-endian."""


NO_PAIRS: Final = PairSummary(sums=(), products=())
"""Of a window whose baseline has no pairs."""


class VectorSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A feature whose value is a vector in one window."""

    rows: int
    """Rows with a vector that can be used."""
    sums: tuple[int, ...]
    """Of each random feature of these rows, in units of 1/4096 (`detectors.random_features`)."""


FeatureSummary: TypeAlias = NumericSummary | CategoricalSummary


class WindowSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One window of one model against one baseline, as one replica saw it or as several merged."""

    model: str
    version: str
    baseline_id: str
    index: int
    """Counts windows of this model and baseline from 0."""
    opened_at_ns: int
    closed_at_ns: int
    rows: int
    late_rows: int = 0
    """Among them, those whose own window had closed before the one before this opened."""
    features: dict[str, FeatureSummary]
    pairs: PairSummary = NO_PAIRS
    vectors: dict[str, VectorSummary] = {}
    duplicates: DuplicateSummary = DuplicateSummary()
    unknown: dict[str, int] = {}
    """Rows with a value of a feature that the baseline does not know, by its name; capped."""

    @property
    def middle_ns(self) -> int:
        """The middle of its time: a cycle is looked up there."""
        return (self.opened_at_ns + self.closed_at_ns) // 2
