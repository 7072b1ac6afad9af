"""A model's stored traffic, exchange by exchange in the order of the traffic: from the store, or from a file that `driftline export` wrote.

It is read in pages that grow and shrink with the size of the rows, so that neither the store's bound on a result nor our memory is passed.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import pyarrow as pa

from config.settings import Settings
from driftline.store_access import Ask, questions
from records.exchange import Body, ErrorKind, Exchange, Redaction, Role
from records.ports import QueryFailedError

_PAGE_BYTES: Final = 16 * 1024 * 1024
_FIRST_PAGE_ROWS: Final = 256
_LAST_PAGE_ROWS: Final = 10_000

_BODY: Final = ("body", "size_bytes", "truncated", "content_type", "content_encoding", "redaction")
_COLUMNS: Final = (
    "toString(writer) AS writer, sequence, toString(exchange_id) AS exchange_id, request_id, label_key, toString(role) AS role, toString(route) AS route",
    "toString(arm) AS arm, toString(model) AS model, toString(version) AS version, toUnixTimestamp64Nano(started_at) AS started_at_ns",
    "queue_ns, connect_ns, first_byte_ns, total_ns, toString(method) AS method, path, status, toString(error) AS error, principal, trace_id, sampling_rate",
    *(f"{side}_{name}" for side in ("request", "response") for name in _BODY),
    *(f"mapKeys({side}_fields) AS {side}_names, mapValues({side}_fields) AS {side}_values" for side in ("request", "response")),
    "response_chunk_ends, response_chunk_ns",
)


class Traffic(StrEnum):
    """Which exchanges, as a condition."""

    ANSWERED = "role = 'served' AND status < 400"
    """What was served and was no error."""
    SERVED = "role = 'served'"
    ALL = "role != ''"
    """Shadows' too."""


class Period(NamedTuple):
    """What was asked of a model in [since, until), Unix nanoseconds; None is open, an empty version is any."""

    model: str
    version: str = ""
    since_ns: int | None = None
    until_ns: int | None = None


class Position(NamedTuple):
    """Where an exchange stands in the order of the traffic: no two stand in one place."""

    started_at_ns: int
    writer: str
    sequence: int


class StoredExchange(NamedTuple):
    """One exchange and its place."""

    position: Position
    exchange: Exchange


def stored_exchanges(settings: Settings, period: Period, after: Position | None = None, traffic: Traffic = Traffic.ANSWERED) -> Iterator[StoredExchange]:
    """Yield the exchanges of the period that stand behind `after`.

    Raises what `driftline.store_access.ask` raises.
    """
    for page in stored_pages(settings, period, after, traffic):
        yield from _exchanges(page)


def exported_exchanges(path: Path) -> Iterator[StoredExchange]:
    """Yield the exchanges of a file that `driftline export` wrote. Raises OSError or ValueError with a sentence for the user."""
    from pyarrow import parquet  # noqa: PLC0415 - 9 MB, which a monitor does not need

    try:
        with parquet.ParquetFile(path) as file:
            absent = {"exchange_id", "started_at", "request_body", "response_body"} - set(file.schema_arrow.names)
            if absent:
                raise ValueError(f"{path} was not written by `driftline export`: it has no column {min(absent)}")
            for batch in file.iter_batches(_FIRST_PAGE_ROWS):
                yield from _exchanges(pa.Table.from_batches([batch]))
    except pa.ArrowException as error:
        raise ValueError(f"{path} is not a Parquet file that can be read: {error}") from error


def stored_pages(settings: Settings, period: Period, after: Position | None = None, traffic: Traffic = Traffic.ALL) -> Iterator[pa.Table]:
    """Yield the exchanges of the period that stand behind `after` as tables: bodies are bytes, `started_at` is a timestamp."""
    with questions(settings) as ask:
        yield from _pages(ask, period, after, traffic)


def latest(ask: Ask, period: Period, count: int) -> Period:
    """Return the end of the period that holds its latest exchanges that were answered, so many and those of the same moment. Raises what `ask` raises."""
    condition = " AND ".join(_conditions(period, None, Traffic.ANSWERED))
    query = f"SELECT toUnixTimestamp64Nano(started_at) AS at FROM exchanges WHERE {condition} ORDER BY exchanges.started_at DESC LIMIT 1 OFFSET {count - 1}"  # noqa: S608 - values are quoted
    found = ask(query, "TSV").strip()
    return period._replace(since_ns=int(found)) if found else period


def answered(ask: Ask, period: Period) -> Iterator[StoredExchange]:
    """Yield the exchanges of the period that were answered, in the order of the traffic. Raises what `ask` raises."""
    for page in _pages(ask, period, None, Traffic.ANSWERED):
        yield from _exchanges(page)


def _pages(ask: Ask, period: Period, after: Position | None, traffic: Traffic) -> Iterator[pa.Table]:
    rows = _FIRST_PAGE_ROWS
    while True:
        try:
            page = _page(ask, " AND ".join(_conditions(period, after, traffic)), rows)
        except QueryFailedError:
            if rows == 1:
                raise
            rows = max(1, rows // 8)  # it may have been too much at once
            continue
        if page.num_rows:
            yield page
        if page.num_rows < rows:
            return
        after = _last_position(page)
        rows = min(_LAST_PAGE_ROWS, max(1, rows * _PAGE_BYTES // max(1, page.nbytes)), 4 * rows)


def conditions_of(period: Period) -> list[str]:
    """Return what is asked of a row of `exchanges`, or of what hangs on them, as conditions."""
    conditions = [f"model = {_quoted(period.model)}"]
    if period.version:
        conditions.append(f"version = {_quoted(period.version)}")
    if period.since_ns is not None:
        conditions.append(f"started_at >= fromUnixTimestamp64Nano({period.since_ns})")
    if period.until_ns is not None:
        conditions.append(f"started_at < fromUnixTimestamp64Nano({period.until_ns})")
    return conditions


def _conditions(period: Period, after: Position | None, traffic: Traffic) -> list[str]:
    conditions = [traffic.value, *conditions_of(period)]
    if after is not None:
        moment = f"fromUnixTimestamp64Nano({after.started_at_ns})"
        conditions.append(f"started_at >= {moment}")  # found by the primary key, which the next condition is not
        conditions.append(f"(started_at, writer, sequence) > ({moment}, {_quoted(after.writer)}, {after.sequence})")
    return conditions


def _page(ask: Ask, condition: str, rows: int) -> pa.Table:
    query = (
        f"SELECT {', '.join(_COLUMNS)} FROM exchanges WHERE {condition} "  # noqa: S608 - values are quoted
        f"ORDER BY exchanges.started_at, exchanges.writer, exchanges.sequence LIMIT {rows}"
    )
    page = pa.ipc.open_stream(ask(query, "ArrowStream")).read_all()
    times = page.column("started_at_ns").cast(pa.timestamp("ns", "UTC"))
    page = page.set_column(page.schema.get_field_index("started_at_ns"), "started_at", times)
    for name in ("request_body", "response_body"):  # what ClickHouse calls a string may be any bytes
        page = page.set_column(page.schema.get_field_index(name), name, page.column(name).cast(pa.binary()))
    return page


def _exchanges(page: pa.Table) -> Iterator[StoredExchange]:
    for row in _rows(page):
        yield StoredExchange(Position(row["started_at"], row["writer"], row["sequence"]), _exchange(row))


def _last_position(page: pa.Table) -> Position:
    (row,) = _rows(page.select(["started_at", "writer", "sequence"]).slice(page.num_rows - 1))
    return Position(row["started_at"], row["writer"], row["sequence"])


def _rows(page: pa.Table) -> list[dict[str, Any]]:
    """Return the rows, times as Unix nanoseconds: Python's own times have no more than microseconds."""
    at = page.schema.get_field_index("started_at")
    rows: list[dict[str, Any]] = page.set_column(at, "started_at", page.column("started_at").cast(pa.int64())).to_pylist()
    return rows


def _exchange(row: dict[str, Any]) -> Exchange:
    return Exchange(
        exchange_id=UUID(row["exchange_id"]).bytes,
        request_id=row["request_id"],
        role=Role(row["role"]),
        route=row["route"],
        arm=row["arm"],
        started_at_ns=row["started_at"],
        method=row["method"],
        path=row["path"],
        model=row["model"],
        version=row["version"],
        status=row["status"],
        error=ErrorKind(row["error"]),
        sampling_rate=row["sampling_rate"],
        request=_body(row, "request"),
        response=_body(row, "response"),
        first_byte_ns=_duration(row["first_byte_ns"]),
        total_ns=_duration(row["total_ns"]),
    )


def _duration(nanoseconds: int | None) -> int:
    return -1 if nanoseconds is None else nanoseconds


def _body(row: dict[str, Any], side: str) -> Body:
    content, size_bytes, truncated, content_type, content_encoding, redaction = (row[f"{side}_{name}"] for name in _BODY)
    fields = dict(zip(row[f"{side}_names"], row[f"{side}_values"], strict=True))
    ends, times_ns = (tuple(row.get(f"{side}_chunk_{name}", ())) for name in ("ends", "ns"))  # of replies
    return Body(content, size_bytes, bool(truncated), content_type, content_encoding, fields, ends, times_ns, Redaction(redaction))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
