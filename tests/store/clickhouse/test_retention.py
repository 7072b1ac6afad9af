"""What is older than the settings say leaves the store, and not before."""

from __future__ import annotations

import pytest

from config.settings import StoreSettings
from config.units import Seconds
from store.clickhouse.client import EmbeddedStore
from store.clickhouse.retention import Retention, apply_retention
from store.clickhouse.schema import TABLES

DAY = 86_400


@pytest.fixture
def days_old(client):
    """A store with an exchange of each age, in days."""
    client.command("SYSTEM STOP MERGES")
    client.command(
        "INSERT INTO exchanges (writer, sequence, started_at, request_body, response_body) "
        "SELECT 'w1', days, toStartOfDay(now()) - toIntervalDay(days), 'asked', 'said' FROM (SELECT arrayJoin([0, 1, 2, 3, 9, 10, 11, 12, 500]) AS days)"
    )
    client.command("SYSTEM START MERGES")
    return client


def kept(client):
    """Return the ages of the exchanges that are there, and of those that have bodies."""
    client.command("OPTIMIZE TABLE exchanges FINAL SETTINGS mutations_sync = 2")
    rows = client.query("SELECT sequence, request_body || response_body FROM exchanges ORDER BY sequence").result_rows
    return [age for age, _ in rows], [age for age, bodies in rows if bodies == "askedsaid"]


def test_days_are_whole_and_bodies_never_outlive_their_exchange():
    settings = StoreSettings(keep=Seconds(1.5 * DAY), keep_bodies=Seconds(5 * DAY), keep_results=Seconds(DAY))
    assert Retention.of(settings) == Retention(records=2, bodies=2, results=1)


def test_exchanges_leave_after_their_days_and_their_bodies_before(days_old):
    apply_retention(days_old, Retention(records=10, bodies=2, results=400))
    assert kept(days_old) == ([0, 1, 2, 3, 9, 10], [0, 1, 2])


def test_other_settings_hold_from_the_next_start_on(days_old):
    apply_retention(days_old, Retention(records=11, bodies=11, results=400))
    assert kept(days_old) == ([0, 1, 2, 3, 9, 10, 11], [0, 1, 2, 3, 9, 10, 11])
    apply_retention(days_old, Retention(records=3, bodies=1, results=400))
    assert kept(days_old) == ([0, 1, 2, 3], [0, 1])


def test_a_store_that_knows_the_rule_is_left_alone(client):
    retention = Retention(records=10, bodies=2, results=400)
    apply_retention(client, retention)
    before = client.query("SELECT name, metadata_version, create_table_query FROM system.tables WHERE database = currentDatabase() ORDER BY name").result_rows
    changes = []
    change, client.command = client.command, lambda statement: changes.append(statement) or change(statement)
    apply_retention(client, retention)
    assert changes == []
    after = client.query("SELECT name, metadata_version, create_table_query FROM system.tables WHERE database = currentDatabase() ORDER BY name").result_rows
    assert after == before


def test_every_table_but_baselines_forgets(client):
    apply_retention(client, Retention(records=10, bodies=2, results=400))
    forgetful = {
        name for (name,) in client.query("SELECT name FROM system.tables WHERE database = currentDatabase() AND engine_full LIKE '% TTL %'").result_rows
    }
    assert forgetful == TABLES - {"baselines", "schema_version"}


def test_only_whoever_owns_the_store_says_how_long(tmp_path):
    owner = EmbeddedStore(tmp_path, Retention(records=10, bodies=2, results=400))
    owner.client().close()
    owner.close()
    reader = EmbeddedStore(tmp_path)
    assert "INTERVAL" not in (said := str(reader.client().command("SELECT comment FROM system.tables WHERE name = 'exchanges'")))
    assert said == "kept for 10 days, request_body and response_body for 2 days"
    reader.close()
