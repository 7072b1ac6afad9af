"""Stores rows once, whatever died before, and sets aside the rows that the store refuses.

A row is in doubt when an insert that held it did not end with an acknowledgement: the process died, the connection broke, the server
answered with an error after it had stored a part. Of rows in doubt the store is asked which positions it has, the others are inserted, and then it
is asked again: a server that was killed between noting the deduplication token and publishing the rows reports success for the same token later, and
stores nothing. Then they are inserted under a new token. Tokens are still worth sending: should a server that we lost touch with go on with the
first insert after we asked, the second one adds nothing.

A refused row is found by halving: what the store takes is stored, what it refuses alone goes to `dead_letters` with the engine's reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, Generic, TypeAlias, TypeVar
from uuid import uuid4

import msgspec
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from store.clickhouse.client import one_line
from store.clickhouse.columns import UNFIT, StoredExchange, StoredOutcome, arrow_stream, exchange_columns, insert_columns, outcome_columns

Ranges: TypeAlias = Mapping[str, tuple[int, int]]
"""First and last sequence, by writer."""

_RowT = TypeVar("_RowT", StoredExchange, StoredOutcome)

# What the engine says of a value, as opposed to its own state: 6 CANNOT_PARSE_TEXT, 27 CANNOT_PARSE_INPUT_ASSERTION_FAILED, 53 TYPE_MISMATCH,
# 69 ARGUMENT_OUT_OF_BOUND, 70 CANNOT_CONVERT_TYPE, 117 INCORRECT_DATA, 131 TOO_LARGE_STRING_SIZE, 321 VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE,
# 349 CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN, 407 DECIMAL_OVERFLOW, 469 VIOLATED_CONSTRAINT.
_REFUSALS: Final = frozenset({6, 27, 53, 69, 70, 117, 131, 321, 349, 407, 469})


class DeadLetter(msgspec.Struct, frozen=True, gc=False):
    """A frame that the store did not take."""

    writer: str
    sequence: int
    kind: str
    """`record` or `outcome`."""
    payload: bytes
    """MessagePack as in the spool."""
    reason: str


class Table(msgspec.Struct, Generic[_RowT], frozen=True):
    """Where rows with a position go."""

    name: str
    columns: Callable[[Sequence[_RowT]], Any]
    dead_letter: Callable[[_RowT, str], DeadLetter]


EXCHANGES: Final = Table[StoredExchange](
    "exchanges", exchange_columns, lambda row, reason: DeadLetter(row.writer, row.sequence, "record", msgspec.msgpack.encode(row.exchange), reason)
)
OUTCOMES: Final = Table[StoredOutcome](
    "outcomes", outcome_columns, lambda row, reason: DeadLetter(row.writer, row.sequence, "outcome", msgspec.msgpack.encode(row.outcome), reason)
)


class Inserter:
    """Stores batches over one client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def store(self, table: Table[_RowT], rows: Sequence[_RowT], doubt: Ranges) -> list[DeadLetter]:
        """Store every row once and return those that were refused. Rows within `doubt` may be there already.

        Raises clickhouse-connect's errors where the store is in trouble: then all rows are in doubt.
        """
        # Apart from each other, so that rows in doubt get the token that they had.
        doubtful = [row for row in rows if _within(row, doubt)] if doubt else []
        fresh = [row for row in rows if not _within(row, doubt)] if doubt else rows
        refused = self._insert(table, self._absent(table, doubtful)) + self._insert(table, fresh)
        set_aside = {(letter.writer, letter.sequence) for letter in refused}
        in_vain = [row for row in self._absent(table, doubtful) if (row.writer, row.sequence) not in set_aside]
        return refused + self._insert(table, in_vain, salt=uuid4().hex)

    def set_aside(self, letters: Sequence[DeadLetter]) -> None:
        """Keep refused frames; doing so twice is the same as once."""
        if letters:
            self._client.insert("dead_letters", [msgspec.structs.astuple(letter) for letter in letters], column_names=DeadLetter.__struct_fields__)

    def _insert(self, table: Table[_RowT], rows: Sequence[_RowT], salt: str = "") -> list[DeadLetter]:
        """Insert rows that are not there; return those that were refused alone."""
        reason = self._refusal(table, rows, salt) if rows else ""
        if not reason:
            return []
        if len(rows) == 1:
            return [table.dead_letter(rows[0], reason)]
        half = len(rows) // 2
        return self._insert(table, rows[:half], salt) + self._insert(table, rows[half:], salt)

    def _refusal(self, table: Table[_RowT], rows: Sequence[_RowT], salt: str) -> str:
        """Insert the rows; return why they were refused, nothing where they were stored."""
        try:
            columns = table.columns(rows)
        except UNFIT as error:
            return one_line(error)
        settings = {"insert_deduplication_token": _token(table.name, columns, salt)}
        try:
            insert_columns(self._client, table.name, columns, settings)
        except DatabaseError as error:
            if error.code not in _REFUSALS:
                raise
            return one_line(error)
        return ""

    def _absent(self, table: Table[_RowT], rows: Sequence[_RowT]) -> list[_RowT]:
        """Return the rows whose positions the store does not have."""
        stored = {
            (writer, sequence)
            for writer, (first, last) in position_ranges(rows).items()
            for (sequence,) in self._client.query(
                f"SELECT sequence FROM {table.name} WHERE writer = {{writer:String}} AND sequence BETWEEN {{first:UInt64}} AND {{last:UInt64}}",  # noqa: S608
                parameters={"writer": writer, "first": first, "last": last},
            ).result_rows
        }
        return [row for row in rows if (row.writer, row.sequence) not in stored]


def position_ranges(rows: Iterable[StoredExchange | StoredOutcome | DeadLetter]) -> dict[str, tuple[int, int]]:
    """Return the first and last sequence of the rows, by writer."""
    ranges: dict[str, tuple[int, int]] = {}
    for row in rows:
        first, last = ranges.get(row.writer, (row.sequence, row.sequence))
        ranges[row.writer] = min(first, row.sequence), max(last, row.sequence)
    return ranges


def joined(ranges: Ranges, more: Ranges) -> dict[str, tuple[int, int]]:
    """Return, by writer, the range that covers both.

    >>> joined({"a": (1, 5)}, {"a": (4, 9), "b": (1, 2)})
    {'a': (1, 9), 'b': (1, 2)}
    """
    union = dict(ranges)
    for writer, (first, last) in more.items():
        other = union.get(writer, (first, last))
        union[writer] = min(first, other[0]), max(last, other[1])
    return union


def _within(row: StoredExchange | StoredOutcome, ranges: Ranges) -> bool:
    first, last = ranges.get(row.writer, (1, 0))
    return first <= row.sequence <= last


def _token(table: str, columns: Any, salt: str) -> str:
    """Name these rows: without a salt the same positions get the same token, in whatever process."""
    positions = arrow_stream(columns.select(["writer", "sequence"]))
    return f"{table}-{blake2b(positions, digest_size=16).hexdigest()}{salt}"
