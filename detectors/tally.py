"""Counts of one feature as the tests see them: of a window, or of several pooled."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from detectors.arrays import Floats
from records.baseline import FeatureBaseline, NumericBaseline
from records.window import FeatureSummary, NumericSummary


class TallyState(msgspec.Struct, frozen=True, array_like=True, tag="tally"):
    """A tally as it is written down."""

    counts: tuple[float, ...]
    absent: float
    unseen: float


class News(NamedTuple):
    """What a window says that those before it did not foretell."""

    tally: Tally
    """The baseline's frequencies and what is new, in independent rows."""
    remaining: float = 1.0
    """The part of a lasting deviation, a drift or the baseline's own error, that shows in it: above 0, up to 1."""


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
    def of_baseline(cls, baseline: FeatureBaseline, rows: int) -> Tally:
        """Return the counts of a feature's baseline of so many rows; as many of its values are as good as unseen as were seen once."""
        counts = np.array(baseline.counts, dtype=np.float64)
        unseen = 0 if isinstance(baseline, NumericBaseline) else baseline.singletons
        return cls(counts, rows - counts.sum(), unseen)

    @classmethod
    def of_slices(cls, baseline: FeatureBaseline) -> list[Tally]:
        """Return the counts of a feature's baseline in each hour of its cycle."""
        unseen = 0 if isinstance(baseline, NumericBaseline) else baseline.singletons / max(1, sum(baseline.counts))
        return [cls(np.array(each.counts, dtype=np.float64), each.absent, unseen * sum(each.counts)) for each in baseline.slices]

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

    def frequencies(self) -> Floats:
        """Return those of the bins among the rows with a value, of rows without one, and of values never seen: bins + 2."""
        present = self.present or 1.0
        return np.concatenate([self.counts / present, [self.absent / (self.rows or 1.0), self.unseen / present]])

    @classmethod
    def from_frequencies(cls, frequencies: Floats, rows: float) -> Tally:
        """Return so many rows with these frequencies, of which those below 0, left by a subtraction, are none."""
        clipped = np.clip(frequencies, 0.0, 1.0)
        absent = float(clipped[-2]) * rows
        present = rows - absent
        return cls(clipped[:-2] * (present / (clipped[:-2].sum() or 1.0)), absent, float(clipped[-1]) * present)

    def plus(self, other: Tally) -> Tally:
        """Return the counts of both."""
        return Tally(self.counts + other.counts, self.absent + other.absent, self.unseen + other.unseen)

    def scaled(self, factor: float) -> Tally:
        """Return each count times `factor`."""
        return Tally(self.counts * factor, self.absent * factor, self.unseen * factor)
