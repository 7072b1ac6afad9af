"""Brings a store forward to this version of the schema."""

from __future__ import annotations

from clickhouse_connect.driver.client import Client

from store.clickhouse.schema import MIGRATIONS, SCHEMA_VERSION


class NewerStoreError(Exception):
    """The store was written by a newer Driftline than this one."""


def migrate(client: Client, cluster: str = "") -> None:
    """Make the changes that the client's database lacks, on all servers of `cluster` where one is named. Raises `NewerStoreError` where it has more."""
    for statement in SCHEMA_VERSION.statements(cluster):
        client.command(statement)
    found, newest = int(str(client.command("SELECT max(version) FROM schema_version"))), len(MIGRATIONS)
    if found > newest:
        raise NewerStoreError(f"The store has version {found} of the schema and this Driftline knows up to {newest}: use the newer Driftline that wrote it.")
    for version, changes in enumerate(MIGRATIONS[found:], start=found + 1):
        for change in changes:
            for statement in change.statements(cluster):
                client.command(statement)
        client.insert("schema_version", [[version]], column_names=["version"])
