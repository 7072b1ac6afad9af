"""Changes of the schema, as statements for one server or for a cluster.

On a cluster a table lies in shards: each has a replicated `<table>_local`, and `<table>` is a Distributed one over all of them, so that whoever reads or
inserts says the same names everywhere. `ReplicatedMergeTree` without arguments takes its path and the replica's name from the server's macros and defaults.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from clickhouse_connect.driver.binding import format_str, quote_identifier


class Create(NamedTuple):
    """Make a table."""

    table: str
    shard_by: str
    """Rows of which this expression has the same value lie in the same shard. What may be written twice must: each shard merges for itself."""
    columns: str
    """In parentheses, with indexes."""
    engine: str
    """From MergeTree's family."""
    rest: str
    """PARTITION BY, ORDER BY, SETTINGS."""

    def statements(self, cluster: str) -> list[str]:
        """Return what to run, in order."""
        if not cluster:
            return [f"CREATE TABLE IF NOT EXISTS {self.table}{self.columns}ENGINE = {self.engine}{self.rest}"]
        local = stored_in(self.table, cluster)
        there = on_cluster(cluster)
        distributed = f"Distributed({format_str(cluster)}, currentDatabase(), {format_str(local)}, {self.shard_by})"
        return [
            f"CREATE TABLE IF NOT EXISTS {local}{there}{self.columns}ENGINE = Replicated{self.engine}{self.rest}",
            f"CREATE TABLE IF NOT EXISTS {self.table}{there} AS {local} ENGINE = {distributed}",
        ]


class AddColumns(NamedTuple):
    """Add columns to a table."""

    table: str
    columns: tuple[str, ...]

    def statements(self, cluster: str) -> list[str]:
        """Return what to run, in order."""
        tables = dict.fromkeys((stored_in(self.table, cluster), self.table))
        return [altered(table, cluster, [f"ADD COLUMN IF NOT EXISTS {column}" for column in self.columns]) for table in tables]


class ModifyColumn(NamedTuple):
    """Make a column of a table another one: what it has stays, what is new in it is 0 or empty."""

    table: str
    column: str

    def statements(self, cluster: str) -> list[str]:
        """Return what to run, in order."""
        tables = dict.fromkeys((stored_in(self.table, cluster), self.table))
        return [altered(table, cluster, [f"MODIFY COLUMN {self.column}"]) for table in tables]


class AlterStorage(NamedTuple):
    """Change how the rows of a table are kept: settings, indexes, what expires."""

    table: str
    changes: tuple[str, ...]

    def statements(self, cluster: str) -> list[str]:
        """Return what to run, in order."""
        return [altered(stored_in(self.table, cluster), cluster, self.changes)]


Change: TypeAlias = Create | AddColumns | ModifyColumn | AlterStorage


def stored_in(table: str, cluster: str) -> str:
    """Return the table that has the rows: a Distributed one cannot be changed, and nothing be deleted from it."""
    return f"{table}_local" if cluster else table


def altered(table: str, cluster: str, changes: Sequence[str]) -> str:
    """Return one statement that changes a table on every server."""
    return f"ALTER TABLE {table}{on_cluster(cluster)} {', '.join(changes)}"


def on_cluster(cluster: str) -> str:
    """Return the words that make a statement run on every server of a cluster, nothing where there is none."""
    return f" ON CLUSTER {quote_identifier(cluster)}" if cluster else ""
