"""Decoded rows on their way from the detectors' thread to the store's."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

from store.clickhouse.features import FeatureRows

SIZE_BYTES_AT_MOST: Final = 64 * 1024 * 1024
_PATIENCE_SECONDS: Final = 5.0


class FeatureShelf:
    """Rows that wait for the store, at most so many bytes of them: then the oldest are given up, and counted.

    While the store takes them, `settle` sees to it that none waits when the detectors' cursors go to the disk: so a crash loses none. Rows that did wait then
    are in the state (`waiting`), and count as given up by the next process.
    """

    def __init__(self, dropped: int = 0, *, size_bytes_at_most: int = SIZE_BYTES_AT_MOST) -> None:
        """Go on with the number of rows that were given up before."""
        self.dropped = dropped
        self._at_most = size_bytes_at_most
        self._changed = threading.Condition()
        self._waiting: tuple[FeatureRows, ...] = ()
        self._wanted = False
        self._failing = True
        """Nobody takes rows: the store is down, or there is nobody yet."""

    @property
    def waiting(self) -> int:
        """How many rows the store has yet to take."""
        return sum(map(len, self._waiting))

    def put(self, rows: FeatureRows) -> None:
        """Add rows."""
        with self._changed:
            self._waiting += (rows,)
            while len(self._waiting) > 1 and sum(batch.size_bytes for batch in self._waiting) > self._at_most:
                self.dropped += len(self._waiting[0])
                self._waiting = self._waiting[1:]

    def settle(self) -> None:
        """Return once the store has all rows, or does not take them."""
        with self._changed:
            if self._waiting and not self._failing:
                self._wanted = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: not self._waiting or self._failing, _PATIENCE_SECONDS)

    def wait(self, seconds: float) -> None:
        """Return after so long, sooner where somebody waits in `settle`."""
        with self._changed:
            self._changed.wait_for(lambda: self._wanted, seconds)

    def look(self) -> Sequence[FeatureRows]:
        """Return the rows that wait, oldest first."""
        return self._waiting

    def tried(self, rows: Sequence[FeatureRows], *, stored: bool) -> None:
        """Say whether the store has taken these."""
        taken = set(map(id, rows)) if stored else set()
        with self._changed:
            self._waiting = tuple(batch for batch in self._waiting if id(batch) not in taken)
            self._failing, self._wanted = not stored, False
            self._changed.notify_all()
