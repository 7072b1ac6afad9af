"""How long rows are kept, as ClickHouse's TTL.

All rows of a day expire at once, at the end of the day, so that a partition of a day goes as whole files, and bodies leave it in one merge.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, Self

from clickhouse_connect.driver.binding import format_str
from clickhouse_connect.driver.client import Client

from config.settings import StoreSettings
from store.clickhouse.ddl import AlterStorage, stored_in

_RECORDS: Final = {
    "exchanges": "started_at",
    "outcomes": "stored_at",
    "features": "started_at",
    "labels": "received_at",
    "labelled": "started_at",
    "dead_letters": "set_aside_at",
}
_BODIES: Final = {"exchanges": ("request_body", "response_body"), "dead_letters": ("payload",)}
_RESULTS: Final = {"windows": "closed_at", "verdicts": "closed_at", "comparisons": "closed_at", "alerts": "started_at", "audit": "at"}
_SECONDS_PER_DAY: Final = 86_400


class Retention(NamedTuple):
    """Days after the one on which something happened."""

    records: int
    bodies: int
    results: int

    @classmethod
    def of(cls, settings: StoreSettings) -> Self:
        """Return what the settings say; a part of a day is a day."""
        records, bodies, results = (math.ceil(seconds / _SECONDS_PER_DAY) for seconds in (settings.keep, settings.keep_bodies, settings.keep_results))
        return cls(records, min(bodies, records), results)


def apply_retention(client: Client, retention: Retention, cluster: str = "") -> None:
    """Make the tables forget by this rule. Those that do so already, by their comment, are left alone."""
    rows: Sequence[Any] = client.query("SELECT name, comment FROM system.tables WHERE database = currentDatabase()").result_rows
    comments: dict[str, str] = dict(rows)
    for change, comment in _changes(retention):
        if comments[stored_in(change.table, cluster)] != comment:
            for statement in change.statements(cluster):
                client.command(statement)


def _changes(retention: Retention) -> Iterator[tuple[AlterStorage, str]]:
    """Yield what to change, and the comment that says that it was."""
    for table, moment in _RECORDS.items():
        bodies = _BODIES.get(table, ())
        comment = f"kept for {retention.records} days" + (f", {' and '.join(bodies)} for {retention.bodies} days" if bodies else "")
        forgetting = [f"MODIFY COLUMN {body} {_expiry(moment, retention.bodies)}" for body in bodies]
        yield _keeping(table, _expiry(moment, retention.records), forgetting, comment), comment
    for table, moment in _RESULTS.items():
        comment = f"kept for {retention.results} days"
        yield _keeping(table, _expiry(moment, retention.results), [], comment), comment


def _keeping(table: str, expiry: str, forgetting: list[str], comment: str) -> AlterStorage:
    return AlterStorage(table, (*forgetting, f"MODIFY COMMENT {format_str(comment)}", f"MODIFY {expiry}"))  # a TTL takes every comma behind it for its own


def _expiry(moment: str, days: int) -> str:
    return f"TTL toDate({moment}) + toIntervalDay({days + 1})"
