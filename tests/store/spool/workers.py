"""A worker's end of the spool for tests: the real writer and ledger, and what a kill or a bad disk does to their files."""

import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import Mock, patch

import msgspec

from records.exchange import Body, ErrorKind, Exchange, Role
from records.outcome import Outcome
from store.spool.cursor import Cursor
from store.spool.format import FrameKind, aligned, pack_frame, segment_name
from store.spool.ledger import LedgerWriter
from store.spool.preparer import Preparer
from store.spool.reader import SpoolReader
from store.spool.state import LoaderState, add_counts
from store.spool.tail import Frame
from store.spool.writer import SpoolWriter

SEGMENT_BYTES = 2048
NO_LIMIT = 1 << 30


class Place(NamedTuple):
    """Where a frame lies."""

    segment: int
    begin: int
    end: int
    kind: FrameKind
    sequence: int


def make_exchange(request_id: str, content: bytes) -> Exchange:
    body = Body(content=content, size_bytes=len(content))
    return Exchange(
        exchange_id=bytes(16), request_id=request_id, role=Role.SERVED, route="default", arm="primary", started_at_ns=1, method="POST", path="/", request=body
    )


class Worker:
    """Appends records, remembers where they lie, and dies. Without a `thread` segments are prepared when records are appended, so that all is repeatable."""

    def __init__(
        self, spool: Path, name: str = "w1", *, segment_bytes: int = SEGMENT_BYTES, max_bytes: int = NO_LIMIT, thread: bool = True, **settings: Any
    ) -> None:
        self.name = name
        self.directory = spool / name
        self.directory.mkdir(parents=True)
        self.alive = True
        self.ledger = LedgerWriter(self.directory)
        with nullcontext() if thread else patch.object(Preparer, "_run", Mock()):
            self.writer = SpoolWriter(self.directory, self.ledger, segment_bytes=segment_bytes, max_bytes=max_bytes, **settings)
        self._thread = thread
        self.places: list[Place] = []
        self.payloads: dict[int, bytes] = {}

    def _prepare(self) -> None:
        """Do what the thread that prepares segments would do."""
        while len(self.writer._preparer._ready) < 2 and self.writer._preparer._prepare():
            pass

    def append(self, body_bytes: int = 100) -> int:
        """Append one record, if there is room; return its sequence or 0."""
        return self.append_body((bytes(range(256)) * (body_bytes // 256 + 1))[:body_bytes])

    def append_body(self, content: bytes) -> int:
        if not self._thread:
            self._prepare()
        exchange = make_exchange(f"{self.name}/{len(self.payloads) + 1}", content)
        sequence = self.writer.append(exchange)
        if sequence:
            self.payloads[sequence] = msgspec.msgpack.encode(exchange)
            self._note(FrameKind.RECORD, sequence, self.payloads[sequence])
        return sequence

    def fill(self, count: int, body_bytes: int = 100) -> list[int]:
        """Append exactly `count` records, waiting for segments where none is ready."""
        sequences: list[int] = []
        deadline = time.monotonic() + 10
        while len(sequences) < count:
            assert time.monotonic() < deadline, "no segment became ready"
            sequence = self.append(body_bytes)
            if sequence:
                sequences.append(sequence)
            else:
                time.sleep(0.001)
        return sequences

    def amend(self, sequence: int) -> bytes:
        """Append an outcome; return its payload."""
        outcome = Outcome(exchange_id=bytes(16), error=ErrorKind.CLIENT_LEFT, total_ns=sequence)
        payload = msgspec.msgpack.encode(outcome)
        before = (self.writer._index, self.writer._offset)
        self.writer.amend(sequence, outcome)
        if (self.writer._index, self.writer._offset) != before:
            self._note(FrameKind.OUTCOME, sequence, payload)
        return payload

    def die(self, *, torn_bytes: int = 0) -> bool:
        """Die as by a kill, `torn_bytes` into the copy of the next frame; return whether that left a trace."""
        frame = pack_frame(self.writer._index, self.writer._sequence + 1, FrameKind.RECORD, b"x" * 99)
        torn = frame[:torn_bytes]
        fits = self.writer._offset + len(frame) <= self.writer._segment_bytes
        if fits:
            self.writer._segment.map[self.writer._offset : self.writer._offset + len(torn)] = torn
        self.writer.close()
        self.ledger.close()
        self.alive = False
        return fits and any(torn)

    def ledger_of_dead_says(self, sequence: int) -> None:
        """Change the last sequence in the ledger that a dead writer left."""
        with (self.directory / "ledger").open("r+b") as file:
            file.seek(64)
            file.write(sequence.to_bytes(8, sys.byteorder))

    def path(self, segment: int) -> Path:
        return self.directory / segment_name(segment)

    def corrupt(self, segment: int, offset: int, count: int = 1) -> None:
        """Change `count` bytes of a segment."""
        with self.path(segment).open("r+b") as file:
            file.seek(offset)
            before = file.read(count)
            file.seek(offset)
            file.write(bytes(byte ^ 0x5A for byte in before))

    def place(self, sequence: int) -> Place:
        """Return where a record lies."""
        return next(place for place in self.places if place.kind is FrameKind.RECORD and place.sequence == sequence)

    def _note(self, kind: FrameKind, sequence: int, payload: bytes) -> None:
        end = self.writer._offset
        begin = end - aligned(len(pack_frame(0, sequence, kind, payload)) + self.writer._overhead)
        self.places.append(Place(self.writer._index, begin, end, kind, sequence))


def read_all(reader: SpoolReader, max_frames: int = 1000, max_bytes: int = NO_LIMIT) -> tuple[list[Frame], dict[str, Cursor], dict[str, dict[str, int]]]:
    """Read until nothing comes; return all frames, the last cursors, and the losses."""
    frames: list[Frame] = []
    lost: dict[str, dict[str, int]] = {}
    while True:
        batch = reader.read(max_frames, max_bytes)
        frames += batch.frames
        for writer, counts in batch.lost.items():
            lost[writer] = add_counts(lost.get(writer, {}), counts)
        if not batch.frames:
            return frames, batch.cursors, lost


def acknowledge(state: LoaderState, frames: list[Frame], cursors: dict[str, Cursor], lost: dict[str, dict[str, int]]) -> LoaderState:
    """Do as the loader does after an insert that succeeded."""
    stored: dict[str, int] = {}
    for frame in frames:
        if frame.kind == FrameKind.RECORD:
            stored[frame.writer] = stored.get(frame.writer, 0) + 1
    return state.acknowledging(cursors, stored, lost)
