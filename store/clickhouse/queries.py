"""What the console asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec

from records.exchange import Body, ErrorKind, Exchange, Redaction, Role
from records.verdict import Verdict, VerdictKind
from records.window import WindowSummary
from store.clickhouse.client import Connection, Store
from store.clickhouse.rows import results, selected

_ResultT = TypeVar("_ResultT", bound=msgspec.Struct)

_MOST_BY_ID: Final = 100
"""Exchanges shown for one id: its arms, and those of callers who use a request id more than once."""

_BODY_COLUMNS: Final = ("body", "size_bytes", "truncated", "content_type", "content_encoding", "fields")
EXCHANGE_COLUMNS: Final = ", ".join(
    (
        "exchange_id, request_id, role, route, arm, model, version, toUnixTimestamp64Nano(started_at)",
        *(f"ifNull({duration}, -1)" for duration in ("queue_ns", "connect_ns", "first_byte_ns", "total_ns")),
        "method, path, status, error, client, principal, trace_id, span_id, sampling_rate",
        *(f"{prefix}_{column}" for prefix in ("request", "response") for column in _BODY_COLUMNS),
        "response_chunk_ends, response_chunk_ns",
        "request_redaction, response_redaction, subjects",
    )
)
"""What to select so that `exchange_of` can read it."""
BODIES_AS_BYTES: Final[dict[str, str | dict[str, str]]] = {"request_body": "bytes", "response_body": "bytes"}


class StoreQueries:
    """Every method raises `StoreUnavailableError` where the store cannot be asked now."""

    def __init__(self, store: Store) -> None:
        self._connection = Connection(store)

    def exchanges_by_id(self, identifier: str) -> list[Exchange]:
        """Return the exchanges, of all arms, with this exchange id (canonical UUID), else with this request id; the served one first."""
        found = self._exchanges_where("exchange_id = {identifier:UUID}", identifier) if _is_uuid(identifier) else []
        return found or self._exchanges_where("request_id = {identifier:String}", identifier)

    def verdicts(self, model: str, kind: VerdictKind, limit: int) -> list[Verdict]:
        """Return the verdicts of this kind on a model's latest windows, newest first."""
        return self._latest("verdicts", Verdict, model, limit, f"kind = '{kind}'")

    def windows(self, model: str, limit: int) -> list[WindowSummary]:
        """Return the summaries of a model's latest windows, newest first."""
        return self._latest("windows", WindowSummary, model, limit)

    def windows_between(self, model: str, baseline_id: str, since_ns: int, until_ns: int, limit: int) -> list[WindowSummary]:
        """Return the latest windows of a model against a baseline that closed in [since, until), newest first."""
        closed = f"closed_at >= fromUnixTimestamp64Nano({since_ns:d}) AND closed_at < fromUnixTimestamp64Nano({until_ns:d})"
        return self._latest("windows", WindowSummary, model, limit, f"baseline_id = {{baseline_id:String}} AND {closed}", baseline_id=baseline_id)

    def _exchanges_where(self, condition: str, identifier: str) -> list[Exchange]:
        statement = f"SELECT {EXCHANGE_COLUMNS} FROM exchanges WHERE {condition} ORDER BY role, started_at, arm LIMIT {_MOST_BY_ID}"  # noqa: S608 - conditions are ours
        with self._connection() as client:
            rows = client.query(statement, {"identifier": identifier}, column_formats=BODIES_AS_BYTES).result_rows
        return [exchange_of(row) for row in rows]

    def _latest(self, table: str, kind: type[_ResultT], model: str, limit: int, condition: str = "1", **named: str) -> list[_ResultT]:
        statement = f"SELECT {selected(kind)} FROM {table} FINAL WHERE model = {{model:String}} AND {condition} ORDER BY closed_at DESC, window_index DESC LIMIT {limit:d}"  # noqa: S608
        with self._connection() as client:
            lines = client.raw_query(statement, {"model": model, **named}, {"output_format_json_quote_denormals": 1}, "JSONEachRow")
        return results(lines, kind)


def exchange_of(row: Sequence[Any]) -> Exchange:
    """Return the exchange in a row of `EXCHANGE_COLUMNS`."""
    exchange_id, request_id, role, route, arm, model, version, started_at_ns, queue_ns, connect_ns, first_byte_ns, total_ns, *rest = row
    method, path, status, error, client, principal, trace_id, span_id, sampling_rate, *bodies, ends, chunk_ns, of_request, of_response, subjects = rest
    return Exchange(
        exchange_id=exchange_id.bytes,
        request_id=request_id,
        role=Role(role),
        route=route,
        arm=arm,
        model=model,
        version=version,
        started_at_ns=started_at_ns,
        queue_ns=queue_ns,
        connect_ns=connect_ns,
        first_byte_ns=first_byte_ns,
        total_ns=total_ns,
        method=method,
        path=path,
        status=status,
        error=ErrorKind(error),
        client=client,
        principal=principal,
        trace_id=trace_id,
        span_id=span_id,
        sampling_rate=sampling_rate,
        request=Body(*[*bodies[: len(_BODY_COLUMNS)], (), (), Redaction(of_request)]),
        response=Body(*[*bodies[len(_BODY_COLUMNS) :], tuple(ends), tuple(chunk_ns), Redaction(of_response)]),
        subjects=tuple(subjects),
    )


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
