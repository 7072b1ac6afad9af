"""Frames that were read and decoded, to be stored together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec

from records.exchange import Exchange
from records.metrics import DropReason
from records.outcome import Outcome
from store.clickhouse.columns import StoredExchange, StoredOutcome
from store.clickhouse.inserter import DeadLetter, joined, position_ranges
from store.spool.cursor import Cursor
from store.spool.format import FrameKind
from store.spool.reader import Batch
from store.spool.state import add_counts
from store.spool.tail import Frame

Name: TypeAlias = Callable[[Exchange], tuple[str, str]]
"""Which model and version an exchange was for, as far as can be told."""

Key: TypeAlias = Callable[[Exchange], str]
"""By which name of the caller's own labels find an exchange; empty for none."""

_decode_exchange = msgspec.msgpack.Decoder(Exchange).decode
_decode_outcome = msgspec.msgpack.Decoder(Outcome).decode


class BatchLimits(msgspec.Struct, frozen=True):
    """When a batch is stored: at whichever comes first."""

    rows: int = 40_000
    size_bytes: int = 32 * 1024 * 1024
    wait_seconds: float = 1.0


class OpenBatch:
    """Frames read and decoded, to be stored together."""

    def __init__(self, cursors: Mapping[str, Cursor]) -> None:
        self.cursors = dict(cursors)
        self.exchanges: list[StoredExchange] = []
        self.outcomes: list[StoredOutcome] = []
        self.undecodable: list[DeadLetter] = []
        self.closed = False
        """Whether storing it was tried: then it takes no more frames."""
        self._begun_at = dict(cursors)
        self._lost: dict[str, dict[str, int]] = {}
        self._size_bytes = 0
        self._since = math.inf

    @property
    def frames(self) -> int:
        """How many frames it holds."""
        return len(self.exchanges) + len(self.outcomes) + len(self.undecodable)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to store and nothing to note."""
        return not self.frames and not self._lost and self.cursors == self._begun_at

    def room(self, limits: BatchLimits) -> tuple[int, int]:
        """Return for how many more frames and bytes there is room."""
        return (0, 0) if self.closed else (limits.rows - self.frames, limits.size_bytes - self._size_bytes)

    def due(self, limits: BatchLimits) -> float:
        """Return when it is to be stored: a monotonic time, −infinity for at once."""
        full = min(self.room(limits)) <= 0
        return -math.inf if full else self._since + limits.wait_seconds

    def add(self, read: Batch, name: Name, key: Key, now: float) -> None:
        """Take what was read at the monotonic time `now`."""
        for frame in read.frames:
            self._add_frame(frame, name, key)
        self.cursors = read.cursors
        self._lost = {writer: add_counts(self._lost.get(writer, {}), read.lost.get(writer, {})) for writer in self._lost | read.lost}
        if not self.empty:
            self._since = min(self._since, now)

    def ranges(self) -> dict[str, tuple[int, int]]:
        """Return the positions that it touches, by writer: from the first one's to the cursor's, which no outcome is beyond."""
        passed = {writer: (self._begun_at.get(writer, Cursor()).sequence + 1, cursor.sequence) for writer, cursor in self.cursors.items()}
        touched = joined(passed, position_ranges(self.outcomes))
        return {writer: (first, last) for writer, (first, last) in touched.items() if first <= last}

    def last_sequence(self, writer: str) -> int:
        """Return the last record that was read from a writer, here or before; 0 for one that is gone."""
        cursor = self.cursors.get(writer)
        return cursor.sequence if cursor else 0

    def counts(self, letters: Sequence[DeadLetter]) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
        """Return, by writer, the records stored and those dropped by reason, when these frames were set aside."""
        poison = Counter(letter.writer for letter in letters if letter.kind == "record")
        records = Counter(row.writer for row in self.exchanges) + Counter(letter.writer for letter in self.undecodable if letter.kind == "record")
        dropped: dict[str, dict[str, int]] = {writer: {DropReason.POISON: count} for writer, count in poison.items()}
        for writer, lost in self._lost.items():
            dropped[writer] = dropped.get(writer, {}) | lost
        return dict(records - poison), dropped

    def stored_exchanges(self, letters: Sequence[DeadLetter]) -> Iterator[tuple[Exchange, str, str]]:
        """Yield the exchanges that are stored, each with its model and version, when these frames were set aside."""
        refused = {(letter.writer, letter.sequence) for letter in letters if letter.kind == "record"}
        for row in self.exchanges:
            if not refused or (row.writer, row.sequence) not in refused:
                yield row.exchange, row.model, row.version

    def _add_frame(self, frame: Frame, name: Name, key: Key) -> None:
        self._size_bytes += len(frame.payload)
        try:
            if frame.kind == FrameKind.RECORD:
                exchange = _decode_exchange(frame.payload)
                self.exchanges.append(StoredExchange(frame.writer, frame.sequence, exchange, *name(exchange), key(exchange)))
            else:
                self.outcomes.append(StoredOutcome(frame.writer, frame.sequence, _decode_outcome(frame.payload)))
        except msgspec.DecodeError as error:
            self.undecodable.append(DeadLetter(frame.writer, frame.sequence, FrameKind(frame.kind).name.lower(), frame.payload, str(error)))
