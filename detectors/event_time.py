"""When rows happened, where a feature says so: RFC 3339 text, or a number of seconds, milliseconds, microseconds or nanoseconds since 1970.

Which of these a number is shows in its size: below 10¹¹ they are seconds (until the year 5138), below 10¹⁴ milliseconds, below 10¹⁷ microseconds.
A row that does not say it, or that would have happened after it was asked about, has the time of its exchange.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from detectors.arrays import Column, Integers

AHEAD_NS: Final = 60_000_000_000
"""By so much a client's clock may be ahead of ours."""

_NUMBERS: Final = frozenset({int, float})
_UNITS_NS: Final = ((1e11, 1_000_000_000), (1e14, 1_000_000), (1e17, 1_000), (9e18, 1))


def event_times(column: Column, exchange_times_ns: Integers) -> tuple[Integers, int]:
    """Return the time of each row (Unix nanoseconds), and how many rows have that of their exchange because they did not say a possible one."""
    said = np.array([time_ns_of(value) for value in column.tolist()], dtype=np.int64)
    possible = (said > 0) & (said <= exchange_times_ns + AHEAD_NS)
    times_ns = np.where(possible, np.minimum(said, exchange_times_ns), exchange_times_ns)
    return times_ns, len(times_ns) - int(np.count_nonzero(possible))


def time_ns_of(value: Any) -> int:
    """Return Unix nanoseconds; 0 where the value is no time."""
    if type(value) is str:
        value = _seconds(value)
    if type(value) not in _NUMBERS or not 0 < value < _UNITS_NS[-1][0]:  # false for NaN
        return 0
    time_ns = int(value * next(unit for limit, unit in _UNITS_NS if value < limit))
    return time_ns if time_ns < _UNITS_NS[-1][0] else 0


def _seconds(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
