"""The store fails in every way that it can, seen through clickhouse-connect's real HTTP client: each record is there once in the end."""

from __future__ import annotations

import pytest

from config.addresses import Endpoint
from store.clickhouse.client import ServerStore
from store.clickhouse.loader import LAST_RETRY_SECONDS
from tests.store.clickhouse.parts import make_loader, positions
from tests.store.clickhouse_server import ClickHouseServer, Fault


@pytest.fixture
def store(server_store):
    return server_store


@pytest.fixture
def loader(tmp_path, store):
    loader = make_loader(tmp_path, store)
    yield loader
    loader.close()


def step_until_stored(loader, count, writer="w1"):
    """Step through the loader's waits without waiting; return how many attempts it took."""
    now, attempts = 0.0, 0
    while loader.state.stored.get(writer, 0) < count:
        attempts += 1
        assert attempts < 50
        now += loader.step(now) + 1e-6
    return attempts


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault not in {Fault.HANG, Fault.STORE_THEN_HANG, Fault.SLOW, Fault.FORGET}])
def test_a_failed_insert_is_tried_again_and_stores_every_record_once(fault, loader, server, client, worker):
    worker.fill(20)
    worker.amend(3)
    server.faults.extend([fault] * 3)
    step_until_stored(loader, 20)
    assert positions(client) == [*range(1, 21)]
    assert positions(client, "outcomes") == [3]
    assert loader.state.intent == {}
    assert loader.failures > 0


@pytest.mark.parametrize("failure", [Fault.ERROR, Fault.RESET])  # after a reset, clickhouse-connect sends what it can by itself again
def test_an_acknowledgement_in_vain_is_noticed_after_a_failure(failure, loader, server, client, worker):
    worker.fill(20)
    server.faults.extend([failure, Fault.FORGET])
    step_until_stored(loader, 20)
    assert positions(client) == [*range(1, 21)]
    tokens = [insert["insert_deduplication_token"] for insert in server.inserts]
    assert tokens[0] == tokens[1] != tokens[2]


@pytest.mark.parametrize(
    ("code", "trouble"),
    [
        (243, "Cannot reserve space. (NOT_ENOUGH_SPACE)"),
        (241, "Memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)"),
        (252, "Too many parts. Merges are processing significantly slower than inserts. (TOO_MANY_PARTS)"),
        (242, "Table is in readonly mode. (TABLE_IS_READ_ONLY)"),
        (285, "Number of alive replicas is less than requested quorum. (TOO_FEW_LIVE_REPLICAS)"),
        (516, "Authentication failed. (AUTHENTICATION_FAILED)"),
    ],
)
def test_a_server_in_trouble_is_waited_for_and_its_rows_are_not_called_poison(code, trouble, loader, server, client, worker):
    worker.fill(20)
    server.trouble = code, trouble
    server.faults.extend([Fault.ERROR] * 2)
    assert step_until_stored(loader, 20) == 3
    assert positions(client) == [*range(1, 21)]
    assert loader.state.dropped == {"w1": {}}


def test_a_slow_server_is_no_failure(loader, server, client, worker):
    worker.fill(20)
    server.faults.append(Fault.SLOW)
    step_until_stored(loader, 20)
    assert positions(client) == [*range(1, 21)]
    assert loader.failures == 0


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.STORE_THEN_HANG])
def test_a_server_that_hangs_is_given_up_and_asked_again(fault, loader, server, client, worker, monkeypatch):
    monkeypatch.setattr("store.clickhouse.client.REPLY_TIMEOUT_SECONDS", 1)
    worker.fill(20)
    server.faults.append(fault)
    step_until_stored(loader, 20)
    assert positions(client) == [*range(1, 21)]


def test_the_settings_of_an_insert_are_never_left_to_the_server(loader, server, worker):
    worker.fill(1)
    loader.step(0.0)
    (insert,) = server.inserts
    assert insert["async_insert"] == "0"
    assert insert["insert_deduplicate"] == "1"
    assert insert["deduplicate_insert"] == "enable"
    assert insert["deduplicate_blocks_in_dependent_materialized_views"] == "1"
    assert insert["database"] == "driftline"


def test_a_setting_that_the_server_does_not_know_is_not_sent(tmp_path, server, worker):
    class OlderServer(ServerStore):
        def _connect(self):
            client = super()._connect()
            del client.server_settings["deduplicate_insert"]
            return client

    loader = make_loader(tmp_path, OlderServer(Endpoint.parse(server.url)))
    worker.fill(1)
    loader.step(0.0)
    (insert,) = server.inserts
    assert "deduplicate_insert" not in insert
    assert insert["async_insert"] == "0"
    loader.close()


def test_what_happens_to_the_store_is_told(loader, server, worker):
    worker.fill(1)
    assert loader.status.up
    server.faults.extend([Fault.ERROR, Fault.ERROR])
    wait = loader.step(0.0)
    down = loader.status
    assert (down.kind, down.up) == ("server", False)
    assert "Cannot reserve space" in down.error
    loader.step(wait)
    assert loader.status.changed_at_ns == down.changed_at_ns
    assert loader.failures == 2
    step_until_stored(loader, 1)
    assert loader.status.up
    assert loader.status.error == ""


def test_while_the_store_is_down_one_batch_is_held_and_the_rest_stays_in_the_spool(tmp_path, store, server, client, worker):
    loader = make_loader(tmp_path, store, rows=5)
    worker.fill(50)
    server.faults.extend([Fault.UNAVAILABLE] * 6)
    for now in range(0, 600, 100):
        loader.step(float(now))
    assert sum(loader.lag().values()) == 45
    now = 1000.0
    while loader.state.stored.get("w1", 0) < 50:
        now += loader.step(now)
    assert positions(client) == [*range(1, 51)]
    loader.close()


def test_a_server_that_is_not_there_yet_is_waited_for(tmp_path, worker):
    server = ClickHouseServer(tmp_path / "later")
    url = server.url
    server.close()
    loader = make_loader(tmp_path, ServerStore(Endpoint.parse(url)))
    worker.fill(3)
    assert loader.step(0.0) > 0
    assert not loader.status.up
    loader.close()


def test_a_server_that_is_back_after_an_hour_gets_what_it_missed(tmp_path, worker):
    server = ClickHouseServer(tmp_path / "server")
    loader = make_loader(tmp_path, ServerStore(Endpoint.parse(server.url)), rows=10)
    worker.fill(15)
    step_until_stored(loader, 15)
    server.close()
    now, waits = 0.0, []
    while now < 3600:
        worker.append()
        waits.append(loader.step(now))
        now += waits[-1]
    assert max(waits) <= LAST_RETRY_SECONDS
    assert 120 < loader.failures < 300
    assert sum(loader.lag().values()) >= worker.sequence - 15 - 10  # one batch is held, the rest is in the spool
    server = ClickHouseServer(tmp_path / "server", server.port)
    while loader.state.stored["w1"] < worker.sequence:
        now += loader.step(now) + 1e-6
    client = ServerStore(Endpoint.parse(server.url)).client()
    assert positions(client) == [*range(1, worker.sequence + 1)]
    loader.close()
    server.close()
