"""The tables of a cluster: replicated in each shard, distributed over all. Here one shard. The embedded engine has a Keeper in memory, by
which replicated tables are made; to take rows a replica needs a server's port, which it does not have."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import clickhouse_connect
import pytest

from store.clickhouse.client import EmbeddedStore
from store.clickhouse.ddl import AddColumns, AlterStorage, Create
from store.clickhouse.retention import Retention
from store.clickhouse.schema import MIGRATIONS, SCHEMA_VERSION, TABLES
from tests.store.clickhouse.mortal import Killed, Mortal
from tests.store.clickhouse.parts import make_loader, positions

ROOT = Path(__file__).parents[3]
CONFIGURATION = """
<clickhouse>
    <tcp_port>9000</tcp_port>
    <remote_servers><main><shard><replica><host>127.0.0.1</host><port>9000</port></replica></shard></main></remote_servers>
</clickhouse>
"""
CHANGES = [SCHEMA_VERSION, *(change for changes in MIGRATIONS for change in changes)]


class ClusterStore(EmbeddedStore):
    """An engine that is the only server of the cluster `main`; without Keeper, tables are not replicated and no statement goes by it."""

    def __init__(self, directory):
        super().__init__(directory, Retention(records=10_000, bodies=2, results=400))
        self._cluster = "main"
        (directory / "cluster.xml").write_text(CONFIGURATION)
        self._address = f"{self._path}?config-file={directory}/cluster.xml"

    def _connect(self):
        client = clickhouse_connect.get_client(interface="chdb", path=self._address)
        client.command = partial(self._run, client.command)
        return client

    @staticmethod
    def _run(run, statement, *arguments):
        return run(statement.replace(" ON CLUSTER `main`", "").replace("ENGINE = Replicated", "ENGINE = "), *arguments)


@pytest.fixture
def store(tmp_path):
    store = ClusterStore(tmp_path / "data")
    yield store
    store.close()


def test_a_table_of_a_cluster_is_replicated_in_shards_and_asked_as_one():
    change = Create("t", "cityHash64(x)", "\n(\n    x UInt8\n)\n", "ReplacingMergeTree", "\nORDER BY x\n")
    local, distributed = change.statements("main")
    assert local == "CREATE TABLE IF NOT EXISTS t_local ON CLUSTER `main`\n(\n    x UInt8\n)\nENGINE = ReplicatedReplacingMergeTree\nORDER BY x\n"
    assert distributed == (
        "CREATE TABLE IF NOT EXISTS t ON CLUSTER `main` AS t_local ENGINE = Distributed('main', currentDatabase(), 't_local', cityHash64(x))"
    )


def test_columns_are_added_to_both_and_storage_is_changed_where_it_is():
    assert AddColumns("t", ("a String", "b UInt8")).statements("main") == [
        "ALTER TABLE t_local ON CLUSTER `main` ADD COLUMN IF NOT EXISTS a String, ADD COLUMN IF NOT EXISTS b UInt8",
        "ALTER TABLE t ON CLUSTER `main` ADD COLUMN IF NOT EXISTS a String, ADD COLUMN IF NOT EXISTS b UInt8",
    ]
    assert AlterStorage("t", ("REMOVE TTL",)).statements("main") == ["ALTER TABLE t_local ON CLUSTER `main` REMOVE TTL"]
    assert AlterStorage("t", ("REMOVE TTL",)).statements("") == ["ALTER TABLE t REMOVE TTL"]


@pytest.mark.parametrize("cluster", ["", "main", "it's `one`"])
def test_the_engine_can_read_every_statement(cluster, tmp_path):
    plain = EmbeddedStore(tmp_path)
    client = plain.client()
    for statement in (statement for change in CHANGES for statement in change.statements(cluster)):
        tree = client.query(f"EXPLAIN AST {statement}").result_rows
        assert tree[0][0].startswith(("CreateQuery", "AlterQuery"))
    plain.close()


def test_a_store_on_a_cluster_takes_every_exchange_once_though_its_loader_dies_anywhere(tmp_path, store, worker):
    worker.fill(20)
    worker.amend(3)
    mortal = Mortal()
    for point in range(1, 100):
        loader = mortal.loader(tmp_path, store, point, rows=8)
        try:
            if loader.drain(1.0, clock=lambda: 0.0, wait=lambda _: None):
                break
        except Killed:
            continue
        finally:
            loader.close()
    client = store.client()
    assert (positions(client), positions(client, "exchanges_local"), positions(client, "outcomes_local")) == ([*range(1, 21)], [*range(1, 21)], [3])
    loader = make_loader(tmp_path, store)
    assert loader.state.stored == {"w1": 20}
    loader.close()
    client.close()


def test_a_store_on_a_cluster_forgets_and_has_every_table_twice(store):
    client = store.client()
    engines = dict(client.query("SELECT name, engine_full FROM system.tables WHERE database = currentDatabase()").result_rows)
    assert engines.keys() == TABLES | {f"{table}_local" for table in TABLES}
    assert "TTL toDate(started_at) + toIntervalDay(10001)" in engines["exchanges_local"]
    assert engines["exchanges"].startswith("Distributed('main'")
    client.close()


def test_inserts_into_a_cluster_are_acknowledged_when_the_shards_have_them(store):
    client = store.client()
    asked = ("distributed_foreground_insert", "insert_quorum", "insert_quorum_parallel", "select_sequential_consistency")
    assert [client.get_client_setting(name) for name in asked] == ["1", "auto", "0", "1"]
    client.close()


KEEPER = """
<clickhouse>
    <zookeeper><implementation>testkeeper</implementation></zookeeper>
    <macros><shard>1</shard><replica>first</replica></macros>
    <default_replica_path>/clickhouse/tables/{database}/{table}/{shard}</default_replica_path>
    <default_replica_name>{replica}</default_replica_name>
</clickhouse>
"""
MAKE_REPLICATED = """
import os, sys
import clickhouse_connect
from store.clickhouse.ddl import Create
from store.clickhouse.schema import MIGRATIONS, SCHEMA_VERSION

client = clickhouse_connect.get_client(interface="chdb", path=sys.argv[1])
for change in (SCHEMA_VERSION, *(change for changes in MIGRATIONS for change in changes)):
    if isinstance(change, Create):
        client.command(change.statements("main")[0].replace(" ON CLUSTER `main`", ""))
for row in client.query("SELECT table, zookeeper_path, replica_name FROM system.replicas").result_rows:
    print(*row)
sys.stdout.flush()
os._exit(0)  # replicas that cannot start keep the engine from ending
"""


def test_replicated_tables_are_made_with_a_place_in_keeper_of_their_own(tmp_path):
    (tmp_path / "keeper.xml").write_text(KEEPER)
    address = f"{tmp_path}/store?config-file={tmp_path}/keeper.xml"
    made = subprocess.run([sys.executable, "-c", MAKE_REPLICATED, address], check=False, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert made.returncode == 0, made.stderr
    expected = {f"{table}_local /clickhouse/tables/default/{table}_local/1 first" for table in TABLES}
    assert set(made.stdout.splitlines()) == expected
