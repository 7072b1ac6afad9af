import sys

import msgspec
import pytest

from records.metrics import Metric
from store.spool.counts import take_stock
from store.spool.cursor import Cursor
from store.spool.reader import SpoolReader
from store.spool.retire import retire
from store.spool.state import DamagedStateError, LoaderState
from store.spool.totals import read_retired
from tests.store.spool.workers import NO_LIMIT, Worker, acknowledge, read_all

REQUESTS = Metric.HTTP_REQUESTS.metric_name
OPEN = Metric.CLIENT_CONNECTIONS.metric_name
NOW = 2e9


class Crash(BaseException):
    """The process ends here."""


class Crashes:
    """Ends the process at the n-th change that it makes to the disk."""

    def __init__(self):
        self.after = None
        sys.addaudithook(self.watch)

    def watch(self, event, arguments):
        if self.after is None:
            return
        if event in {"os.remove", "os.rename", "os.rmdir"} or (event == "open" and "w" in str(arguments[1])):
            if self.after == 0:
                self.after = None
                raise Crash
            self.after -= 1


@pytest.fixture(scope="module")
def crashes():
    return Crashes()


@pytest.fixture
def start(tmp_path):
    workers = []

    def start(name="w1", **settings):
        workers.append(Worker(tmp_path, name, **settings))
        return workers[-1]

    yield start
    for worker in workers:
        if worker.alive:
            worker.die()


def consume(spool, state=None):
    state = state or LoaderState()
    return acknowledge(state, *read_all(SpoolReader(spool, state.cursors)))


def segments(worker):
    return sorted(int(path.stem) for path in worker.directory.glob("*.segment"))


def test_segments_that_both_consumers_passed_are_deleted_and_no_other(tmp_path, start):
    worker = start()
    worker.fill(60)
    loader = consume(tmp_path)
    behind = SpoolReader(tmp_path, {}).read(20, NO_LIMIT).cursors
    retire(tmp_path, loader, behind, now_seconds=NOW)
    assert segments(worker)[0] == behind["w1"].segment > 1
    retire(tmp_path, loader, loader.cursors, now_seconds=NOW)
    assert segments(worker)[0] == loader.cursors["w1"].segment == worker.writer._index
    assert worker.append()
    assert [frame.sequence for frame in read_all(SpoolReader(tmp_path, loader.cursors))[0]] == [61]


def test_a_writer_that_a_consumer_never_read_keeps_everything(tmp_path, start):
    worker = start()
    worker.fill(60)
    worker.die()
    before = segments(worker)
    retire(tmp_path, consume(tmp_path), {}, now_seconds=NOW)
    assert segments(worker) == before


def test_a_dead_and_finished_writer_lives_on_in_the_totals(tmp_path, start):
    worker = start(max_bytes=4 * 2048)
    refused = sum(not worker.append() for _ in range(60))
    accepted = len(worker.payloads)
    worker.ledger.values[worker.ledger.slot(REQUESTS, "default", "primary", "served", "200")] += 7
    worker.ledger.values[worker.ledger.slot(OPEN)] += 3
    worker.corrupt(1, worker.place(2).begin)
    worker.die(torn_bytes=40)
    loader = consume(tmp_path)
    before = take_stock(tmp_path, loader)
    retire(tmp_path, loader, loader.cursors, now_seconds=NOW)
    after = take_stock(tmp_path, loader)
    assert not worker.directory.exists()
    assert after.counts == before.counts
    assert (after.counts.captured, after.counts.stored) == (accepted + refused, accepted - 1)
    assert {reason: count for reason, count in after.counts.dropped.items() if count} == {"spool_full": refused, "corrupt": 1}
    assert after.counters[REQUESTS, "default", "primary", "served", "200"] == 7
    assert (OPEN,) not in after.counters
    assert after.writers == ()


def test_totals_of_generations_add_up_and_names_of_deleted_ones_do_not_pile_up(tmp_path, start):
    loader = LoaderState()
    for generation in range(5):
        worker = start(f"w{generation}")
        worker.fill(10)
        worker.die()
        loader = consume(tmp_path, loader)
        retire(tmp_path, loader, loader.cursors, now_seconds=NOW)
    assert take_stock(tmp_path, loader).counts.stored == 50
    assert len(read_retired(tmp_path).writers) == 1


def test_a_writer_inside_an_open_intent_is_not_retired(tmp_path, start):
    worker = start()
    worker.fill(3)
    worker.die()
    loader = consume(tmp_path)
    retire(tmp_path, loader.intending({"w1": (1, 3)}), loader.cursors, now_seconds=NOW)
    assert worker.directory.exists()


def test_a_writer_whose_segments_vanished_unread_is_not_retired_before_the_loss_is_counted(tmp_path, start):
    worker = start()
    worker.fill(3)
    worker.die()
    for path in worker.directory.glob("*.segment"):
        path.unlink()
    loader = LoaderState(cursors={"w1": Cursor()})
    retire(tmp_path, loader, loader.cursors, now_seconds=NOW)
    assert worker.directory.exists()
    loader = consume(tmp_path)
    retire(tmp_path, loader, loader.cursors, now_seconds=NOW)
    assert not worker.directory.exists()
    assert take_stock(tmp_path, loader).counts.dropped["corrupt"] == 3


def test_a_worker_that_died_while_it_began_leaves_nothing_for_ever(tmp_path):
    stillborn = tmp_path / "w1"
    stillborn.mkdir()
    (stillborn / "ledger.new").write_bytes(b"")
    began = stillborn.stat().st_mtime
    retire(tmp_path, LoaderState(), {}, now_seconds=began + 60)
    assert stillborn.exists()
    retire(tmp_path, LoaderState(), {}, now_seconds=began + 3600)
    assert not stillborn.exists()


def test_segments_without_a_ledger_are_never_deleted(tmp_path, start):
    worker = start()
    worker.fill(3)
    worker.die()
    (worker.directory / "ledger").unlink()
    retire(tmp_path, LoaderState(), {}, now_seconds=NOW)
    assert segments(worker)


def test_a_ledger_of_another_version_is_left_alone(tmp_path, start):
    worker = start()
    worker.fill(3)
    worker.die()
    (worker.directory / "ledger").write_bytes(b"DRIFTLDG\x02")
    loader = LoaderState(cursors={"w1": Cursor(9, 64, 3)}, stored={"w1": 3})
    retire(tmp_path, loader, loader.cursors, now_seconds=NOW)
    assert segments(worker)
    assert take_stock(tmp_path, loader).counts.captured == 0


def test_damaged_totals_are_an_error_that_names_the_file(tmp_path):
    (tmp_path / "retired.json").write_text("{}")
    with pytest.raises(DamagedStateError, match=r"retired\.json is damaged .*: restore it, or move it away to count without"):
        take_stock(tmp_path, LoaderState())


def test_a_crash_at_any_step_neither_loses_nor_doubles_a_count(tmp_path, start, crashes):
    steps = 0
    finished = False
    while not finished:
        spool = tmp_path / f"spool{steps}"
        for name in ("w1", "w2", "w3"):
            worker = Worker(spool, name)
            worker.fill(20)
            worker.ledger.values[worker.ledger.slot(REQUESTS, "default", "primary", "served", "200")] += 20
            worker.die(torn_bytes=30)
        loader = consume(spool)
        expected = take_stock(spool, loader)
        crashes.after = steps
        try:
            retire(spool, loader, loader.cursors, now_seconds=NOW)
        except Crash:
            steps += 1
        else:
            finished = True
        crashes.after = None
        stock = take_stock(spool, loader)
        assert (stock.counts, stock.counters) == (expected.counts, expected.counters)
        loader = consume(spool, loader)  # as after a restart
        retire(spool, loader, loader.cursors, now_seconds=NOW)
        stock = take_stock(spool, loader)
        assert (stock.counts, stock.counters) == (expected.counts, expected.counters)
        assert [path.name for path in spool.iterdir() if path.is_dir()] == []
        assert consume(spool, loader) == LoaderState()
    assert steps > 15


def test_retired_totals_are_json_that_people_can_read(tmp_path, start):
    worker = start()
    worker.fill(2)
    worker.die()
    loader = consume(tmp_path)
    retire(tmp_path, loader, loader.cursors, now_seconds=NOW)
    document = msgspec.json.decode((tmp_path / "retired.json").read_bytes())
    assert document["state"]["totals"]["stored"] == 2
    assert document["state"]["writers"] == ["w1"]
