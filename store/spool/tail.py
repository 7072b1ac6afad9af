"""Follows one writer's segments, living or dead, past damage to the end.

A frame is believed only when its CRC holds and its sequence goes on from the last one. Where the next frame is not good there are three
cases, told apart by what the ledger said *before* the look:

- the ledger has not promised more: the writer is in the middle of a copy, or idle. Wait.
- the ledger has promised more, or the writer is dead: the bytes are damaged. Go on at the next good frame, in this segment or a later
  one; the sequences tell how many records were lost in between.
- the same, and there is no good frame. A living writer will append one: wait. A dead one has come to its end: what the
  ledger promised beyond the last good frame is lost, and bytes that nobody promised are a frame that a kill cut short.

Segments are read with pread, not mapped: a file that somebody cuts short must not end the monitor with SIGBUS, and at 256 KiB a call costs
as little.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from zlib_ng.zlib_ng import crc32

from records.metrics import DamageKind, DropReason
from records.status import SpoolDamage
from store.spool.cipher import SegmentCipher, SpoolKeys, UnknownKeyError
from store.spool.cursor import Cursor
from store.spool.evictions import Eviction, losses
from store.spool.format import (
    ENCRYPTED,
    END_OF_FRAMES,
    FRAME_HEADER,
    FRAME_HEADER_BYTES,
    KEY_HEADER,
    SEGMENT_HEADER,
    SEGMENT_HEADER_BYTES,
    FrameKind,
    aligned,
    crc_start,
    frame_context,
    segment_name,
)
from store.spool.ledger import LedgerView
from store.spool.listing import first_sequence, segment_indexes, size_of
from store.spool.salvage import Found, find_frame

_CHUNK_BYTES: Final = 256 * 1024
_PEEK_BYTES: Final = 4096
"""Read where the ledger promises no record: an outcome may still have come."""
_RECORD: Final = int(FrameKind.RECORD)
_SEAL: Final = int(FrameKind.SEAL)
_KINDS: Final = frozenset(map(int, FrameKind))

_log = logging.getLogger(__name__)


class Frame(msgspec.Struct, gc=False):
    """A good frame: the payload is the MessagePack of an Exchange (record) or an Outcome."""

    writer: str
    sequence: int
    kind: int
    payload: bytes


class Tail:
    """One writer, read on from a cursor.

    Raises FileNotFoundError where the writer has no ledger yet, ValueError where it is not a ledger of this version.
    """

    def __init__(self, directory: Path, cursor: Cursor, evictions: Callable[[], Iterable[Eviction]], keys: SpoolKeys | None) -> None:
        """`evictions` returns which of this writer's records were given up; it is asked where records are missing. `keys` are for what is encrypted."""
        self.writer = directory.name
        self.lost: Counter[DropReason] = Counter()
        """Records found missing; whoever takes note of them clears it."""
        self.damages: list[SpoolDamage] = []
        """Found since somebody took note of them and cleared it."""
        self.at_end = False
        """Whether the writer is dead and wholly read."""
        self._directory = directory
        self._evictions = evictions
        self._keys = keys
        self._ledger = LedgerView(directory)
        self._segment, self._offset, self._sequence, self._torn = cursor.segment, cursor.offset, cursor.sequence, cursor.torn
        self._fd = -1
        self._crc_start = 0
        self._sealed = False
        self._cipher: SegmentCipher | None = None
        self._searched = -1

    @property
    def cursor(self) -> Cursor:
        """The position after the last frame returned."""
        return Cursor(self._segment, self._offset, self._sequence, self._torn)

    def read(self, max_frames: int, max_bytes: int) -> list[Frame]:
        """Return the next frames, none when there is nothing (yet): at most `max_frames`, and the last of them may pass `max_bytes`.

        Raises UnknownKeyError where they are encrypted with a key that is not at hand. The tail is of no use then.
        """
        if self.at_end:
            return []
        alive, promised = self._ledger.alive(), self._ledger.sequence()
        frames = self._read_good(max_frames, max_bytes, promised)
        if frames or (alive and (promised <= self._sequence or promised == self._searched)):
            return frames
        if self._pass_damage():
            return self._read_good(max_frames, max_bytes, promised)
        self._searched = promised
        if not alive:
            self._end(promised)
        return []

    def lag_bytes(self) -> int:
        """Return the size of what is unread in the segments before the one in use."""
        newest = self._newest()
        sizes = [size_of(self._path(index)) for index in self._indexes() if index < newest]
        return max(0, sum(sizes) - self._offset)

    def skip_segment(self) -> int:
        """Go on at the next segment's beginning; return how many records were passed over."""
        self._move(self._segment + 1, SEGMENT_HEADER_BYTES)
        self._open()
        found = self._search(self._segment, SEGMENT_HEADER_BYTES)
        before, self._sequence = self._sequence, found.passed if found else self._sequence
        return self._sequence - before

    def let_go(self, segment: int) -> None:
        """Close this segment, which somebody is going to delete, if it is open."""
        if segment == self._segment:
            self._close_segment()

    def close(self) -> None:
        """Close the files."""
        self._close_segment()
        self._ledger.close()

    def _read_good(self, max_frames: int, max_bytes: int, promised: int) -> list[Frame]:
        """Return what follows without a fault, across segments."""
        frames: list[Frame] = []
        while len(frames) < max_frames and max_bytes > 0:
            chunk = self._read_chunk(_CHUNK_BYTES if promised > self._sequence else _PEEK_BYTES)
            used = self._parse(chunk, frames, max_frames, max_bytes)
            if not used and not self._next_segment():
                break
            max_bytes -= used
        return frames

    def _parse(self, chunk: bytes, frames: list[Frame], max_frames: int, max_bytes: int) -> int:
        """Move past the good frames at the beginning of `chunk` and add them to `frames`; return their size in bytes."""
        at, begin, size = 0, self._offset, len(chunk)
        while at + FRAME_HEADER_BYTES <= size and at < max_bytes and len(frames) < max_frames:
            length, crc, sequence, kind, _ = FRAME_HEADER.unpack_from(chunk, at)
            end = at + length
            if length < FRAME_HEADER_BYTES or end > size or crc32(chunk[at + 8 : end], self._crc_start) != crc:
                break
            payload: bytes | None = chunk[at + FRAME_HEADER_BYTES : end]
            if kind & ENCRYPTED:
                payload = self._decrypted(sequence, kind, chunk[at + FRAME_HEADER_BYTES : end])
                kind &= ~ENCRYPTED
            if kind == _RECORD and sequence == self._sequence + 1 and payload is not None:
                self._sequence = sequence
            elif not self._follows(sequence, kind, readable=payload is not None):
                break
            if kind == _SEAL:
                self._sealed = True
                break
            if payload is not None:
                frames.append(Frame(self.writer, sequence, kind, payload))
            at = aligned(end)
            self._offset = begin + at
        return at

    def _follows(self, sequence: int, kind: int, *, readable: bool) -> bool:
        """Whether a frame may come after the last record; count what is missing in between, and what cannot be decrypted."""
        passed = sequence - 1 if kind == _RECORD else max(sequence, self._sequence)
        if kind not in _KINDS or passed < self._sequence:
            return False
        self._miss(passed, DamageKind.MISSING)
        if not readable:
            self._miss(sequence, DamageKind.CORRUPT)
        self._sequence = max(passed, sequence)
        return True

    def _decrypted(self, sequence: int, kind: int, payload: bytes) -> bytes | None:
        """Return what was encrypted, None where it is damaged. Raises UnknownKeyError."""
        if self._cipher is None:
            header = os.pread(self._fd, KEY_HEADER.size, SEGMENT_HEADER.size)
            self._cipher = self._resume(header)
        return self._cipher.decrypt(payload, frame_context(sequence, kind)) if self._cipher else None

    def _resume(self, header: bytes) -> SegmentCipher | None:
        path = self._path(self._segment)
        if self._keys is None:
            raise UnknownKeyError(f"{path} is encrypted: put its key into spool.keys")
        try:
            return self._keys.resume(header)
        except UnknownKeyError as error:
            raise UnknownKeyError(f"{path} is {error}") from None

    def _read_chunk(self, size: int) -> bytes:
        """Return the next `size` bytes, more where the next frame is longer, fewer at the end of the segment."""
        if not self._open():
            return b""
        chunk = os.pread(self._fd, size, self._offset)
        length = int.from_bytes(chunk[:4], "little")
        if size < length <= os.fstat(self._fd).st_size - self._offset:
            return os.pread(self._fd, length, self._offset)
        return chunk

    def _next_segment(self) -> bool:
        """Move to the next segment where this one is over and there is one."""
        if not self._is_over():
            return False
        following = [index for index in self._indexes() if index > self._segment]
        # Asked again, for a file that is still being made looks as if it were over; once there is a following one it is whole.
        if not following or not self._is_over():
            return False
        self._move(following[0], SEGMENT_HEADER_BYTES)
        return True

    def _is_over(self) -> bool:
        return self._sealed or (self._fd >= 0 and self._offset + FRAME_HEADER_BYTES > os.fstat(self._fd).st_size)

    def _pass_damage(self) -> bool:
        """Move to the next good frame, in this segment or a later one; False where there is none (yet)."""
        for segment in self._indexes():
            start = self._offset if segment == self._segment else SEGMENT_HEADER_BYTES
            found = self._search(segment, start)
            if found is not None:
                self._miss(found.passed, DamageKind.CORRUPT)
                self._move(segment, start + found.offset)
                return True
        return False

    def _search(self, segment: int, start: int) -> Found | None:
        """Look for a good frame from byte `start` of a segment on. The writer may be one record ahead of its ledger."""
        try:
            data = self._path(segment).read_bytes()
        except FileNotFoundError:
            return None
        return find_frame(data[start:], self._sequence, self._ledger.sequence(), crc_start(segment, self._ledger.version))

    def _end(self, promised: int) -> None:
        """Settle what a dead writer left behind its last good frame, and move past everything."""
        if promised > self._sequence:
            self._miss(promised, DamageKind.CORRUPT if self._is_torn() else DamageKind.MISSING)
        elif self._is_torn():
            self._torn = 1
            self._report(DamageKind.TORN, 0)
        self._move(max([self._segment - 1, *self._indexes()]) + 1, SEGMENT_HEADER_BYTES)
        self.at_end = True

    def _is_torn(self) -> bool:
        """Whether a frame was begun behind the last good one. Farther on there may lie what the file held before."""
        return self._open() and not self._sealed and any(os.pread(self._fd, len(END_OF_FRAMES), self._offset))

    def _miss(self, passed: int, kind: DamageKind) -> None:
        """Count the records up to `passed` as lost, where they were not read, and say where that was found."""
        if passed > self._sequence:
            lost = losses(self._sequence + 1, passed, self._evictions())
            self.lost.update(lost)
            if DropReason.CORRUPT in lost:
                self._report(kind, lost[DropReason.CORRUPT])
            self._sequence = passed
        elif kind is DamageKind.CORRUPT:
            self._report(kind, 0)

    def _report(self, kind: DamageKind, records_lost: int) -> None:
        damage = SpoolDamage(
            kind=kind, writer=self.writer, segment=self._segment, offset_bytes=self._offset, first_sequence=self._sequence + 1, records_lost=records_lost
        )
        _log.warning("%s, byte %d: %s", self._path(self._segment), self._offset, damage.words)
        self.damages.append(damage)

    def _indexes(self) -> list[int]:
        return [index for index in segment_indexes(self._directory) if index >= self._segment]

    def _newest(self) -> int:
        """Return the index of the last segment that was taken into use."""
        return next((index for index in reversed(self._indexes()) if first_sequence(self._path(index))), self._segment)

    def _path(self, segment: int) -> Path:
        return self._directory / segment_name(segment)

    def _open(self) -> bool:
        """Open the cursor's segment, or where it is missing the next one; False where there is none."""
        while self._fd < 0:
            indexes = self._indexes()
            if not indexes:
                return False
            if indexes[0] != self._segment:
                self._move(indexes[0], SEGMENT_HEADER_BYTES)
            self._crc_start = crc_start(self._segment, self._ledger.version)
            with suppress(FileNotFoundError):  # given up in between
                self._fd = os.open(self._path(self._segment), os.O_RDONLY | os.O_CLOEXEC)
        return True

    def _move(self, segment: int, offset: int) -> None:
        if segment != self._segment:
            self._close_segment()
        self._segment, self._offset = segment, offset

    def _close_segment(self) -> None:
        self._sealed = False
        self._cipher = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
