"""The loader dies at any point: the next one leaves each record stored once, and counts it once."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import deque
from itertools import count

import pytest

from store.clickhouse.client import EmbeddedStore
from tests.store.clickhouse.mortal import Killed, Mortal
from tests.store.clickhouse.parts import make_loader, positions
from tests.store.clickhouse_server import Fault


@pytest.fixture
def store(server_store):
    return server_store


def finish(directory, store, **limits):
    """Let a loader that does not die store the rest; return its state."""
    loader = make_loader(directory, store, **limits)
    assert loader.drain(1.0, clock=lambda: 0.0, wait=lambda _: None)
    loader.close()
    return loader.state


def assert_stored_once(client, worker, state, outcomes=()):
    dead = positions(client, "dead_letters FINAL")
    alive = [sequence for sequence in range(1, worker.sequence + 1) if sequence not in dead]
    assert positions(client) == alive
    assert positions(client, "outcomes") == [*outcomes]
    assert state.stored == {"w1": len(alive)}
    assert sum(sum(model.codes.values()) for model in state.models) == len(alive)
    assert state.dropped == {"w1": {"poison": len(dead)} if dead else {}}
    assert state.intent == {}


@pytest.mark.parametrize("rows_after", [1000, 3])
def test_whatever_the_loader_did_last_each_record_is_stored_once(rows_after, tmp_path, store, client, worker):
    mortal, outcomes = Mortal(), []
    for point in count(1):
        worker.fill(4)
        worker.append_junk()
        for sequence in (worker.sequence - 3, worker.sequence - 1):
            worker.amend(sequence)
            outcomes.append(sequence)
        loader = mortal.loader(tmp_path, store, point)
        try:
            loader.step(0.0)
        except Killed:
            finish(tmp_path, store, rows=rows_after)
        else:
            break
        finally:
            loader.close()
    worker.fill(1)
    assert_stored_once(client, worker, finish(tmp_path, store), outcomes)
    assert point > 10, "intent, exchanges, outcomes, dead letters, acknowledgement: each has a before and an after"


def test_loaders_that_die_one_after_another_leave_each_record_stored_once(tmp_path, store, client, worker):
    mortal = Mortal()
    for point in [2, 3, 4, 5, 6, 3, 4, 3]:
        worker.fill(5)
        loader = mortal.loader(tmp_path, store, point, rows=7)
        with pytest.raises(Killed):
            loader.drain(1.0, clock=lambda: 0.0, wait=lambda _: None)
        loader.close()
    worker.fill(1)
    finish(tmp_path, store, rows=4)
    worker.fill(1)
    assert_stored_once(client, worker, finish(tmp_path, store))


@pytest.mark.parametrize("seed", range(3))
def test_deaths_and_faults_in_any_order_leave_each_record_stored_once(seed, tmp_path, server, store, client, worker):
    dice, mortal, outcomes, now = random.Random(seed), Mortal(), [], 0.0
    for _ in range(12):
        for _ in range(dice.randint(1, 12)):
            worker.fill(1)
            if dice.random() < 0.3:
                worker.amend(worker.sequence)
                outcomes.append(worker.sequence)
        server.faults = deque(dice.choices([Fault.RESET, Fault.ERROR, Fault.STORE_THEN_RESET, Fault.STORE_THEN_ERROR], k=dice.randint(0, 2)))
        server.faults.append(Fault.FORGET)
        loader = mortal.loader(tmp_path, store, dice.randint(0, 12), rows=dice.randint(1, 20))
        try:
            for _ in range(dice.randint(1, 6)):
                now += loader.step(now)
        except Killed:
            pass
        loader.close()
    server.faults.clear()
    finish(tmp_path, store)
    worker.fill(1)
    assert_stored_once(client, worker, finish(tmp_path, store), outcomes)


def start_mortal(directory, url, point, rows):
    return subprocess.Popen([sys.executable, "-m", "tests.store.clickhouse.mortal", str(directory), url, str(point), str(rows)])


def test_a_process_that_is_killed_at_any_point_leaves_each_record_stored_once(tmp_path, server, store, client, worker):
    for point in range(1, 9):
        worker.fill(6)
        worker.amend(worker.sequence)
        assert start_mortal(tmp_path, server.url, point, 1000).wait(20) == -9
    worker.fill(1)
    finish(tmp_path, store)
    worker.fill(1)
    assert_stored_once(client, worker, finish(tmp_path, store), range(6, 49, 6))


def test_a_killed_process_leaves_the_embedded_store_whole(tmp_path, worker):
    state_file = tmp_path / "loader.state"
    for delay_seconds in (0.0, 0.013, 0.04):
        worker.fill(300)
        if state_file.exists():
            state_file.touch()
        before = state_file.stat().st_mtime_ns if state_file.exists() else 0
        process = start_mortal(tmp_path, "", 0, 20)
        while not state_file.exists() or state_file.stat().st_mtime_ns == before:
            assert process.poll() is None
            time.sleep(0.001)
        time.sleep(delay_seconds)
        process.kill()
        process.wait()
    worker.fill(1)
    store = EmbeddedStore(tmp_path / "data")
    finish(tmp_path, store)
    worker.fill(1)
    state = finish(tmp_path, store)
    client = store.client()
    assert_stored_once(client, worker, state)
    client.close()
    store.close()
