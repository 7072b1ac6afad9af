"""Labels in the store: which ones hold, the exchanges that they are about, and both side by side."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, TypeAlias
from uuid import UUID

import msgspec
import pyarrow as pa

from records.exchange import Exchange
from records.label import NO_EXCHANGE, Compared, Label, Labelled, Subject
from store.clickhouse.client import Connection, Store
from store.clickhouse.columns import insert_columns
from store.clickhouse.queries import BODIES_AS_BYTES, EXCHANGE_COLUMNS, exchange_of

_COLUMNS: Final = EXCHANGE_COLUMNS.replace("request_body,", "'' AS request_body,") + ", label_key"
"""A prediction is in the reply; requests are the larger part of a store."""

_AROUND_NS: Final = 3_600_000_000_000
"""An exchange's id and its record may have been given their times this far apart."""

_LONG_QUERY: Final = {"max_query_size": 16 * 1024 * 1024}
"""The names of a batch stand in the query."""


class StoredLabel(msgspec.Struct, frozen=True):
    """The label that holds for a row."""

    label: str
    labelled_at_ns: int
    received_at_ns: int


LabelledIdentity: TypeAlias = tuple[str, bytes, int]
"""Model, exchange id and row of what was served."""


def identity_of(row: Compared) -> LabelledIdentity:
    """Return which row of `labelled` this is."""
    return row.model, row.exchange_id, row.row


def stored_as(row: Compared) -> StoredLabel:
    """Return the label of this row as the store has it."""
    return StoredLabel(row.label, row.labelled_at_ns, row.received_at_ns)


class LabelTable:
    """Every method raises `StoreUnavailableError` where the store cannot be used now. Writing twice is the same as writing once."""

    def __init__(self, store: Store) -> None:
        self._connection = Connection(store)

    def holding(self, subjects: Iterable[Subject]) -> dict[Subject, StoredLabel]:
        """Return the labels that hold for these rows, as far as there are any."""
        named = [(str(UUID(bytes=subject.exchange_id)), *subject[1:]) for subject in subjects]
        with self._connection() as client:
            rows = client.query(
                "SELECT exchange_id, request_id, key, row, argMax((label, toUnixTimestamp64Nano(labelled_at), toUnixTimestamp64Nano(received_at)),"
                " (labelled_at, received_at)) FROM labels WHERE (exchange_id, request_id, key, row) IN %(named)s"
                " GROUP BY exchange_id, request_id, key, row",
                {"named": named},
                _LONG_QUERY,
            ).result_rows
        return {Subject(exchange_id.bytes, request_id, key, row): StoredLabel(*held) for exchange_id, request_id, key, row, held in rows}

    def insert(self, labels: Sequence[Label]) -> None:
        """Keep labels."""
        if labels:
            subjects = [label.subject for label in labels]
            self._insert(
                "labels",
                {
                    "exchange_id": pa.array([subject.exchange_id for subject in subjects], pa.binary(16)),
                    "request_id": pa.array([subject.request_id for subject in subjects], pa.string()),
                    "key": pa.array([subject.key for subject in subjects], pa.string()),
                    "row": pa.array([subject.row for subject in subjects], pa.uint32()),
                    **_label_columns(labels),
                },
            )

    def exchanges(self, subjects: Iterable[Subject]) -> list[tuple[Exchange, str]]:
        """Return the stored exchanges, of all arms, that these are about, each with its `label_key`: only what was served has one."""
        distinct = set(subjects)
        ids = {subject.exchange_id for subject in distinct} - {NO_EXCHANGE}
        found = self._exchanges_where("exchange_id", [str(UUID(bytes=each)) for each in ids], _around(ids))
        found += self._exchanges_where("request_id", [*{subject.request_id for subject in distinct} - {""}])
        return found + self._exchanges_where("label_key", [*{subject.key for subject in distinct} - {""}])

    def insert_labelled(self, joined: Sequence[Labelled]) -> None:
        """Keep labels beside predictions."""
        if joined:
            exchanges = [each.exchange for each in joined]
            self._insert(
                "labelled",
                {
                    "model": pa.array([each.model for each in joined], pa.string()),
                    "version": pa.array([each.version for each in joined], pa.string()),
                    "arm": pa.array([exchange.arm for exchange in exchanges], pa.string()),
                    "role": pa.array([exchange.role for exchange in exchanges], pa.string()),
                    "exchange_id": pa.array([exchange.exchange_id for exchange in exchanges], pa.binary(16)),
                    "request_id": pa.array([exchange.request_id for exchange in exchanges], pa.string()),
                    "started_at": pa.array([exchange.started_at_ns for exchange in exchanges], pa.timestamp("ns", "UTC")),
                    "row": pa.array([each.label.subject.row for each in joined], pa.uint32()),
                    "prediction": pa.array([each.prediction for each in joined], pa.string()),
                    "correct": pa.array([each.correct for each in joined], pa.bool_()),
                    "absolute_error": pa.array([each.absolute_error for each in joined], pa.float64()),
                    **_label_columns([each.label for each in joined]),
                },
            )

    def labelled(self, rows: Sequence[Compared]) -> dict[LabelledIdentity, StoredLabel]:
        """Return the labels that are beside what was served for these rows, as far as there are any."""
        if not rows:
            return {}
        asked_ns = [row.started_at_ns for row in rows]
        statement = (
            "SELECT model, exchange_id, row, label, toUnixTimestamp64Nano(labelled_at), toUnixTimestamp64Nano(received_at) FROM labelled FINAL"  # noqa: S608 - numbers
            f" WHERE model IN %(models)s AND {_between(min(asked_ns), max(asked_ns))} AND exchange_id IN %(ids)s AND role = 'served'"
        )
        names = {"models": [*{row.model for row in rows}], "ids": [*{str(UUID(bytes=row.exchange_id)) for row in rows}]}
        with self._connection() as client:
            found = client.query(statement, names, _LONG_QUERY).result_rows
        return {(model, exchange_id.bytes, row): StoredLabel(*label) for model, exchange_id, row, *label in found}

    def _exchanges_where(self, column: str, names: Sequence[str], period: str = "1") -> list[tuple[Exchange, str]]:
        if not names:
            return []
        condition = f"{column} IN %(names)s AND {period}"
        if column == "label_key":  # only what was served has a request, and so a key
            condition = f"exchange_id IN (SELECT exchange_id FROM exchanges WHERE {condition})"  # noqa: S608 - one of three columns
        statement = f"SELECT {_COLUMNS} FROM exchanges WHERE {condition}"  # noqa: S608 - likewise
        with self._connection() as client:
            rows = client.query(statement, {"names": names}, _LONG_QUERY, column_formats=BODIES_AS_BYTES).result_rows
        return [(exchange_of(row[:-1]), str(row[-1])) for row in rows]

    def _insert(self, table: str, columns: dict[str, Any]) -> None:
        with self._connection() as client:
            insert_columns(client, table, pa.table(columns))


def _around(exchange_ids: Collection[bytes]) -> str:
    """Return a condition that finds the exchanges by their time, which a UUIDv7 begins with: days and models without them are not looked into."""
    if any(each[6] >> 4 != 7 for each in exchange_ids):
        return "1"
    times_ns = [int.from_bytes(each[:6], "big") * 1_000_000 for each in exchange_ids]
    return _between(min(times_ns, default=0) - _AROUND_NS, max(times_ns, default=0) + _AROUND_NS)


def _between(first_ns: int, last_ns: int) -> str:
    return f"started_at BETWEEN fromUnixTimestamp64Nano({max(0, first_ns)}) AND fromUnixTimestamp64Nano({min(last_ns, 2**63 - 1)})"


def _label_columns(labels: Sequence[Label]) -> dict[str, Any]:
    return {
        "label": pa.array([label.label for label in labels], pa.string()),
        "labelled_at": pa.array([label.labelled_at_ns for label in labels], pa.timestamp("ns", "UTC")),
        "received_at": pa.array([label.received_at_ns for label in labels], pa.timestamp("ns", "UTC")),
        "source": pa.array([label.source for label in labels], pa.string()),
    }
