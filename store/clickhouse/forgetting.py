"""Deletes everything about an exchange, a request or a subject from the store.

What hangs on an exchange goes first and the exchange last: so a deletion that broke off in the middle finds the rest again. Rows are gone for every
query at once (lightweight deletes); `purge` has the engine write the parts anew that still hold them on the disk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias
from uuid import UUID

import msgspec
from clickhouse_connect.driver.client import Client

from records.exchange import Exchange
from records.forgetting import Forgettable
from store.clickhouse.client import Connection, Store
from store.clickhouse.ddl import altered, on_cluster, stored_in

Names: TypeAlias = Mapping[str, Sequence[str]]
"""Of exchanges: by `exchange_id`, `request_id` and `key`, their caller's own."""

ON_THEIR_WAY: Final = "labels on their way"
"""Stands among the tables of what was deleted."""

_EXCHANGES_AT_ONCE: Final = 10_000
_HANGING_ON: Final = {
    "outcomes": ("exchange_id",),
    "features": ("exchange_id",),
    "labelled": ("exchange_id", "request_id"),
    "labels": ("exchange_id", "request_id", "key"),
}
"""Tables by the columns that name an exchange in them: by its exchange id, its request id, or its caller's own key."""
_SHOWING: Final = "comparisons"
"""Shows some exchanges of a window. A row that shows one that is to be forgotten goes whole: its evidence is in the verdict."""

_SETTINGS: Final = {"max_query_size": 16 * 1024 * 1024}

_decode_exchange = msgspec.msgpack.Decoder(Exchange).decode


class Forgetter:
    """Every method raises `StoreUnavailableError` where the store cannot delete now; doing it again is the same as doing it once."""

    def __init__(self, store: Store, elsewhere: Callable[[Names], int] = lambda _: 0) -> None:
        """`elsewhere` deletes labels that are not in the store yet, by the names of their exchanges; return how many. It may raise OSError."""
        self._connection = Connection(store)
        self._elsewhere = elsewhere
        self._cluster = store.cluster

    def forget(self, what: Forgettable) -> dict[str, int]:
        """Delete; return how many rows, by table."""
        with self._connection() as client:
            deletion = _Deletion(client, self._cluster, self._elsewhere)
            deletion.named(_names(what))
            while found := deletion.exchanges(what):
                deletion.named(found)
                deletion.delete("exchanges", {"exchange_id": found["exchange_id"]})
            deletion.dead_letters(what)
            return dict(deletion.deleted)

    def purge(self) -> None:
        """Have deleted rows removed from the disk: begun here, done by the engine. The files that had them go some minutes later (`old_parts_lifetime`)."""
        with self._connection() as client:
            for table in ("exchanges", "dead_letters", _SHOWING, *_HANGING_ON):
                client.command(altered(stored_in(table, self._cluster), self._cluster, ["APPLY DELETED MASK"]), settings={"mutations_sync": 0})


class _Deletion:
    def __init__(self, client: Client, cluster: str, elsewhere: Callable[[Names], int]) -> None:
        self.deleted: Counter[str] = Counter()
        self._elsewhere = elsewhere
        self._client = client
        self._cluster = cluster

    def exchanges(self, what: Forgettable) -> dict[str, list[str]]:
        """Return the names of some exchanges that are still there; nothing where there are none."""
        columns = "toString(exchange_id), any(request_id), any(label_key)"
        statement = f"SELECT {columns} FROM exchanges WHERE {_condition(what)} GROUP BY exchange_id LIMIT {_EXCHANGES_AT_ONCE}"  # noqa: S608 - conditions are ours
        rows = self._client.query(statement, msgspec.structs.asdict(what) | {"subjects": list(what.subjects)}).result_rows
        ids, requests, keys = ([str(row[column]) for row in rows] for column in range(3))
        return {"exchange_id": ids, "request_id": [*filter(None, requests)], "key": [*filter(None, keys)]} if rows else {}

    def named(self, names: Names) -> None:
        """Delete what hangs on exchanges with these names."""
        if on_their_way := self._elsewhere(names):
            self.deleted[ON_THEIR_WAY] += on_their_way
        for table, columns in _HANGING_ON.items():
            self.delete(table, {column: names[column] for column in columns if names.get(column)})
        if names.get("exchange_id"):
            self._delete_where(_SHOWING, "hasAny(disagreements.exchange_id, %(shown)s)", {"shown": list(names["exchange_id"])})

    def delete(self, table: str, names: Names) -> None:
        """Delete the rows in which one of the columns has one of its names."""
        if names:
            condition = " OR ".join(f"{column} IN %({column})s" for column in names)
            self._delete_where(table, condition, {column: list(values) for column, values in names.items()})

    def dead_letters(self, what: Forgettable) -> None:
        """Delete what was set aside: looked for by its bytes, and then by what it says."""
        needles = [UUID(what.exchange_id).bytes] if what.exchange_id else [text.encode() for text in (what.request_id, *what.subjects) if text]
        condition = " OR ".join(f"position(payload, unhex('{needle.hex()}')) > 0" for needle in needles)
        rows = self._client.query(
            f"SELECT writer, sequence, kind, payload FROM dead_letters WHERE {condition}",  # noqa: S608 - hexadecimal digits
            column_formats={"payload": "bytes"},
        ).result_rows
        positions = [(writer, sequence) for writer, sequence, kind, payload in rows if _is_about(what, kind, payload)]
        if positions:
            self._delete_where("dead_letters", "(writer, sequence) IN %(positions)s", {"positions": positions})

    def _delete_where(self, table: str, condition: str, parameters: dict[str, Any]) -> None:
        count = f"SELECT count() FROM {table} WHERE {condition}"  # noqa: S608 - likewise
        rows = int(self._client.query(count, parameters, _SETTINGS).result_rows[0][0])
        if rows:
            statement = f"DELETE FROM {stored_in(table, self._cluster)}{on_cluster(self._cluster)} WHERE {condition}"  # noqa: S608
            self._client.command(statement, parameters, settings=_SETTINGS)
            self.deleted[table] += rows


def _names(what: Forgettable) -> dict[str, list[str]]:
    names = {"exchange_id": [what.exchange_id], "request_id": [what.request_id]}
    return {column: values for column, values in names.items() if values[0]}


def _condition(what: Forgettable) -> str:
    if what.exchange_id:
        return "exchange_id = {exchange_id:UUID}"
    return "request_id = {request_id:String}" if what.request_id else "hasAny(subjects, {subjects:Array(String)})"


def _is_about(what: Forgettable, kind: str, payload: bytes) -> bool:
    """Whether a dead letter is. One that says nothing is, as its bytes say so."""
    if kind != "record":
        return True
    try:
        exchange = _decode_exchange(payload)
    except msgspec.DecodeError:
        return True
    if what.exchange_id:
        return exchange.exchange_id == UUID(what.exchange_id).bytes
    return exchange.request_id == what.request_id if what.request_id else not set(what.subjects).isdisjoint(exchange.subjects)
