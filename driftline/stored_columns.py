"""A model's stored traffic as columns, for `driftline baseline --from-store`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from config.settings import Settings
from detectors.arrays import Columns, joined
from detectors.baseline import BaselineError
from detectors.columns import ColumnBuffer
from driftline.store_access import ask
from payloads.decoding import decode
from records.exchange import Body, Exchange, Role
from records.ports import QueryFailedError, QueryRefusedError, StoreUnavailableError

EXCHANGES_AT_MOST: Final = 1_000_000
_PAGE_EXCHANGES: Final = 10_000
_BODY: Final = ("body", "size_bytes", "truncated", "content_type", "content_encoding")


def columns_from_store(*, data_dir: Path, model: str, version: str, since_ns: int | None, until_ns: int | None) -> Columns:
    """Return what was served by the model in [since, until), a row per prediction, in the order of the traffic.

    Raises `BaselineError` where the store cannot be asked, or holds nothing that can be decoded.
    """
    settings = Settings(data_dir=str(data_dir))
    buffer = ColumnBuffer(max_features=settings.drift.max_features)
    batches: list[Columns] = []
    for count, exchange in enumerate(_exchanges(settings, model, version, since_ns, until_ns), start=1):
        buffer.add(*decode(exchange), exchange.started_at_ns)
        if buffer.is_full:
            batches.append(buffer.take()[0])
        if count > EXCHANGES_AT_MOST:
            raise BaselineError(f"the period holds more than {EXCHANGES_AT_MOST:,} exchanges: choose a shorter one with --since and --until")
    if len(buffer):
        batches.append(buffer.take()[0])
    if not batches:
        raise BaselineError(f"the store in {data_dir} has no traffic of the model {model!r} that can be decoded, in this period")
    return joined(batches)


def _exchanges(settings: Settings, model: str, version: str, since_ns: int | None, until_ns: int | None) -> Iterator[Exchange]:
    """Yield the exchanges page by page, each beginning behind the last one's position."""
    conditions = ["role = 'served'", "status < 400", f"model = {_quoted(model)}"]
    if version:
        conditions.append(f"version = {_quoted(version)}")
    if since_ns is not None:
        conditions.append(f"started_at >= fromUnixTimestamp64Nano({since_ns})")
    if until_ns is not None:
        conditions.append(f"started_at < fromUnixTimestamp64Nano({until_ns})")
    behind = ""
    while True:
        page = _page(settings, " AND ".join([*conditions, *([behind] if behind else [])]))
        for row in page:
            yield _exchange(row)
        if len(page) < _PAGE_EXCHANGES:
            return
        last = page[-1]
        position = f"fromUnixTimestamp64Nano({last['started_at_ns']}), {_quoted(last['writer'])}, {last['sequence']}"
        behind = f"(started_at, writer, sequence) > ({position})"


def _page(settings: Settings, condition: str) -> list[dict[str, Any]]:
    bodies = ", ".join(f"{side}_{name}" for side in ("request", "response") for name in _BODY)
    fields = ", ".join(f"mapKeys({side}_fields) AS {side}_names, mapValues({side}_fields) AS {side}_values" for side in ("request", "response"))
    query = (
        f"SELECT toString(writer) AS writer, sequence, toUnixTimestamp64Nano(started_at) AS started_at_ns, path, status, {bodies}, {fields} "  # noqa: S608
        f"FROM exchanges WHERE {condition} ORDER BY exchanges.started_at, exchanges.writer, exchanges.sequence LIMIT {_PAGE_EXCHANGES}"
    )
    try:
        answer = b"".join(ask(settings, query, "ArrowStream"))
    except (QueryFailedError, QueryRefusedError, StoreUnavailableError, OSError) as error:
        raise BaselineError(str(error)) from error
    rows: list[dict[str, Any]] = pa.ipc.open_stream(answer).read_all().to_pylist()
    return rows


def _exchange(row: dict[str, Any]) -> Exchange:
    return Exchange(
        exchange_id=b"",
        request_id="",
        role=Role.SERVED,
        route="",
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
    kept = content if isinstance(content, bytes) else content.encode()
    return Body(kept, size_bytes, bool(truncated), _text(content_type), _text(content_encoding), dict(zip(names, values, strict=True)))


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
