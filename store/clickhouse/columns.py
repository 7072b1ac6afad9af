"""Exchanges and outcomes as Arrow, the form in which they are inserted: columns cost half of what rows cost.

Most values of a batch are like the one before, or empty: columns that are so as a whole are made without looking at each.

The functions raise one of `UNFIT` where a value has no place in its column, for example a status above 65,535.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from records.exchange import Body, Exchange
from records.outcome import Outcome

UNFIT: Final = (pa.ArrowException, OverflowError, TypeError, ValueError)

_FIELDS: Final = pa.map_(pa.string(), pa.string())
_LEVELS: Final = pa.dictionary(pa.int32(), pa.string())
_AT_ONCE: Final = 4_000
"""Exchanges made into columns at a time: more would leave the processor's cache between one column and the next."""


class StoredExchange(msgspec.Struct, frozen=True, gc=False):
    """A record with its position in the spool and the model that it was for."""

    writer: str
    sequence: int
    exchange: Exchange
    model: str
    version: str
    label_key: str = ""
    """The caller's own name of it, by which labels may find it."""


class StoredOutcome(msgspec.Struct, frozen=True, gc=False):
    """An outcome with the position of the record that it amends."""

    writer: str
    sequence: int
    outcome: Outcome


def exchange_columns(rows: Sequence[StoredExchange]) -> pa.Table:
    """Return the columns of table `exchanges`, of at least one row."""
    return pa.concat_tables([_exchange_columns(rows[first : first + _AT_ONCE]) for first in range(0, len(rows), _AT_ONCE)]).unify_dictionaries()


def _exchange_columns(rows: Sequence[StoredExchange]) -> pa.Table:
    exchanges = [row.exchange for row in rows]
    return pa.table(
        {
            "writer": _levels([row.writer for row in rows]),
            "sequence": pa.array([row.sequence for row in rows], pa.uint64()),
            "exchange_id": pa.array([e.exchange_id for e in exchanges], pa.binary(16)),
            "request_id": pa.array([e.request_id for e in exchanges], pa.string()),
            "role": _levels([e.role for e in exchanges]),
            "route": _levels([e.route for e in exchanges]),
            "arm": _levels([e.arm for e in exchanges]),
            "model": _levels([row.model for row in rows]),
            "version": _levels([row.version for row in rows]),
            "label_key": pa.array([row.label_key for row in rows], pa.string()),
            "started_at": pa.array([e.started_at_ns for e in exchanges], pa.timestamp("ns", "UTC")),
            "queue_ns": _durations([e.queue_ns for e in exchanges]),
            "connect_ns": _durations([e.connect_ns for e in exchanges]),
            "first_byte_ns": _durations([e.first_byte_ns for e in exchanges]),
            "total_ns": _durations([e.total_ns for e in exchanges]),
            "method": _levels([e.method for e in exchanges]),
            "path": pa.array([e.path for e in exchanges], pa.string()),
            "status": pa.array([e.status for e in exchanges], pa.uint16()),
            "error": _levels([e.error for e in exchanges]),
            "client": pa.array([e.client for e in exchanges], pa.string()),
            "principal": pa.array([e.principal for e in exchanges], pa.string()),
            "trace_id": pa.array([e.trace_id for e in exchanges], pa.string()),
            "span_id": pa.array([e.span_id for e in exchanges], pa.string()),
            "sampling_rate": pa.array([e.sampling_rate for e in exchanges], pa.float64()),
            **_body_columns("request", [e.request for e in exchanges]),
            **_body_columns("response", [e.response for e in exchanges]),
            "response_chunk_ends": _lists([e.response.chunk_ends for e in exchanges], pa.uint64()),
            "response_chunk_ns": _lists([e.response.chunk_ns for e in exchanges], pa.int64()),
            "subjects": _lists([e.subjects for e in exchanges], pa.string()),
        }
    )


def outcome_columns(rows: Sequence[StoredOutcome]) -> pa.Table:
    """Return the columns of table `outcomes`."""
    outcomes = [row.outcome for row in rows]
    return pa.table(
        {
            "writer": _levels([row.writer for row in rows]),
            "sequence": pa.array([row.sequence for row in rows], pa.uint64()),
            "exchange_id": pa.array([o.exchange_id for o in outcomes], pa.binary(16)),
            "error": _levels([o.error for o in outcomes]),
            "total_ns": _durations([o.total_ns for o in outcomes]),
            "received_bytes": pa.array([o.received_bytes for o in outcomes], pa.uint64()),
            "sent_bytes": pa.array([o.sent_bytes for o in outcomes], pa.uint64()),
        }
    )


def insert_columns(client: Client, table: str, columns: pa.Table, settings: Mapping[str, str] | None = None) -> None:
    """Insert these columns into the table's of the same names."""
    client.raw_insert(table, columns.column_names, arrow_stream(columns), dict(settings or {}), "ArrowStream")  # type: ignore[arg-type] # any buffer will do


def arrow_stream(table: pa.Table) -> memoryview:
    """Return the table as ClickHouse's input format `ArrowStream`, without another copy of it.

    A view, and not bytes, which clickhouse-connect would send again by itself where the connection breaks: an acknowledgement in vain of the second
    one would then pass for that of the first (`inserter`).
    """
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


def _body_columns(prefix: str, bodies: Sequence[Body]) -> dict[str, Any]:
    return {
        f"{prefix}_body": pa.array([b.content for b in bodies], pa.binary()),
        f"{prefix}_size_bytes": pa.array([b.size_bytes for b in bodies], pa.uint64()),
        f"{prefix}_truncated": pa.array([b.truncated for b in bodies], pa.bool_()),
        f"{prefix}_content_type": _levels([b.content_type for b in bodies]),
        f"{prefix}_content_encoding": _levels([b.content_encoding for b in bodies]),
        f"{prefix}_redaction": _levels([b.redaction for b in bodies]),
        f"{prefix}_fields": _maps([b.fields for b in bodies]),
    }


def _levels(values: Sequence[str]) -> Any:
    """Few distinct values: sent once each, as ClickHouse's LowCardinality keeps them."""
    if values.count(values[0]) == len(values):
        return pa.DictionaryArray.from_arrays(np.zeros(len(values), np.int32), pa.array(values[:1], pa.string()))
    return pa.array(values, _LEVELS)  # `dictionary_encode` would load pyarrow.compute, which takes 9 MB


def _lists(values: Sequence[Sequence[Any]], kind: Any) -> Any:
    if any(values):
        return pa.array(values, pa.list_(kind))
    return pa.ListArray.from_arrays(np.zeros(len(values) + 1, np.int32), pa.array([], kind))


def _maps(values: Sequence[Mapping[str, str]]) -> Any:
    if any(values):
        return pa.array([list(value.items()) for value in values], _FIELDS)
    return pa.MapArray.from_arrays(np.zeros(len(values) + 1, np.int32), pa.array([], pa.string()), pa.array([], pa.string()))


def _durations(values: Sequence[int]) -> Any:
    """Nanoseconds; what was not reached is null."""
    nanoseconds = np.array(values, np.int64)
    return pa.array(nanoseconds, mask=nanoseconds < 0)
