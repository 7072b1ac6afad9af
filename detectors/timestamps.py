"""Timestamps as what can be watched of them: how old they are when the model is asked, and the hour of the day.

A timestamp that is that of the request is young, and its hour is that of the clock: not of the data. So the hour (UTC) is watched only where ages spread over more than a day.
A column is one of timestamps where a table says so, or where nearly all of its values are dates or moments as ISO 8601 writes them; numbers are moments (seconds to nanoseconds, by
their size) only where the baseline had timestamps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from detectors.arrays import Column, Columns, Integers
from detectors.event_time import time_ns_of
from records.baseline import TimeBaseline

AGE: Final = ".age_seconds"
HOUR: Final = ".hour"

_ISO_8601: Final = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}.*)?")
_NEARLY_ALL: Final = 0.95
_DAY_NS: Final = 86_400 * 10**9
_HOURS: Final = [f"{hour:02}:00" for hour in range(24)]
_SAMPLE: Final = 1_000


def reads_like_times(values: Sequence[str]) -> bool:
    """Return whether nearly all values are dates or moments.

    >>> reads_like_times(["2026-03-01T12:00:00Z", "2026-03-02"]), reads_like_times(["20260301", "12"])
    (True, False)
    """
    some = values[:: max(1, len(values) // _SAMPLE)]
    return bool(some) and sum(_ISO_8601.fullmatch(value) is not None and time_ns_of(value) != 0 for value in some) >= _NEARLY_ALL * len(some)


def time_baseline(name: str, column: Column, times_ns: Integers | None) -> tuple[TimeBaseline, Columns]:
    """Return the baseline of a column of timestamps, and what is made of it; `times_ns` are those of the rows, where they are known."""
    said = _said_ns(column)
    known = said != 0
    spread = np.percentile((times_ns - said)[known], [25, 75]) if times_ns is not None and known.any() else np.zeros(2)
    feature = TimeBaseline(name=name, has_age=times_ns is not None, has_hour=bool(spread[1] - spread[0] > _DAY_NS))
    return feature, TimeReader(feature).columns(column, times_ns)


class TimeReader:
    """What is made of one timestamp."""

    def __init__(self, baseline: TimeBaseline) -> None:
        self.name: Final = baseline.name
        self._baseline = baseline

    def columns(self, column: Column, times_ns: Integers | None) -> Columns:
        """Return what is made of the rows, which have these times; missing where there is no timestamp."""
        said = _said_ns(column)
        made: dict[str, Column] = {}
        if self._baseline.has_age:
            made[self.name + AGE] = np.where((said != 0) & (times_ns is not None), ((0 if times_ns is None else times_ns) - said) / 1e9, np.nan)
        if self._baseline.has_hour:
            hours = said // 3_600_000_000_000 % 24
            made[self.name + HOUR] = np.array(
                [_HOURS[hour] if known else None for hour, known in zip(hours.tolist(), (said != 0).tolist(), strict=True)], dtype=np.object_
            )
        return made


def made_of_time(baseline: TimeBaseline) -> Iterable[str]:
    """Return the names of the features that are made of a timestamp."""
    return (baseline.name + ending for ending, is_there in ((AGE, baseline.has_age), (HOUR, baseline.has_hour)) if is_there)


def _said_ns(column: Column) -> Integers:
    """Return Unix nanoseconds; 0 where there is no timestamp."""
    if column.dtype.kind == "M":
        moments = column.astype("datetime64[ns]")
        return np.where(np.isnat(moments), 0, moments.astype(np.int64))
    return np.array([time_ns_of(value) for value in column.tolist()], dtype=np.int64)
