"""Counts of one feature as the tests see them: of a window, or of several pooled."""

from __future__ import annotations

from functools import cached_property
from operator import add
from typing import Final, Generic, NamedTuple, Protocol, Self, TypeVar

import msgspec
import numpy as np

from detectors.arrays import Floats
from records.baseline import FeatureBaseline, NumericBaseline
from records.window import FeatureSummary, NumericSummary

OTHER_COUNTS: Final = 5
"""Of a tally, beside those of its bins."""


class TallyState(msgspec.Struct, frozen=True, array_like=True, tag="tally"):
    """A tally as it is written down."""

    counts: tuple[float, ...]
    absent: float
    unseen: float
    out_of_range: float = 0.0
    non_finite: float = 0.0
    type_changes: float = 0.0


class Means(Protocol):
    """Means over rows of something that each row has."""

    @property
    def rows(self) -> float:
        """How many they are."""
        ...

    @property
    def present(self) -> float:
        """How many of them have a value."""
        ...

    def frequencies(self) -> Floats:
        """Return the means."""
        ...

    def scaled(self, factor: float) -> Self:
        """Return what would be known of this many times the rows."""
        ...

    @classmethod
    def from_frequencies(cls, frequencies: Floats, rows: float) -> Self:
        """Return so many rows with these means."""
        ...


MeansT = TypeVar("MeansT", bound=Means)


class News(NamedTuple, Generic[MeansT]):
    """What a window says that those before it did not foretell."""

    tally: MeansT
    """The baseline's frequencies and what is new, in independent rows."""
    remaining: float = 1.0
    """The part of a lasting deviation, a drift or the baseline's own error, that shows in it: above 0, up to 1."""


class _Counts(NamedTuple):
    """What a tally counts."""

    counts: Floats
    """Rows in each bin or level."""
    absent: float
    """Rows without a usable value: missing, not finite, or of another type."""
    unseen: float
    """Rows whose level the baseline never saw."""
    out_of_range: float = 0.0
    """Rows whose number is below the baseline's smallest or above its largest."""
    non_finite: float = 0.0
    """Rows without a usable value because it is not finite."""
    type_changes: float = 0.0
    """Rows without a usable value because it is of another type."""


class Tally(_Counts):
    """Additive, and may be scaled: older windows count for less in a pool."""

    @classmethod
    def of(cls, summary: FeatureSummary) -> Tally:
        """Return the counts of a summary."""
        counts = np.array(summary.counts, dtype=np.float64)
        if isinstance(summary, NumericSummary):
            absent = summary.missing + summary.non_finite + summary.type_changes
            return cls(counts, absent, 0, summary.out_of_range, summary.non_finite, summary.type_changes)
        return cls(counts, summary.missing + summary.type_changes, summary.unseen, type_changes=summary.type_changes)

    @classmethod
    def of_baseline(cls, baseline: FeatureBaseline, rows: int) -> Tally:
        """Return the counts of a feature's baseline of so many rows; as many of its values are as good as unseen as were seen once."""
        counts = np.array(baseline.counts, dtype=np.float64)
        absent = rows - counts.sum()
        if isinstance(baseline, NumericBaseline):
            return cls(counts, absent, 0, non_finite=baseline.non_finite, type_changes=baseline.type_changes)
        return cls(counts, absent, baseline.singletons, type_changes=baseline.type_changes)

    @classmethod
    def of_slices(cls, baseline: FeatureBaseline) -> list[Tally]:
        """Return the counts of a feature's baseline in each hour of its cycle; what is not counted by the hour is as frequent in each."""
        whole = cls.of_baseline(baseline, sum(sum(each.counts) + each.absent for each in baseline.slices))
        return [
            cls(
                np.array(each.counts, dtype=np.float64),
                each.absent,
                unseen=whole.unseen / (whole.present or 1.0) * sum(each.counts),
                non_finite=whole.non_finite / whole.rows * (sum(each.counts) + each.absent),
                type_changes=whole.type_changes / whole.rows * (sum(each.counts) + each.absent),
            )
            for each in baseline.slices
        ]

    @classmethod
    def restored(cls, state: TallyState) -> Tally:
        """Return the tally that was written down."""
        return cls(np.array(state.counts, dtype=np.float64), *msgspec.structs.astuple(state)[1:])

    def state(self) -> TallyState:
        """Return what to write down."""
        return TallyState(tuple(self.counts.tolist()), *self[1:])

    @cached_property
    def present(self) -> float:
        """Rows with a value: every test of a window asks."""
        return float(self.counts.sum())

    @property
    def rows(self) -> float:
        """All rows."""
        return self.present + self.absent

    @property
    def missing(self) -> float:
        """Rows in which there is nothing."""
        return max(0.0, self.absent - self.non_finite - self.type_changes)

    def frequencies(self) -> Floats:
        """Return those of the bins among the rows with a value, then those of the other counts, in their order: bins + 5.

        They are frequencies among the rows with a value, or among all rows where they count rows without one.
        """
        present, rows = self.present or 1.0, self.rows or 1.0
        others = [self.absent / rows, self.unseen / present, self.out_of_range / present, self.non_finite / rows, self.type_changes / rows]
        return np.concatenate([self.counts / present, others])

    @classmethod
    def from_frequencies(cls, frequencies: Floats, rows: float) -> Tally:
        """Return so many rows with these frequencies, of which those below 0, left by a subtraction, are none."""
        clipped = np.clip(frequencies, 0.0, 1.0)
        bins = clipped[:-OTHER_COUNTS]
        absent, unseen, out_of_range, non_finite, type_changes = clipped[-OTHER_COUNTS:].tolist()
        present = rows * (1 - absent)
        return cls(bins * (present / (bins.sum() or 1.0)), absent * rows, unseen * present, out_of_range * present, non_finite * rows, type_changes * rows)

    def plus(self, other: Tally) -> Tally:
        """Return the counts of both."""
        return Tally(self.counts + other.counts, *map(add, self[1:], other[1:]))

    def scaled(self, factor: float) -> Tally:
        """Return each count times `factor`."""
        return Tally(self.counts * factor, *(count * factor for count in self[1:]))
