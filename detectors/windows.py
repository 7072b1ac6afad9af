"""Which rows make a window. Event time: the time of a row is that of its exchange, or one that a feature says (`event_time`), never that of a clock.

Windows follow each other in time, and rows mostly do. One that comes out of order is counted in the window that is open; one that comes so late that another
window has opened and closed since its own is *late*, and counted as that as well. No row is left out.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec

from detectors.arrays import Integers


class Cut(NamedTuple):
    """How much of a batch belongs to the open window."""

    rows: int
    closes: bool


class WindowPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """A window closes at `max_rows`, or once `max_seconds` have passed if it has `min_rows`; else it waits for them.

    Without `max_seconds` it closes by rows alone.

    >>> import numpy as np
    >>> WindowPolicy(max_rows=3).cut(1, 0, np.array([10, 20, 30]))
    Cut(rows=2, closes=True)
    """

    max_rows: int = 1_000
    max_seconds: float | None = 600.0
    min_rows: int = 200

    def cut(self, open_rows: int, opened_at_ns: int, times_ns: Integers) -> Cut:
        """Say how many of the batch's first rows the open window takes, and whether it is then whole.

        `open_rows` are in the window already. A row that comes after the window's time belongs to the next window, unless this one
        still waits for its fewest rows.
        """
        wanted = self.max_rows - open_rows
        expired = times_ns >= self._due_ns(opened_at_ns)
        if expired.any():
            wanted = min(wanted, max(int(expired.argmax()), self.fewest_rows - open_rows))
        return Cut(min(wanted, len(times_ns)), wanted <= len(times_ns))

    def is_due(self, rows: int, opened_at_ns: int, now_ns: int) -> bool:
        """Return whether a window closes by time although no row comes."""
        return rows >= self.fewest_rows and now_ns >= self._due_ns(opened_at_ns)

    def is_waiting(self, rows: int, opened_at_ns: int, now_ns: int) -> bool:
        """Return whether a window that has begun would close by time, were it not for its fewest rows."""
        return 0 < rows < self.fewest_rows and now_ns >= self._due_ns(opened_at_ns)

    def _due_ns(self, opened_at_ns: int) -> float:
        return math.inf if self.max_seconds is None else opened_at_ns + int(self.max_seconds * 1e9)

    @property
    def fewest_rows(self) -> int:
        """The fewest rows on which a window is tested."""
        return min(self.min_rows, self.max_rows)
