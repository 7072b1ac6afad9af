"""Reads the frames of all writers: in order within a writer, in turns between them."""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from records.metrics import DamageKind
from records.status import SpoolDamage
from store.spool.cipher import SpoolKeys, UnknownKeyError
from store.spool.cursor import Cursor
from store.spool.evictions import Eviction, read_evictions
from store.spool.ledger import LedgerView
from store.spool.listing import writer_names
from store.spool.state import DamagedStateError
from store.spool.tail import Frame, Tail

_READS_PER_LOOK: Final = 16
"""While there is data, the directory is looked at for new writers once in so many reads."""

_DAMAGES_KEPT: Final = 20

_log = logging.getLogger(__name__)


class Batch(msgspec.Struct):
    """What one read gave. Without frames it can still have moved cursors and lost records, and is to be acknowledged like any other."""

    frames: list[Frame]
    cursors: dict[str, Cursor]
    """Of every writer in the spool, after these frames: what the consumer keeps once it is done with them."""
    lost: dict[str, dict[str, int]]
    """Records found damaged, missing or given up in this read, by writer and `DropReason`."""


class SpoolReader:
    """One consumer's view of the spool; never blocks, and never writes. Belongs to one thread, but for what says otherwise.

    `cursors` are those of the consumer's last finished batch: reading goes on there. A writer that is not named in them is read from its beginning.
    One whose records are encrypted with a key that is not among `keys` waits until there is a reader that has it.
    """

    def __init__(self, spool: Path, cursors: Mapping[str, Cursor], keys: SpoolKeys | None = None) -> None:
        self._spool = spool
        self._keys = keys
        self._cursors = dict(cursors)
        self._tails: dict[str, Tail] = {}
        self._turns: deque[Tail] = deque()
        self._unreadable: set[str] = set()
        self._reads_until_look = 0
        self._lock = threading.Lock()
        self.damages: deque[SpoolDamage] = deque(maxlen=_DAMAGES_KEPT)
        """The latest places that could not be read. May be read from any thread."""
        self.damages_found: Counter[DamageKind] = Counter()

    def read(self, max_frames: int, max_bytes: int) -> Batch:
        """Return the next frames: at most `max_frames`, and beyond `max_bytes` no more than one per writer."""
        with self._lock:
            return self._read(max_frames, max_bytes)

    @contextmanager
    def held(self) -> Iterator[Mapping[str, Cursor]]:
        """Keep this reader where it is, and say where that is. May be used from any thread."""
        with self._lock:
            yield self._cursors

    def let_go(self, segment: Path) -> None:
        """Do not read on in this segment, which is going to be deleted. Only while `held`."""
        tail = self._tails.get(segment.parent.name)
        if tail is not None:
            tail.let_go(int(segment.stem))

    def lag(self) -> dict[str, int]:
        """Return how many records are still to be read, by writer. May be called from any thread, so that it tells when this one is stuck."""
        return {writer: max(0, _last_sequence(self._spool / writer) - self._cursors.get(writer, Cursor()).sequence) for writer in writer_names(self._spool)}

    def skip_to_bound(self, max_lag_bytes: int) -> int:
        """Pass over the oldest segments until no more than `max_lag_bytes` of full ones are unread; return how many records that skipped.

        The writer that is furthest behind is moved on first. The segment that a writer is appending to is never passed over.
        """
        lags = {writer: tail.lag_bytes() for writer, tail in self._tails.items()}
        skipped = 0
        while sum(lags.values()) > max(0, max_lag_bytes):
            writer = max(lags, key=lags.__getitem__)
            tail = self._tails[writer]
            skipped += tail.skip_segment()
            lags[writer] = tail.lag_bytes()
            self._cursors[writer] = tail.cursor
        return skipped

    def close(self) -> None:
        """Close all files."""
        for tail in self._tails.values():
            tail.close()

    def _read(self, max_frames: int, max_bytes: int) -> Batch:
        self._look_for_writers()
        self._turns.rotate(-1)
        active = [tail for tail in self._turns if not tail.at_end]
        frames: list[Frame] = []
        while active and len(frames) < max_frames and max_bytes > 0:
            taken, active = self._read_in_turn(active, max_frames - len(frames), max_bytes)
            frames += taken
            max_bytes -= sum(len(frame.payload) for frame in taken)
        if not active:
            self._reads_until_look = 0
        return Batch(frames, dict(self._cursors), self._take_lost())

    def _read_in_turn(self, active: list[Tail], max_frames: int, max_bytes: int) -> tuple[list[Frame], list[Tail]]:
        """Give each writer its share of the batch; return the frames, and the writers that went on."""
        frames: list[Frame] = []
        productive = []
        share_frames, share_bytes = -(-max_frames // len(active)), -(-max_bytes // len(active))
        for tail in active:
            try:
                taken = tail.read(min(share_frames, max_frames - len(frames)), share_bytes)
            except UnknownKeyError as error:
                _log.error("%s; until then the records of this writer wait", error)
                self._set_aside(tail)
                continue
            frames += taken
            if tail.cursor != self._cursors[tail.writer]:  # also where all that it passed was damaged
                self._cursors[tail.writer] = tail.cursor
                productive.append(tail)
        return frames, productive

    def _take_lost(self) -> dict[str, dict[str, int]]:
        lost = {tail.writer: {str(reason): count for reason, count in tail.lost.items()} for tail in self._turns if tail.lost}
        for tail in self._turns:
            tail.lost.clear()
            self.damages.extend(tail.damages)
            self.damages_found.update(damage.kind for damage in tail.damages)
            tail.damages.clear()
        return lost

    def _look_for_writers(self) -> None:
        """Take up new writers and let go of deleted ones; not in every read while there is data."""
        self._reads_until_look -= 1
        if self._reads_until_look >= 0:
            return
        self._reads_until_look = _READS_PER_LOOK
        present = writer_names(self._spool)
        for writer in self._cursors.keys() - set(present):
            self._forget(writer)
        for writer in present:
            if writer not in self._tails and writer not in self._unreadable:
                self._follow(writer)

    def _follow(self, writer: str) -> None:
        cursor = self._cursors.get(writer, Cursor())
        try:
            tail = Tail(self._spool / writer, cursor, partial(self._evictions, writer), self._keys)
        except FileNotFoundError:  # its ledger appears once it is locked
            return
        except ValueError as error:
            _log.error("%s; this writer is left alone: read it with the version that wrote it, or move its directory away", error)
            self._unreadable.add(writer)
            return
        self._cursors[writer] = cursor
        self._tails[writer] = tail
        self._turns.append(tail)

    def _evictions(self, writer: str) -> tuple[Eviction, ...]:
        try:
            return read_evictions(self._spool).get(writer, ())
        except DamagedStateError as error:
            _log.error("%s", error)
            return ()

    def _set_aside(self, tail: Tail) -> None:
        """Leave a writer alone that cannot be read; its cursor stays where it was."""
        self._unreadable.add(tail.writer)
        self._turns.remove(tail)
        del self._tails[tail.writer]
        tail.close()

    def _forget(self, writer: str) -> None:
        del self._cursors[writer]
        tail = self._tails.pop(writer, None)
        if tail is not None:
            self._turns.remove(tail)
            tail.close()


def _last_sequence(directory: Path) -> int:
    """Return the last sequence that a writer appended, 0 where its ledger cannot be read."""
    try:
        with closing(LedgerView(directory)) as ledger:
            return ledger.sequence()
    except (FileNotFoundError, ValueError):
        return 0
