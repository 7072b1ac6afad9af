"""Appends records to mapped segments: no system call on the way, and nothing lost with the process.

Segments are allocated and mapped by a thread before they are needed; when none is ready (the bound is reached, the
disk is full) the record is dropped and counted, and the request goes on.
"""

from __future__ import annotations

import errno
import mmap
import os
import threading
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from records.exchange import Exchange
from records.metrics import DropReason, Metric
from records.outcome import Outcome
from store.spool.format import (
    FRAME_HEADER_BYTES,
    SEGMENT_HEADER_BYTES,
    FrameKind,
    pack_frame,
    pack_segment_header,
    segment_name,
)
from store.spool.ledger import SEQUENCE_SLOT, LedgerWriter
from store.spool.listing import spool_bytes

_RECORD: Final = int(FrameKind.RECORD)
_RETRY_SECONDS: Final = 0.1
_SEGMENTS_READY: Final = 2


def create_writer_directory(spool: Path, worker: int) -> Path:
    """Create and return the directory of a new writer: sortable by start, never used before."""
    started = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    directory = spool / f"{started}-w{worker}-{os.getpid()}"
    directory.mkdir(parents=True, mode=0o700)
    return directory


class SpoolWriter:
    """One writer's end of the spool; implements `records.ports.Tap`.

    `directory` is the writer's own, new and empty; the spool that it lies in, all writers together, is kept within `max_bytes` (and one
    segment per living writer). Where there is no room even for the first segment, records are dropped until there is.
    """

    def __init__(self, directory: Path, ledger: LedgerWriter, *, segment_bytes: int, max_bytes: int) -> None:
        self._values = ledger.values
        self._dropped = {reason: ledger.slot(Metric.DROPPED.metric_name, reason) for reason in DropReason}
        self._outcomes_dropped = ledger.slot(Metric.OUTCOMES_DROPPED.metric_name)
        self._segment_bytes = segment_bytes
        self._encode = msgspec.msgpack.Encoder().encode
        self._sequence = 0
        self._map: mmap.mmap | None = None
        self._index = 0
        self._offset = segment_bytes  # no segment is full: the first append takes the first one
        self._preparer = _Preparer(directory, segment_bytes, max_bytes)
        self._preparer.start()

    def append(self, exchange: Exchange) -> int:
        """Append a record; return its sequence, or 0 where it was dropped and counted."""
        sequence = self._sequence + 1
        lost = self._write(pack_frame(sequence, _RECORD, self._encode(exchange)))
        if lost is not None:
            self._values[self._dropped[lost]] += 1
            return 0
        self._sequence = sequence
        self._values[SEQUENCE_SLOT] = sequence
        return sequence

    def amend(self, sequence: int, outcome: Outcome) -> None:
        """Append what became known about the record at `sequence`; nothing for a record that was dropped."""
        if sequence and self._write(pack_frame(sequence, FrameKind.OUTCOME, self._encode(outcome))) is not None:
            self._values[self._outcomes_dropped] += 1

    def close(self) -> None:
        """Stop preparing segments. What was appended stays where it is; the ledger is closed by its owner."""
        self._preparer.stop()
        if self._map is not None:
            self._map.close()

    def _write(self, frame: bytes) -> DropReason | None:
        end = self._offset + len(frame)
        if end > self._segment_bytes:
            lost = self._next_segment(len(frame))
            if lost is not None:
                return lost
            end = self._offset + len(frame)
        assert self._map is not None
        self._map[self._offset : end] = frame
        self._offset = (end + 7) & ~7
        return None

    def _next_segment(self, frame_bytes: int) -> DropReason | None:
        if SEGMENT_HEADER_BYTES + frame_bytes > self._segment_bytes:
            return DropReason.TOO_LARGE
        following = self._preparer.take()
        if following is None:
            return self._preparer.failure
        self._index += 1
        following[:24] = pack_segment_header(self._index, self._sequence + 1)
        if self._map is not None:
            if self._offset + FRAME_HEADER_BYTES <= self._segment_bytes:
                self._map[self._offset : self._offset + FRAME_HEADER_BYTES] = pack_frame(self._sequence, FrameKind.SEAL, b"")
            self._map.close()
        self._map = following
        self._offset = SEGMENT_HEADER_BYTES
        return None


class _Preparer:
    """Keeps mapped segments ready, made in a thread because allocating can wait for the disk."""

    def __init__(self, directory: Path, segment_bytes: int, max_bytes: int) -> None:
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._max_bytes = max_bytes
        self._ready: deque[mmap.mmap] = deque()
        self._wanted = threading.Event()
        self._stopped = threading.Event()
        self._index = 1
        self._thread = threading.Thread(target=self._run, name="spool-preparer", daemon=True)
        self.failure = DropReason.SPOOL_FULL
        """Why there is no segment when there is none; also when the thread is late, for then there is no room at that moment."""

    def start(self) -> None:
        """Begin; return when the first segment is ready or could not be made."""
        self._prepare()
        self._wanted.set()
        self._thread.start()

    def take(self) -> mmap.mmap | None:
        """Return a prepared segment and have another one made; None while there is none."""
        try:
            segment = self._ready.popleft()
        except IndexError:
            return None
        self._wanted.set()
        return segment

    def stop(self) -> None:
        """End the thread and unmap what was prepared; the files stay, and readers know them as never used."""
        self._stopped.set()
        self._wanted.set()
        self._thread.join()
        while self._ready:
            self._ready.popleft().close()

    def _run(self) -> None:
        while self._wanted.wait() and not self._stopped.is_set():
            self._wanted.clear()
            while len(self._ready) < _SEGMENTS_READY:
                if not self._prepare() and self._stopped.wait(_RETRY_SECONDS):
                    return

    def _prepare(self) -> bool:
        self.failure = DropReason.SPOOL_FULL
        try:
            if spool_bytes(self._directory.parent) + self._segment_bytes > self._max_bytes:
                return False
            self._ready.append(_create_segment(self._directory, self._index, self._segment_bytes))
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                self.failure = DropReason.SPOOL_ERROR
            return False
        self._index += 1
        return True


def _create_segment(directory: Path, index: int, size: int) -> mmap.mmap:
    """Create, allocate and map a segment. Allocated first: a mapped page without a block behind it is a SIGBUS on a full disk.

    What is allocated and not yet written reads as zeros; writing them would cost more than the page faults that it saves.
    """
    path = directory / segment_name(index)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, size)
        os.pwrite(fd, pack_segment_header(index, 0), 0)
        return mmap.mmap(fd, size)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)
