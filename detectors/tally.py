"""Counts of one feature as the tests see them: of a window, or of several pooled."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from detectors.arrays import Floats
from records.window import FeatureSummary, NumericSummary


class TallyState(msgspec.Struct, frozen=True, array_like=True):
    """A tally as it is written down."""

    counts: tuple[float, ...]
    absent: float
    unseen: float


class Tally(NamedTuple):
    """Additive, and may be scaled: older windows count for less in a pool."""

    counts: Floats
    """Rows in each bin or level."""
    absent: float
    """Rows without a usable value: missing, or not finite."""
    unseen: float
    """Rows whose level the baseline never saw."""

    @classmethod
    def of(cls, summary: FeatureSummary) -> Tally:
        """Return the counts of a summary."""
        counts = np.array(summary.counts, dtype=np.float64)
        if isinstance(summary, NumericSummary):
            return cls(counts, summary.missing + summary.non_finite, 0)
        return cls(counts, summary.missing, summary.unseen)

    @classmethod
    def restored(cls, state: TallyState) -> Tally:
        """Return the tally that was written down."""
        return cls(np.array(state.counts, dtype=np.float64), state.absent, state.unseen)

    def state(self) -> TallyState:
        """Return what to write down."""
        return TallyState(tuple(self.counts.tolist()), self.absent, self.unseen)

    @property
    def present(self) -> float:
        """Rows with a value."""
        return float(self.counts.sum())

    @property
    def rows(self) -> float:
        """All rows."""
        return self.present + self.absent

    def plus(self, other: Tally) -> Tally:
        """Return the counts of both."""
        return Tally(self.counts + other.counts, self.absent + other.absent, self.unseen + other.unseen)

    def scaled(self, factor: float) -> Tally:
        """Return each count times `factor`."""
        return Tally(self.counts * factor, self.absent * factor, self.unseen * factor)
