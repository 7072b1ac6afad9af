"""How many connections each worker of a generation holds, in memory that all of them map: who has more lets the others go first."""

from __future__ import annotations

import mmap
import os
from typing import Final

_ABSENT: Final = 0xFFFF_FFFF
"""The count of a worker that takes none: nobody waits for it."""

_ITEM_BYTES: Final = 4


def create_occupancy(workers: int) -> int:
    """Return the descriptor of the memory for so many workers, none of which is there yet."""
    fd = os.memfd_create("driftline-occupancy")
    os.write(fd, _ABSENT.to_bytes(_ITEM_BYTES, "big") * workers)
    return fd


class Occupancy:
    """One worker's seat among the others. A count that a killed worker left holds until its successor comes; it can only be waited for in vain."""

    def __init__(self, counts: memoryview[int], seat: int) -> None:
        """`counts` has one unsigned 32-bit integer per worker."""
        self._counts = counts.cast("B").cast("I")
        self._seat = seat

    @classmethod
    def shared(cls, fd: int, seat: int) -> Occupancy:
        """Take a seat in what `create_occupancy` has made."""
        return cls(memoryview(mmap.mmap(fd, 0)), seat)

    @classmethod
    def alone(cls) -> Occupancy:
        """Take the only seat."""
        return cls(memoryview(bytearray(_ITEM_BYTES)), 0)

    def open(self) -> None:
        """Connections are taken from now on."""
        self._counts[self._seat] = 0

    def close(self) -> None:
        """No connection is taken any more."""
        self._counts[self._seat] = _ABSENT

    def entered(self) -> None:
        """One more connection."""
        self._counts[self._seat] += 1

    def left(self) -> None:
        """One connection less."""
        if self._counts[self._seat] not in {0, _ABSENT}:
            self._counts[self._seat] -= 1

    @property
    def least(self) -> int:
        """Return the count of the worker that has the fewest, of those that take connections."""
        return min(self._counts)

    @property
    def excess(self) -> int:
        """Return how many more connections this worker has than that one."""
        return self._counts[self._seat] - self.least
