from __future__ import annotations

import threading

import numpy as np

import driftline.feature_shelf
from config.settings import DriftSettings
from driftline.archive import Archive
from driftline.decoding import Decoding
from driftline.feature_shelf import FeatureShelf
from driftline.watching import STATE_NAME, Watching, WatchState
from records.exchange import Body
from records.metrics import Metric
from store.audit import AuditReader
from store.clickhouse.client import EmbeddedStore
from store.clickhouse.features import FeatureRows
from store.clickhouse.results import ResultWriter
from store.spool.state import write_state
from tests.store.clickhouse.parts import Worker, make_exchange, name_of


def make_rows(count):
    return FeatureRows("m", ["1"] * count, [bytes(16)] * count, [*range(count)], np.arange(count), {"x": np.zeros(count)})


def test_rows_beyond_the_bound_are_given_up_oldest_first_and_counted():
    shelf = FeatureShelf(dropped=1, size_bytes_at_most=3 * make_rows(10).size_bytes)
    batches = [make_rows(10) for _ in range(5)]
    for batch in batches:
        shelf.put(batch)
    assert (list(map(id, shelf.look())), shelf.waiting, shelf.dropped) == (list(map(id, batches[2:])), 30, 21)


def test_a_batch_larger_than_the_bound_waits_alone():
    shelf = FeatureShelf(size_bytes_at_most=1)
    shelf.put(make_rows(3))
    shelf.put(make_rows(4))
    assert (shelf.waiting, shelf.dropped) == (4, 3)


def test_settling_waits_until_the_store_has_the_rows():
    shelf = FeatureShelf()
    shelf.tried((), stored=True)
    shelf.put(make_rows(5))
    settled = threading.Thread(target=shelf.settle)
    settled.start()
    shelf.wait(60)
    assert settled.is_alive()
    shelf.tried(shelf.look(), stored=True)
    settled.join(60)
    assert (settled.is_alive(), shelf.waiting) == (False, 0)


def test_settling_waits_for_no_store_that_is_down():
    shelf = FeatureShelf()
    shelf.put(make_rows(5))
    shelf.settle()
    shelf.tried((), stored=True)
    settled = threading.Thread(target=shelf.settle)
    settled.start()
    shelf.wait(60)
    shelf.tried(shelf.look(), stored=False)
    settled.join(60)
    assert (settled.is_alive(), shelf.waiting, shelf.dropped) == (False, 5, 0)


def test_when_the_cursors_are_on_the_disk_the_store_has_the_rows_that_they_passed(tmp_path, monkeypatch):
    monkeypatch.setattr(driftline.feature_shelf, "_PATIENCE_SECONDS", 60.0)  # a busy machine takes its time to start the engine
    worker, store = Worker(tmp_path / "spool"), EmbeddedStore(tmp_path / "data")
    for number in range(30):
        body = b'{"inputs": [{"name": "x", "shape": [2, 1], "datatype": "FP64", "data": [%d, 0.5]}]}' % number
        worker.append(make_exchange(number, request=Body(body, len(body), False, "application/json")))
    watching = Watching(tmp_path / "spool", DriftSettings(), name_of, Decoding(()), {}, lambda _: None, tolerances={}, max_lag_bytes=1 << 30)
    archive, stop = Archive(watching, ResultWriter(store), AuditReader(tmp_path)), threading.Event()
    assert archive.step()
    running = threading.Thread(target=archive.run, args=(stop,))
    running.start()
    assert watching.step()
    assert (watching.saved.cursors["w1"].sequence, watching.saved.features_waiting, watching.saved.features_dropped) == (30, 0, 0)
    client = store.client()
    assert client.command("SELECT count(), sum(numbers['x']) FROM features") == ["60", "450"]
    stop.set()
    running.join()
    for part in (client, watching, store, worker):
        part.close()


def test_rows_that_waited_when_the_process_died_are_counted_as_given_up(tmp_path):
    write_state(tmp_path / STATE_NAME, WatchState(features_waiting=4, features_dropped=3))
    watching = Watching(tmp_path, DriftSettings(), name_of, Decoding(()), {}, lambda _: None, tolerances={}, max_lag_bytes=1 << 30)
    assert watching.counters()[Metric.FEATURES_DROPPED.metric_name,] == 7
    watching.close()
