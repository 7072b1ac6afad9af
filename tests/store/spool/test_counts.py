import pytest

from records.metrics import Metric
from records.status import WriterStatus
from store.spool import counts
from store.spool.counts import take_stock
from store.spool.reader import SpoolReader
from store.spool.retire import retire
from store.spool.state import LoaderState
from tests.store.spool.workers import NO_LIMIT, Worker, acknowledge, read_all

REQUESTS = Metric.HTTP_REQUESTS.metric_name
OPEN = Metric.CLIENT_CONNECTIONS.metric_name


@pytest.fixture
def workers(tmp_path):
    workers = [Worker(tmp_path, name, segment_bytes=1 << 16) for name in ("w1", "w2")]  # one holds everything, so that nothing is dropped for want of a second
    yield workers
    for worker in workers:
        if worker.alive:
            worker.die()


def count(worker, value, *name):
    worker.ledger.values[worker.ledger.slot(*name)] += value


def test_a_spool_that_is_not_there_counts_nothing(tmp_path):
    stock = take_stock(tmp_path / "absent", LoaderState())
    assert (stock.counts.captured, stock.counts.conserved, stock.writers, stock.counters) == (0, True, (), {})


def test_what_nobody_read_is_pending(tmp_path, workers):
    workers[0].fill(5)
    workers[1].fill(7)
    stock = take_stock(tmp_path, LoaderState())
    assert (stock.counts.captured, stock.counts.pending, stock.counts.stored) == (12, 12, 0)
    assert stock.writers == (WriterStatus(writer="w1", alive=True, captured=5, pending=5), WriterStatus(writer="w2", alive=True, captured=7, pending=7))


def test_read_but_not_acknowledged_is_pending(tmp_path, workers):
    workers[0].fill(5)
    loader = acknowledge(LoaderState(), *read_all(SpoolReader(tmp_path, {})))
    workers[0].fill(4)
    SpoolReader(tmp_path, loader.cursors).read(10, NO_LIMIT)
    stock = take_stock(tmp_path, loader.intending({"w1": (6, 9)}))
    assert (stock.counts.captured, stock.counts.stored, stock.counts.pending) == (9, 5, 4)


def test_counters_are_summed_over_writers_and_gauges_over_living_ones(tmp_path, workers):
    for worker in workers:
        count(worker, 10, REQUESTS, "default", "primary", "served", "200")
        count(worker, 2, OPEN)
    count(workers[1], 1, REQUESTS, "default", "primary", "served", "502")
    workers[1].die()
    stock = take_stock(tmp_path, LoaderState())
    assert stock.counters[REQUESTS, "default", "primary", "served", "200"] == 20
    assert stock.counters[REQUESTS, "default", "primary", "served", "502"] == 1
    assert stock.counters[(OPEN,)] == 2


def test_a_record_that_the_ledger_has_yet_to_count_is_captured_when_it_was_stored(tmp_path, workers):
    workers[0].fill(3)
    workers[0].ledger.values[0] = 2
    loader = acknowledge(LoaderState(), *read_all(SpoolReader(tmp_path, {})))
    stock = take_stock(tmp_path, loader)
    assert (stock.counts.captured, stock.counts.stored, stock.counts.pending) == (3, 3, 0)


def test_a_store_that_took_fewer_records_than_were_passed_is_seen_as_not_conserved(tmp_path, workers):
    workers[0].fill(3)
    frames, cursors, lost = read_all(SpoolReader(tmp_path, {}))
    stock = take_stock(tmp_path, acknowledge(LoaderState(), frames[:-1], cursors, lost))
    assert not stock.counts.conserved


def test_a_writer_retired_while_ledgers_are_read_is_counted_once(tmp_path, workers, monkeypatch):
    for worker in workers:
        worker.fill(5)
        worker.die()
    loader = acknowledge(LoaderState(), *read_all(SpoolReader(tmp_path, {})))
    read, moments = counts.read_ledger, []

    def retire_meanwhile(directory):
        moments.append(directory.name)
        if len(moments) == 2:
            monkeypatch.setattr(counts, "read_ledger", read)
            retire(tmp_path, loader, loader.cursors, now_seconds=2e9)
        return read(directory)

    monkeypatch.setattr(counts, "read_ledger", retire_meanwhile)
    stock = take_stock(tmp_path, loader)
    assert moments == ["w1", "w2"]
    assert (stock.counts.captured, stock.counts.stored) == (10, 10)
