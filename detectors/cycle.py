"""A day or a week that repeats: what to expect at each hour of it.

A baseline with a cycle keeps the counts of each hour of the day, or of the week, beside those of all its rows. What a window at some time is expected to be
lies between the two hours whose middles are nearest. A window is compared with that by taking the hour's difference from the whole baseline off its frequencies, so that
everything after this step sees traffic without a cycle:

    d(t) = (1 − s)·(bₕ − b) + s·(bₕ₊₁ − b) ,   expected(t) = b + d(t) ,   without(w, t) = w − d(t)

with frequencies of the bins of one feature: b of the whole baseline, bₕ of its hour h, w of a window whose middle t is a share s of an hour behind the middle of h. Hours are those of UTC.
Source: seasonal subseries, as in Cleveland, Cleveland, McRae and Terpenning, "STL: a seasonal-trend decomposition", Journal of Official Statistics 6, 1990.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Generic, NamedTuple

import numpy as np
import numpy.typing as npt

from detectors.arrays import Floats, Integers
from detectors.tally import MeansT, Tally
from records.baseline import FeatureBaseline, Slice

SLICE_SECONDS: Final = 3600
_DAYS: Final = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
FEWEST_CYCLES: Final = 2
FEWEST_ROWS: Final = 100
"""In each hour: below this a baseline could not tell it from others."""


class Cycle(StrEnum):
    """What repeats."""

    DAY = "day"
    WEEK = "week"

    @property
    def seconds(self) -> int:
        """How long it takes."""
        return 86_400 if self is Cycle.DAY else 604_800


class CycleError(ValueError):
    """Rows from which a cycle cannot be learned; the text says why and what to do."""


class Hours(NamedTuple):
    """The hours of a cycle."""

    of_rows: Integers
    """Which one each row lies in, from 0."""
    number: int

    def counts(self, bins: Integers, present: npt.NDArray[np.bool_], width: int) -> tuple[Slice, ...]:
        """Return a feature's rows by hour, from the bin of each row, below `width`, of which some are `present`."""
        counts = np.bincount(self.of_rows[present] * width + bins[present], minlength=self.number * width).reshape(self.number, width)
        absent = np.bincount(self.of_rows[~present], minlength=self.number)
        return tuple(Slice(tuple(each.tolist()), int(without)) for each, without in zip(counts, absent, strict=True))


class Timed(NamedTuple):
    """When each row was, and what repeats."""

    times_ns: Integers
    """Unix nanoseconds."""
    cycle: Cycle

    def hours(self) -> Hours:
        """Return the hour of each row. Raises `CycleError` where the rows are too few or of too short a time."""
        days = int(self.times_ns.max() - self.times_ns.min()) / 86_400e9
        if days * 86_400 < FEWEST_CYCLES * self.cycle.seconds - SLICE_SECONDS:
            raise CycleError(
                f"a cycle of a {self.cycle} is learned from {FEWEST_CYCLES} of them or more, and the rows span {days:.1f} days: give a longer period"
            )
        count = self.cycle.seconds // SLICE_SECONDS
        of_rows = np.asarray(self.times_ns // (SLICE_SECONDS * 1_000_000_000) % count)
        fewest = int(np.bincount(of_rows, minlength=count).min())
        if fewest < FEWEST_ROWS:
            raise CycleError(f"a cycle needs {FEWEST_ROWS} rows in each of its {count} hours, and one of them has {fewest}: give a longer period, or no cycle")
        return Hours(of_rows, count)


def hour_in_words(cycle_seconds: int, at_ns: int) -> str:
    """Return the hour of a day or a week that a moment lies in.

    >>> hour_in_words(604_800, 1_763_640_000_000_000_000)
    'Thursdays 12:00–13:00 UTC'
    """
    moment = datetime.fromtimestamp(at_ns // 10**9, UTC)
    hours = f"{moment:%H}:00–{(moment.hour + 1) % 24:02}:00 UTC"
    return hours if cycle_seconds == Cycle.DAY.seconds else f"{_DAYS[moment.weekday()]} {hours}"


class Season(Generic[MeansT]):
    """What one feature is expected to be at each time."""

    def __init__(self, baseline: MeansT, slices: Sequence[MeansT]) -> None:
        """`slices` are the baseline's rows by hour of the cycle; none where nothing repeats."""
        self._baseline = baseline
        self._differences: Final = np.array([each.frequencies() - baseline.frequencies() for each in slices])

    @staticmethod
    def of(baseline: FeatureBaseline, rows: int) -> Season[Tally]:
        """Return that of a feature's baseline of so many rows."""
        return Season(Tally.of_baseline(baseline, rows), Tally.of_slices(baseline))

    def expected(self, at_ns: int) -> MeansT:
        """Return what the baseline would be if all of it were of this time."""
        if not len(self._differences):
            return self._baseline
        return type(self._baseline).from_frequencies(self._baseline.frequencies() + self._difference(at_ns), self._baseline.rows)

    def without(self, tally: MeansT, at_ns: int) -> MeansT:
        """Return a window's tally as it would be without the cycle; `at_ns` is the middle of its time."""
        if not len(self._differences):
            return tally
        seen = tally.frequencies() - self._difference(at_ns)
        return type(tally).from_frequencies(seen, tally.rows) if tally.present else tally

    def _difference(self, at_ns: int) -> Floats:
        position = at_ns / (SLICE_SECONDS * 1e9) - 0.5
        before, share = int(position // 1), position % 1
        hours = len(self._differences)
        return np.asarray((1 - share) * self._differences[before % hours] + share * self._differences[(before + 1) % hours])
