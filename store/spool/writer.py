"""Appends records to mapped segments: no system call on the way of a small one, and nothing lost with the process.

Segments are made, or old ones made ready again, by a thread before they are needed; when none is ready (the bound is reached, the
disk is full) the record is dropped and counted, and the request goes on.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from records.exchange import Exchange
from records.ids import ExchangeId
from records.metrics import DropReason, Metric
from records.outcome import Outcome
from store.spool.cipher import SpoolKeys
from store.spool.encoding import SPLIT_FROM_BYTES, encode_large
from store.spool.format import (
    CIPHER_OVERHEAD_BYTES,
    ENCRYPTED,
    END_OF_FRAMES,
    FRAME_HEADER_BYTES,
    SEGMENT_HEADER_BYTES,
    FrameKind,
    frame_context,
    pack_frame_header,
    pack_segment_header,
)
from store.spool.ledger import SEQUENCE_SLOT, LedgerWriter
from store.spool.preparer import Preparer, Segment
from store.spool.sync import Syncer

_RECORD: Final = int(FrameKind.RECORD)
_OUTCOME: Final = int(FrameKind.OUTCOME)

_BEHIND: Final = tuple(bytes(-size % 8) + END_OF_FRAMES for size in range(8))
"""What comes behind a frame, by its size modulo 8: zeros up to where the next one begins, and the end."""

_WRITTEN_FROM_BYTES: Final = 4096
"""Frames from this size on are written by a system call: it takes the pages all at once, where a copy into the mapping faults on each."""


def create_writer_directory(spool: Path, worker: int) -> Path:
    """Create and return the directory of a new writer: sortable by start, never used before."""
    started = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    directory = spool / f"{started}-w{worker}-{os.getpid()}"
    directory.mkdir(parents=True, mode=0o700)
    return directory


class SpoolWriter:
    """One writer's end of the spool; implements `records.ports.Tap`.

    `directory` is the writer's own, new and empty; the spool that it lies in, all writers together, is kept within `max_bytes` (and one
    segment per living writer), and its disk with `min_free_bytes` to spare. What was appended is brought to the disk every `sync_seconds`, by
    default when the kernel sees fit. With `keys` records are encrypted. Where there is no room even for the first segment, records are dropped until there is.
    """

    def __init__(
        self,
        directory: Path,
        ledger: LedgerWriter,
        *,
        segment_bytes: int,
        max_bytes: int,
        min_free_bytes: int = 0,
        sync_seconds: float | None = None,
        keys: SpoolKeys | None = None,
    ) -> None:
        self._values = ledger.values
        self._dropped = {reason: ledger.slot(Metric.DROPPED.metric_name, reason) for reason in DropReason}
        self._outcomes_dropped = ledger.slot(Metric.OUTCOMES_DROPPED.metric_name)
        self._segment_bytes = segment_bytes
        self._overhead = 0 if keys is None else CIPHER_OVERHEAD_BYTES
        self._encode = msgspec.msgpack.Encoder().encode
        self._sequence = 0
        self._segment: Segment | None = None
        self._index = 0
        self._offset = segment_bytes  # no segment is full: the first append takes the first one
        self._preparer = Preparer(directory, segment_bytes, max_bytes, min_free_bytes, keys)
        self._preparer.start()
        self._syncs_failed = ledger.slot(Metric.SPOOL_SYNCS_FAILED.metric_name)
        self._syncer = Syncer(directory, ledger, sync_seconds, self._sync_failed) if sync_seconds is not None else None

    def leaves_out(self, route: str, exchange_id: ExchangeId) -> bool:  # noqa: ARG002 - the spool takes all
        """See Tap."""
        return False

    def append(self, exchange: Exchange) -> int:
        """Append a record; return its sequence, or 0 where it was dropped and counted."""
        sequence = self._sequence + 1
        lost = self._write(sequence, _RECORD, self._payload(exchange))
        if lost is not None:
            self._values[self._dropped[lost]] += 1
            return 0
        self._sequence = sequence
        self._values[SEQUENCE_SLOT] = sequence
        return sequence

    def amend(self, sequence: int, outcome: Outcome) -> None:
        """Append what became known about the record at `sequence`; nothing for a record that was dropped."""
        if sequence and self._write(sequence, _OUTCOME, [self._encode(outcome)]) is not None:
            self._values[self._outcomes_dropped] += 1

    def close(self) -> None:
        """Stop preparing segments. What was appended stays where it is; the ledger is closed by its owner."""
        self._preparer.stop()
        if self._syncer is not None:
            self._syncer.stop()
        elif self._segment is not None:
            self._segment.close()

    def _sync_failed(self) -> None:
        self._values[self._syncs_failed] += 1

    def _payload(self, exchange: Exchange) -> list[bytes]:
        if exchange.request.size_bytes + exchange.response.size_bytes < SPLIT_FROM_BYTES:
            return [self._encode(exchange)]
        return encode_large(exchange)

    def _write(self, sequence: int, kind: int, payload: list[bytes]) -> DropReason | None:
        size = FRAME_HEADER_BYTES + self._overhead
        for piece in payload:
            size += len(piece)
        if self._offset + size > self._segment_bytes:
            lost = self._next_segment(size)
            if lost is not None:
                return lost
        segment = self._segment
        assert segment is not None
        if segment.cipher is not None:
            kind |= ENCRYPTED
            payload = [segment.cipher.encrypt(b"".join(payload), frame_context(sequence, kind))]
        at = self._offset
        header = pack_frame_header(self._index, sequence, kind, payload)
        behind = _BEHIND[size & 7]
        following = at + size + len(behind)
        if following > self._segment_bytes:
            behind = behind[: self._segment_bytes - following]
        if size < _WRITTEN_FROM_BYTES:
            segment.map[at : at + size + len(behind)] = b"".join([header, *payload, behind])
        else:
            try:
                written = os.pwritev(segment.fd, [header, *payload, behind], at)
            except OSError:
                written = 0
            if written < size:  # what came to lie there is no frame, and the next one covers it
                return DropReason.SPOOL_ERROR
        self._offset = (at + size + 7) & ~7
        return None

    def _next_segment(self, frame_bytes: int) -> DropReason | None:
        if SEGMENT_HEADER_BYTES + frame_bytes > self._segment_bytes:
            return DropReason.TOO_LARGE
        following = self._preparer.take()
        if following is None:
            return self._preparer.failure
        following.map[:24] = pack_segment_header(self._index + 1, self._sequence + 1)
        if self._segment is not None:
            if self._offset + FRAME_HEADER_BYTES <= self._segment_bytes:
                seal = pack_frame_header(self._index, self._sequence, FrameKind.SEAL, [])
                self._segment.map[self._offset : self._offset + FRAME_HEADER_BYTES] = seal
            if self._syncer is None:
                self._segment.close()
        if self._syncer is not None:
            self._syncer.follow(following)
        self._index += 1
        self._segment = following
        self._offset = SEGMENT_HEADER_BYTES
        return None
