"""Which records were given up to make room, and why: `evicted.state` in the spool.

It is written before their segments are deleted, so whoever meets the gap that they leave can tell it from damage. It is no count: records count as
dropped where the store's loader finds them gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from records.metrics import DropReason
from store.spool.state import read_state, write_state

EVICTED_NAME: Final = "evicted.state"


class Eviction(msgspec.Struct, frozen=True, array_like=True):
    """Records of one writer, first and last included."""

    first: int
    last: int
    reason: DropReason


class Evicted(msgspec.Struct, frozen=True):
    """The content of `evicted.state`."""

    writers: dict[str, tuple[Eviction, ...]] = {}
    """In the order of their sequences; what every consumer has passed is forgotten."""


def read_evictions(spool: Path) -> dict[str, tuple[Eviction, ...]]:
    """Return what was given up, by writer. Raises DamagedStateError."""
    return (read_state(spool / EVICTED_NAME, Evicted, advice="move it away: what was given up then counts as corrupt") or Evicted()).writers


def note_evictions(spool: Path, more: Mapping[str, Sequence[Eviction]], passed: Mapping[str, int]) -> None:
    """Add to what was given up; forget writers that are not in `passed`, and records up to the last one that every consumer has passed."""
    known = read_evictions(spool)
    noted = {
        writer: _joined(eviction for eviction in (*known.get(writer, ()), *more.get(writer, ())) if eviction.last > last) for writer, last in passed.items()
    }
    write_state(spool / EVICTED_NAME, Evicted({writer: evictions for writer, evictions in noted.items() if evictions}))


def losses(first: int, last: int, evictions: Iterable[Eviction]) -> dict[DropReason, int]:
    """Return why the records from `first` to `last` are gone: as was noted, else by damage.

    >>> losses(1, 10, [Eviction(3, 5, DropReason.EXPIRED)]) == {DropReason.EXPIRED: 3, DropReason.CORRUPT: 7}
    True
    """
    counts: dict[DropReason, int] = {}
    for eviction in evictions:
        begin, end = max(first, eviction.first), min(last, eviction.last)
        if begin <= end:
            counts[eviction.reason] = counts.get(eviction.reason, 0) + end - begin + 1
    damaged = last - first + 1 - sum(counts.values())
    return counts | ({DropReason.CORRUPT: damaged} if damaged else {})


def _joined(evictions: Iterable[Eviction]) -> tuple[Eviction, ...]:
    """Put those next to each other together, where the reason is the same; none overlap afterwards."""
    joined: list[Eviction] = []
    for eviction in sorted(evictions, key=lambda eviction: eviction.first):
        before = joined[-1] if joined else Eviction(0, -1, eviction.reason)
        first = max(eviction.first, before.last + 1)
        if first > eviction.last:
            continue
        if before.reason is eviction.reason and before.last + 1 == first and joined:
            joined[-1] = Eviction(before.first, eviction.last, eviction.reason)
        else:
            joined.append(Eviction(first, eviction.last, eviction.reason))
    return tuple(joined)
