"""An older store is brought forward, with what it holds."""

from __future__ import annotations

import pytest

from store.clickhouse import migrate as module
from store.clickhouse.ddl import AddColumns
from store.clickhouse.migrate import NewerStoreError, migrate
from store.clickhouse.schema import MIGRATIONS, TABLES
from tests.store.clickhouse.parts import positions

NEWEST = len(MIGRATIONS)


def known_up_to(monkeypatch, version):
    """Let `migrate` be that of the release that knew this version."""
    monkeypatch.setattr(module, "MIGRATIONS", MIGRATIONS[:version])


def versions(client):
    return [version for (version,) in client.query("SELECT version FROM schema_version ORDER BY version").result_rows]


def test_the_schema_is_made_once_and_its_versions_are_written(client):
    migrate(client)
    assert versions(client) == [*range(1, NEWEST + 1)]
    assert {name for (name,) in client.query("SHOW TABLES").result_rows} == TABLES


@pytest.mark.parametrize("version", range(1, NEWEST))
def test_a_store_of_every_former_version_is_brought_forward_with_its_rows(version, tmp_path, store, monkeypatch):
    known_up_to(monkeypatch, version)
    client = store.client()
    client.command("INSERT INTO exchanges (writer, sequence, started_at, request_body) SELECT 'w1', number + 1, now64(9), 'body' FROM numbers(3)")
    client.command("INSERT INTO outcomes (writer, sequence) VALUES ('w1', 2)")
    client.command("INSERT INTO alerts (name) VALUES ('x')")
    assert versions(client) == [*range(1, version + 1)]
    known_up_to(monkeypatch, NEWEST)
    migrate(client)
    assert versions(client) == [*range(1, NEWEST + 1)]
    assert (positions(client), positions(client, "outcomes")) == ([1, 2, 3], [2])
    assert client.query("SELECT DISTINCT request_body, response_chunk_ns FROM exchanges").result_rows == [("body", [])]
    assert client.command("SELECT count() FROM outcomes WHERE abs(stored_at - now()) < 600") == 1
    assert {name for (name,) in client.query("SHOW TABLES").result_rows} == TABLES
    client.close()


def test_a_migration_that_a_crash_cut_short_is_made_again(client, monkeypatch):
    client.command("INSERT INTO alerts (name) VALUES ('x')")
    monkeypatch.setattr(module, "MIGRATIONS", (*MIGRATIONS, (AddColumns("alerts", ("colour String DEFAULT 'red'",)),)))
    for statement in AddColumns("alerts", ("colour String DEFAULT 'red'",)).statements(""):
        client.command(statement)
    client.command("DROP TABLE windows")
    client.command("TRUNCATE TABLE schema_version")
    migrate(client)
    assert client.query("SELECT name, colour FROM alerts").result_rows == [("x", "red")]
    assert {name for (name,) in client.query("SHOW TABLES").result_rows} == TABLES


def test_a_store_from_a_newer_driftline_is_left_alone(client):
    client.command(f"INSERT INTO schema_version (version) VALUES ({NEWEST + 1})")
    with pytest.raises(NewerStoreError, match=f"version {NEWEST + 1}"):
        migrate(client)
