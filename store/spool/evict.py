"""Gives up the oldest segments where the spool is beyond its bounds (docs/decisions/0001-spool.md).

    note which records go, and why      `evicted.state`
    delete their segments               a reader meets the gap in the sequences, and counts it by the reason in the note

No cursor and no count is written here, so a kill between the two leaves a note about records that are read after all. Two kinds of segments stay:
those that a living writer appends to or has prepared, and those whose records the store's loader holds unacknowledged, since only reading them again tells after
a crash which of them the store has.
"""

from __future__ import annotations

import logging
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from records.metrics import DropReason
from store.spool.cursor import Cursor
from store.spool.evictions import Eviction, note_evictions
from store.spool.format import segment_name
from store.spool.ledger import LedgerView
from store.spool.listing import first_sequence, free_bytes, segment_indexes, spool_bytes, writer_names
from store.spool.reader import SpoolReader
from store.spool.state import LoaderState

_LOOKED_AT: Final = 64
"""Segments of a writer, the oldest, that are considered at a time."""

_log = logging.getLogger(__name__)


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What the spool may take."""

    max_bytes: int
    min_free_bytes: int = 0
    reserve_bytes: int = 0
    """Room to make before the writers need it."""
    max_age_seconds: float = math.inf
    drop_oldest: bool = False
    """Whether records that the store does not have are given up for want of room; else writers drop the newest."""


class Usage(NamedTuple):
    """What the spool takes, and what its disk has left."""

    spool_bytes: int
    free_bytes: int


class Held(NamedTuple):
    """A segment that may be given up."""

    path: Path
    first: int
    """Its first and last record; the last is before the first where it has none."""
    last: int
    size_bytes: int
    written_at_seconds: float
    """Unix time of its last change."""
    stored: bool
    """Whether the store has all of it, and only the detectors lag."""

    @property
    def writer(self) -> str:
        """Whose it is."""
        return self.path.parent.name


def choose(segments: Iterable[Held], bounds: Bounds, usage: Usage, now_seconds: float) -> list[tuple[Held, DropReason]]:
    """Return which segments to give up, oldest first, and why."""
    chosen = []
    over = usage.spool_bytes + bounds.reserve_bytes - bounds.max_bytes
    short = bounds.min_free_bytes + bounds.reserve_bytes - usage.free_bytes
    for segment in sorted(segments, key=lambda segment: segment.written_at_seconds):
        may_go = bounds.drop_oldest or segment.stored
        if now_seconds - segment.written_at_seconds > bounds.max_age_seconds:
            reason = DropReason.EXPIRED
        elif may_go and over > 0:
            reason = DropReason.SPOOL_FULL
        elif may_go and short > 0:
            reason = DropReason.DISK_FULL
        else:
            continue
        chosen.append((segment, reason))
        over -= segment.size_bytes
        short -= segment.size_bytes
    return chosen


def evict(spool: Path, bounds: Bounds, reader: SpoolReader, loader: Callable[[], LoaderState], detectors: Mapping[str, Cursor], *, now_seconds: float) -> None:
    """Give up what is beyond the bounds. `reader` is the loader's, which waits meanwhile; `loader` and `detectors` are as they were last written.

    Raises OSError where something cannot be deleted, DamagedStateError where `evicted.state` cannot be read; call it again later.
    """
    usage = Usage(spool_bytes(spool), free_bytes(spool))
    if math.isinf(bounds.max_age_seconds) and not choose([_ANY], bounds, usage, now_seconds):
        return
    with reader.held() as read:
        state = loader()
        chosen = choose(_evictable(spool, state, _in_hand(read, state)), bounds, usage, now_seconds)
        if chosen:
            note_evictions(spool, _notes(chosen), {writer: _passed(writer, state.cursors, detectors) for writer in writer_names(spool)})
            for segment, _ in chosen:
                reader.let_go(segment.path)
                segment.path.unlink(missing_ok=True)
    _report(chosen)


_ANY: Final = Held(Path(), 1, 0, 0, math.inf, stored=True)


def _in_hand(read: Mapping[str, Cursor], state: LoaderState) -> dict[str, int]:
    """Return, by writer, the last record that was read and of which nothing is known to be stored."""
    last = {writer: cursor.sequence for writer, cursor in read.items() if cursor != state.cursors.get(writer, Cursor())}
    return {writer: max(last.get(writer, 0), state.intent.get(writer, (0, 0))[1]) for writer in last.keys() | state.intent.keys()}


def _evictable(spool: Path, state: LoaderState, in_hand: Mapping[str, int]) -> Iterator[Held]:
    for writer in writer_names(spool):
        acknowledged = state.cursors.get(writer, Cursor()).segment
        for segment in _held(spool / writer, acknowledged):
            if segment.stored or segment.first > in_hand.get(writer, 0):
                yield segment


def _held(directory: Path, acknowledged: int) -> Iterator[Held]:
    """Yield a writer's oldest segments, but not the one that it appends to, if it lives, nor those after it."""
    try:
        with closing(LedgerView(directory)) as ledger:
            alive, promised = ledger.alive(), ledger.sequence()
    except (FileNotFoundError, ValueError):
        return
    indexes = segment_indexes(directory)
    paths = [directory / segment_name(index) for index in indexes[: _LOOKED_AT + 1]]
    begins = [first_sequence(path) for path in paths]
    at_end = not alive and len(paths) == len(indexes)
    for path, index, (first, last) in zip(paths, indexes, _ranges(begins, promised if at_end else None), strict=False):
        status = _status(path)
        if last is not None and status:
            yield Held(path, first, last, status.st_size, status.st_mtime, stored=index < acknowledged)


def _ranges(begins: list[int], promised: int | None) -> Iterator[tuple[int, int | None]]:
    """Yield the first and last record of each segment, given with which record each begins, 0 where that cannot be told.

    `promised` is the last record of all, None where there may be more; the last record of the last segment in use is then None, and of those after it.

    >>> list(_ranges([1, 5, 0], None)), list(_ranges([1, 5, 0], 9))
    ([(1, 4), (5, None), (5, None)], [(1, 4), (5, 9), (10, 9)])
    """
    used = max((place for place, begin in enumerate(begins, start=1) if begin), default=0)
    first = 0
    for place, begin in enumerate(begins, start=1):
        first = begin or first
        after = next((following for following in begins[place:] if following), None)
        if place > used and promised is not None:
            yield promised + 1, promised
        else:
            yield first, promised if after is None else after - 1


def _notes(chosen: Iterable[tuple[Held, DropReason]]) -> dict[str, list[Eviction]]:
    notes: dict[str, list[Eviction]] = {}
    for segment, reason in chosen:
        if segment.first <= segment.last:
            notes.setdefault(segment.writer, []).append(Eviction(segment.first, segment.last, reason))
    return notes


def _passed(writer: str, loader: Mapping[str, Cursor], detectors: Mapping[str, Cursor]) -> int:
    """Return the last record that every consumer has passed."""
    return min(cursors.get(writer, Cursor()).sequence for cursors in (loader, detectors))


def _status(path: Path) -> os.stat_result | None:
    with suppress(FileNotFoundError):
        return path.stat()
    return None


def _report(chosen: Iterable[tuple[Held, DropReason]]) -> None:
    reasons = Counter(reason for segment, reason in chosen if not segment.stored)
    for reason, segments in reasons.items():
        _log.warning("gave up the oldest %d segments of the spool that wait for the store: %s", segments, reason)
