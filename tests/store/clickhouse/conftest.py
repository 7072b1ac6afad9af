from __future__ import annotations

import pytest

from config.addresses import Endpoint
from store.clickhouse.client import EmbeddedStore, ServerStore
from tests.store.clickhouse.parts import Worker
from tests.store.clickhouse_server import ClickHouseServer


@pytest.fixture
def store(tmp_path):
    """The embedded store in a directory of its own; chDB has one path per process at a time, so whoever takes a client closes it."""
    store = EmbeddedStore(tmp_path / "data")
    yield store
    store.close()


@pytest.fixture
def client(store):
    client = store.client()
    yield client
    client.close()


@pytest.fixture
def worker(tmp_path):
    worker = Worker(tmp_path / "spool")
    yield worker
    worker.close()


@pytest.fixture
def server(tmp_path):
    server = ClickHouseServer(tmp_path / "server")
    yield server
    server.close()


@pytest.fixture
def server_store(server):
    return ServerStore(Endpoint.parse(server.url))
