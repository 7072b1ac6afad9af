"""Labels beside what was served, until the detector of risk takes them, and what it made of those before: two tables of the journal.

A row of an exchange is here at most once, whatever names its labels had for it; while it is here the label with the latest `labelled_at` holds. What was
taken is never given back: a label that corrects it later changes no evidence.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from records.label import Compared

TABLES: Final = """
CREATE TABLE IF NOT EXISTS compared (
    number INTEGER PRIMARY KEY AUTOINCREMENT, model TEXT NOT NULL, version TEXT NOT NULL, exchange_id BLOB NOT NULL, row INTEGER NOT NULL,
    prediction TEXT NOT NULL, label TEXT NOT NULL, labelled_at_ns INTEGER NOT NULL, received_at_ns INTEGER NOT NULL, started_at_ns INTEGER NOT NULL,
    met_at_ns INTEGER NOT NULL, UNIQUE (model, exchange_id, row));
CREATE INDEX IF NOT EXISTS compared_model ON compared (model, number, met_at_ns);
CREATE TABLE IF NOT EXISTS risk (model TEXT PRIMARY KEY, state BLOB NOT NULL);
"""

_COLUMNS: Final = ", ".join(Compared._fields)
_ADD: Final = f"""
INSERT INTO compared ({_COLUMNS}) VALUES ({", ".join("?" * len(Compared._fields))})
ON CONFLICT (model, exchange_id, row) DO UPDATE SET label = excluded.label, labelled_at_ns = excluded.labelled_at_ns, received_at_ns = excluded.received_at_ns
WHERE (excluded.labelled_at_ns, excluded.received_at_ns) > (labelled_at_ns, received_at_ns)
"""  # noqa: S608 - names of ours
_CORRECT: Final = """
UPDATE compared SET label = ?1, labelled_at_ns = ?2, received_at_ns = ?3
WHERE model = ?4 AND exchange_id = ?5 AND row = ?6 AND (labelled_at_ns, received_at_ns) < (?2, ?3)
"""


class Open(NamedTuple):
    """What of a model waits to be taken."""

    rows: int
    first_at_ns: int
    """When the first of them met its label."""


def add(database: sqlite3.Connection, rows: Iterable[Compared]) -> None:
    """Put rows here that were not compared before; of one that is here the newer label holds."""
    database.executemany(_ADD, rows)


def correct(database: sqlite3.Connection, rows: Iterable[Compared]) -> None:
    """Put the labels of rows that were compared before in the place of older ones, as far as they are still here."""
    database.executemany(_CORRECT, [(row.label, row.labelled_at_ns, row.received_at_ns, row.model, row.exchange_id, row.row) for row in rows])


def drop_oldest(database: sqlite3.Connection, at_most: int) -> int:
    """Delete the oldest rows where there are more than this; return how many."""
    (rows,) = database.execute("SELECT count(*) FROM compared").fetchone()
    excess = max(0, int(rows) - at_most)
    if excess:
        database.execute("DELETE FROM compared WHERE number IN (SELECT number FROM compared ORDER BY number LIMIT ?)", (excess,))
    return excess


def drop(database: sqlite3.Connection, exchange_ids: Sequence[bytes]) -> None:
    """Delete the rows of these exchanges."""
    database.executemany("DELETE FROM compared WHERE exchange_id = ?", [(each,) for each in exchange_ids])


def open_rows(database: sqlite3.Connection) -> dict[str, Open]:
    """Return what waits, by model."""
    return {model: Open(rows, first) for model, rows, first in database.execute("SELECT model, count(*), min(met_at_ns) FROM compared GROUP BY model")}


def oldest(database: sqlite3.Connection, model: str, at_most: int) -> tuple[int, list[Compared]]:
    """Return a model's oldest rows, and the number of the last of them."""
    query = f"SELECT number, {_COLUMNS} FROM compared WHERE model = ? ORDER BY number LIMIT ?"  # noqa: S608 - names of ours
    rows = database.execute(query, (model, at_most)).fetchall()
    return rows[-1][0] if rows else 0, [Compared(*row) for _, *row in rows]


def take(database: sqlite3.Connection, model: str, number: int, state: bytes) -> None:
    """Delete a model's rows up to this number, and keep what was made of them."""
    database.execute("DELETE FROM compared WHERE model = ? AND number <= ?", (model, number))
    database.execute("INSERT INTO risk VALUES (?, ?) ON CONFLICT (model) DO UPDATE SET state = excluded.state", (model, state))


def refuse(database: sqlite3.Connection, model: str) -> int:
    """Delete a model's rows; return how many."""
    return database.execute("DELETE FROM compared WHERE model = ?", (model,)).rowcount


def states(database: sqlite3.Connection) -> dict[str, bytes]:
    """Return what was made of the rows before, by model."""
    return dict(database.execute("SELECT model, state FROM risk"))
