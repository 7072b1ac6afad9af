"""Labels that were accepted and have yet to be stored, or to meet their exchange; and what was counted. One SQLite file.

A label goes from `received` to `waiting` when it is stored, and leaves that when its exchange was found or is waited for no longer. Each step changes
labels and counts in one transaction: so no kill loses a label, and none is counted twice.

    received = duplicate + outdated + joined + unknown + those in `received` and `waiting`

A label that was joined goes on to the detector of risk in the same transaction (`compared`). One that corrects a label which went there before is noted as such
before the store is told of it: after a kill the store could no longer tell.

What was accepted is on the platter (`synchronous=FULL`), for labels are few and dear.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

import msgspec

from labels import compared
from labels.compared import Open
from records.label import Compared, Label
from records.metrics import Metric

Counts: TypeAlias = Mapping[tuple[str, ...], float]
"""By metric name, then label values."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS received (number INTEGER PRIMARY KEY AUTOINCREMENT, label BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS waiting (number INTEGER PRIMARY KEY AUTOINCREMENT, label BLOB NOT NULL, looks INTEGER NOT NULL, due_at_ns INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS waiting_due ON waiting (due_at_ns);
CREATE TABLE IF NOT EXISTS second_looks (number INTEGER PRIMARY KEY AUTOINCREMENT, label BLOB NOT NULL, arms BLOB NOT NULL, due_at_ns INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS second_looks_due ON second_looks (due_at_ns);
CREATE TABLE IF NOT EXISTS corrections (number INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, value REAL NOT NULL);
"""
_BUSY_SECONDS: Final = 10.0

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Label).decode


class JournalError(OSError):
    """The journal cannot be used; the text says why and what to do."""


class Waiting(NamedTuple):
    """A stored label whose exchange has not been found."""

    number: int
    label: Label
    looks: int
    """How often the store was asked for its exchange in vain."""
    corrects: bool = False
    """Whether it is noted that a label of its row went to the detector of risk before."""


class SecondLook(NamedTuple):
    """A label that was joined, whose shadows may have answered since."""

    label: Label
    arms: frozenset[str]
    """Those that it was joined with."""


class Journal:
    """May be used from any thread. Every method may raise `JournalError`, and then has changed nothing."""

    def __init__(self, path: Path, *, max_received: int, max_waiting: int) -> None:
        self._path = path
        self._max_received = max_received
        self._max_waiting = max_waiting
        self._lock = threading.Lock()
        with self._failing_in_words():
            self._database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.executescript(_TABLES + compared.TABLES)
            path.chmod(0o600)

    def accept(self, labels: Sequence[Label], counts: Counts) -> bool:
        """Keep these labels, all or none; return False where there is no room for them."""
        with self._transaction() as database:
            if self._size("received") + len(labels) > self._max_received:
                return False
            database.executemany("INSERT INTO received (label) VALUES (?)", [(_encode(label),) for label in labels])
            _add(database, counts)
        return True

    def received(self, at_most: int) -> tuple[int, list[Label]]:
        """Return the oldest labels that are not in the store, and the number of the last of them."""
        with self._reading() as database:
            rows = database.execute("SELECT number, label FROM received ORDER BY number LIMIT ?", (at_most,)).fetchall()
        return rows[-1][0] if rows else 0, [_decode(label) for _, label in rows]

    def stored(self, number: int, kept: Iterable[Label], due_at_ns: int, counts: Counts) -> None:
        """Labels up to this number were settled, and the kept ones stored: they wait for their exchanges.

        Where there is no room, those that waited longest are counted as unknown and waited for no longer.
        """
        with self._transaction() as database:
            database.execute("DELETE FROM received WHERE number <= ?", (number,))
            database.executemany("INSERT INTO waiting (label, looks, due_at_ns) VALUES (?, 0, ?)", [(_encode(label), due_at_ns) for label in kept])
            excess = max(0, self._size("waiting") - self._max_waiting)
            database.execute("DELETE FROM waiting WHERE number IN (SELECT number FROM waiting ORDER BY number LIMIT ?)", (excess,))
            _add(database, {**counts, (Metric.LABELS_UNKNOWN.metric_name,): excess})

    def due(self, now_ns: int, at_most: int) -> list[Waiting]:
        """Return the waiting labels whose exchanges are to be looked for now."""
        with self._reading() as database:
            query = "SELECT number, label, looks, number IN corrections FROM waiting WHERE due_at_ns <= ? ORDER BY due_at_ns LIMIT ?"
            rows = database.execute(query, (now_ns, at_most)).fetchall()
        return [Waiting(number, _decode(label), looks, bool(corrects)) for number, label, looks, corrects in rows]

    def note_corrections(self, numbers: Iterable[int]) -> None:
        """These waiting labels correct some that went to the detector of risk."""
        with self._transaction() as database:
            database.executemany("INSERT OR IGNORE INTO corrections VALUES (?)", [(number,) for number in numbers])

    def looked(
        self,
        finished: Sequence[int],
        postponed: Mapping[int, int],
        counts: Counts,
        met: Sequence[Compared] = (),
        corrected: Sequence[Compared] = (),
        again: Mapping[int, Sequence[SecondLook]] = MappingProxyType({}),
    ) -> None:
        """These waiting labels are waited for no longer, and those are looked for again when they are due (number to Unix nanoseconds).

        `met` were compared with what was served for the first time, and `corrected` once more; `again` are second looks, by when they are due.
        """
        with self._transaction() as database:
            for table in ("waiting", "corrections"):
                database.executemany(f"DELETE FROM {table} WHERE number = ?", [(number,) for number in finished])  # noqa: S608 - one of two names
            compared.add(database, met)
            compared.correct(database, corrected)
            self._look_again(database, again)
            skipped = compared.drop_oldest(database, self._max_waiting) if met else 0
            _add(database, {(Metric.RISK_SKIPPED.metric_name,): skipped} if skipped else {})
            postponements = [(due_at_ns, number) for number, due_at_ns in postponed.items()]
            database.executemany("UPDATE waiting SET looks = looks + 1, due_at_ns = ? WHERE number = ?", postponements)
            _add(database, counts)

    def _look_again(self, database: sqlite3.Connection, again: Mapping[int, Sequence[SecondLook]]) -> None:
        rows = [(_encode(each.label), msgspec.json.encode(sorted(each.arms)), due_at_ns) for due_at_ns, looks in again.items() for each in looks]
        if rows:
            database.executemany("INSERT INTO second_looks (label, arms, due_at_ns) VALUES (?, ?, ?)", rows)
            excess = max(0, self._size("second_looks") - self._max_waiting)
            database.execute("DELETE FROM second_looks WHERE number IN (SELECT number FROM second_looks ORDER BY number LIMIT ?)", (excess,))

    def second_looks(self, now_ns: int, at_most: int) -> dict[int, SecondLook]:
        """Return the second looks that are due, by number."""
        with self._reading() as database:
            query = "SELECT number, label, arms FROM second_looks WHERE due_at_ns <= ? ORDER BY due_at_ns LIMIT ?"
            rows = database.execute(query, (now_ns, at_most)).fetchall()
        return {number: SecondLook(_decode(label), frozenset(msgspec.json.decode(arms))) for number, label, arms in rows}

    def looked_twice(self, numbers: Iterable[int], counts: Counts) -> None:
        """These second looks were made."""
        with self._transaction() as database:
            database.executemany("DELETE FROM second_looks WHERE number = ?", [(number,) for number in numbers])
            _add(database, counts)

    def open_rows(self) -> dict[str, Open]:
        """Return what waits for the detector of risk, by model."""
        with self._reading() as database:
            return compared.open_rows(database)

    def oldest(self, model: str, at_most: int) -> tuple[int, list[Compared]]:
        """Return the oldest of a model's rows that wait for the detector of risk, and the number of the last of them."""
        with self._reading() as database:
            return compared.oldest(database, model, at_most)

    def take(self, model: str, number: int, state: bytes) -> None:
        """The detector of risk has taken a model's rows up to this number, and this is what it made of them."""
        with self._transaction() as database:
            compared.take(database, model, number, state)

    def refuse(self, model: str) -> None:
        """No detector of risk takes a model's rows: they are deleted, and counted."""
        with self._transaction() as database:
            _add(database, {(Metric.RISK_SKIPPED.metric_name,): compared.refuse(database, model)})

    def risk_states(self) -> dict[str, bytes]:
        """Return what the detector of risk made of what it took, by model."""
        with self._reading() as database:
            return compared.states(database)

    def forget(self, is_meant: Callable[[Label], bool], exchange_ids: Sequence[bytes] = ()) -> int:
        """Delete the labels that are meant, and count them as unknown; return how many there were. What was compared of these exchanges goes too."""
        with self._transaction() as database:
            compared.drop(database, exchange_ids)
            database.executemany("DELETE FROM second_looks WHERE number = ?", self._numbers("second_looks", is_meant))
            meant = {table: self._numbers(table, is_meant) for table in ("received", "waiting")}
            for table, numbers in meant.items():
                database.executemany(f"DELETE FROM {table} WHERE number = ?", numbers)  # noqa: S608 - one of two names
            forgotten = sum(map(len, meant.values()))
            _add(database, {(Metric.LABELS_UNKNOWN.metric_name,): forgotten})
        return forgotten

    def count(self, counts: Counts) -> None:
        """Add to the counts."""
        with self._transaction() as database:
            _add(database, counts)

    def sizes(self) -> tuple[int, int]:
        """Return how many labels are not in the store, and how many wait for their exchange."""
        with self._reading():
            return self._size("received"), self._size("waiting")

    def counts(self) -> dict[tuple[str, ...], float]:
        """Return what was counted since the journal began."""
        with self._reading() as database:
            return {tuple(msgspec.json.decode(name)): value for name, value in database.execute("SELECT name, value FROM counts")}

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def _numbers(self, table: str, is_meant: Callable[[Label], bool]) -> list[tuple[int]]:
        rows = self._database.execute(f"SELECT number, label FROM {table}")  # noqa: S608 - one of three names
        return [(number,) for number, label in rows if is_meant(_decode(label))]

    def _size(self, table: str) -> int:
        (size,) = self._database.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - one of three names
        return int(size)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._failing_in_words():
            yield self._database

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise

    @contextmanager
    def _failing_in_words(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise JournalError(f"the journal of labels {self._path} cannot be written: {error}") from error
        except (sqlite3.DatabaseError, msgspec.DecodeError) as error:
            raise JournalError(f"the journal of labels {self._path} is damaged ({error}): move it away to begin a new one") from error


def _add(database: sqlite3.Connection, counts: Counts) -> None:
    rows = [(msgspec.json.encode(name).decode(), value) for name, value in counts.items()]
    database.executemany("INSERT INTO counts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value", rows)
