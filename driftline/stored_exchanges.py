"""A model's stored traffic, exchange by exchange in the order of the traffic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import pyarrow as pa

from config.settings import Settings
from driftline.store_access import ask
from records.exchange import Body, Exchange, Role

_PAGE_EXCHANGES: Final = 10_000
_BODY: Final = ("body", "size_bytes", "truncated", "content_type", "content_encoding")


class Period(NamedTuple):
    """What was served by a model in [since, until), Unix nanoseconds; None is open, an empty version is any."""

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
    """One exchange and its place. Of the exchange there is what decoding needs, and when it began."""

    position: Position
    exchange: Exchange


def stored_exchanges(settings: Settings, period: Period, after: Position | None = None) -> Iterator[StoredExchange]:
    """Yield the exchanges of the period that stand behind `after`, read page by page.

    Raises what `driftline.store_access.ask` raises.
    """
    conditions = _conditions(period)
    while True:
        page = _page(settings, " AND ".join([*conditions, *([_behind(after)] if after else [])]))
        for row in page:
            after = Position(row["started_at_ns"], _text(row["writer"]), row["sequence"])
            yield StoredExchange(after, _exchange(row))
        if len(page) < _PAGE_EXCHANGES:
            return


def _conditions(period: Period) -> list[str]:
    conditions = ["role = 'served'", "status < 400", f"model = {_quoted(period.model)}"]
    if period.version:
        conditions.append(f"version = {_quoted(period.version)}")
    if period.since_ns is not None:
        conditions.append(f"started_at >= fromUnixTimestamp64Nano({period.since_ns})")
    if period.until_ns is not None:
        conditions.append(f"started_at < fromUnixTimestamp64Nano({period.until_ns})")
    return conditions


def _behind(position: Position) -> str:
    place = f"fromUnixTimestamp64Nano({position.started_at_ns}), {_quoted(position.writer)}, {position.sequence}"
    return f"(started_at, writer, sequence) > ({place})"


def _page(settings: Settings, condition: str) -> list[dict[str, Any]]:
    bodies = ", ".join(f"{side}_{name}" for side in ("request", "response") for name in _BODY)
    fields = ", ".join(f"mapKeys({side}_fields) AS {side}_names, mapValues({side}_fields) AS {side}_values" for side in ("request", "response"))
    query = (
        f"SELECT toString(writer) AS writer, sequence, toUnixTimestamp64Nano(started_at) AS started_at_ns, route, path, status, {bodies}, {fields} "  # noqa: S608
        f"FROM exchanges WHERE {condition} ORDER BY exchanges.started_at, exchanges.writer, exchanges.sequence LIMIT {_PAGE_EXCHANGES}"
    )
    table = pa.ipc.open_stream(b"".join(ask(settings, query, "ArrowStream"))).read_all()
    rows: list[dict[str, Any]] = table.cast(pa.schema([(column.name, _as_bytes(column.type)) for column in table.schema])).to_pylist()
    return rows


def _as_bytes(kind: Any) -> Any:
    """What the store calls a string may be any bytes: a body above all."""
    return pa.binary() if pa.types.is_string(kind) else kind


def _exchange(row: dict[str, Any]) -> Exchange:
    return Exchange(
        exchange_id=b"",
        request_id="",
        role=Role.SERVED,
        route=_text(row["route"]),
        arm="",
        started_at_ns=row["started_at_ns"],
        method="",
        path=_text(row["path"]),
        status=row["status"],
        request=_body(row, "request"),
        response=_body(row, "response"),
    )


def _body(row: dict[str, Any], side: str) -> Body:
    content, size_bytes, truncated, content_type, content_encoding = (row[f"{side}_{name}"] for name in _BODY)
    names, values = map(_text, row[f"{side}_names"]), map(_text, row[f"{side}_values"])
    return Body(content, size_bytes, bool(truncated), _text(content_type), _text(content_encoding), dict(zip(names, values, strict=True)))


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
