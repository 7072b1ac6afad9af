import logging
import os

import pytest

from records.metrics import DropReason
from store.spool.counts import take_stock
from store.spool.evict import Bounds, Held, Usage, choose, evict
from store.spool.evictions import EVICTED_NAME, Eviction, losses, note_evictions, read_evictions
from store.spool.reader import SpoolReader
from store.spool.state import LoaderState
from tests.store.spool.workers import NO_LIMIT, SEGMENT_BYTES, Worker, acknowledge, read_all

NOW = 2e9


@pytest.fixture
def start(tmp_path):
    workers = []

    def start(name="w1", **settings):
        workers.append(Worker(tmp_path, name, thread=False, **settings))
        return workers[-1]

    yield start
    for worker in workers:
        if worker.alive:
            worker.die()


def held(tmp_path, index, *, age_seconds=0.0, size_bytes=10, stored=False):
    return Held(tmp_path / "w1" / str(index), index, index, size_bytes, NOW - age_seconds, stored=stored)


def indexes(chosen):
    return [(segment.first, reason) for segment, reason in chosen]


def test_the_oldest_goes_first_until_what_is_left_is_within_the_bounds(tmp_path):
    segments = [held(tmp_path, 1, age_seconds=1), held(tmp_path, 2, age_seconds=3), held(tmp_path, 3, age_seconds=2)]
    bounds = Bounds(max_bytes=100, reserve_bytes=20, drop_oldest=True)
    assert indexes(choose(segments, bounds, Usage(80, 1000), NOW)) == []
    assert indexes(choose(segments, bounds, Usage(81, 1000), NOW)) == [(2, "spool_full")]
    assert indexes(choose(segments, bounds, Usage(91, 1000), NOW)) == [(2, "spool_full"), (3, "spool_full")]
    assert len(choose(segments, bounds, Usage(1000, 1000), NOW)) == 3


def test_a_disk_that_is_short_of_space_counts_as_full(tmp_path):
    bounds = Bounds(max_bytes=1000, min_free_bytes=50, reserve_bytes=5, drop_oldest=True)
    assert indexes(choose([held(tmp_path, 1), held(tmp_path, 2)], bounds, Usage(20, 50), NOW)) == [(1, "disk_full")]


def test_what_the_store_lacks_is_not_given_up_for_room_unless_that_is_wanted(tmp_path):
    segments = [held(tmp_path, 1, age_seconds=2), held(tmp_path, 2, age_seconds=1, stored=True)]
    assert indexes(choose(segments, Bounds(max_bytes=0), Usage(1000, 1000), NOW)) == [(2, "spool_full")]


def test_what_is_too_old_is_given_up_whatever_there_is_room_for(tmp_path):
    segments = [held(tmp_path, 1, age_seconds=61), held(tmp_path, 2, age_seconds=59)]
    assert indexes(choose(segments, Bounds(max_bytes=1000, max_age_seconds=60), Usage(0, 1000), NOW)) == [(1, "expired")]


def test_a_full_spool_gives_up_its_oldest_records_and_the_loader_counts_them(tmp_path, start, caplog):
    caplog.set_level(logging.WARNING)
    worker = start()
    worker.fill(60)
    reader, state = SpoolReader(tmp_path, {}), LoaderState()
    evict(tmp_path, Bounds(max_bytes=4 * SEGMENT_BYTES, drop_oldest=True), reader, lambda: state, {}, now_seconds=NOW)
    frames, cursors, lost = read_all(reader)
    left = [frame.sequence for frame in frames]
    assert left == list(range(left[0], 61))
    assert lost == {"w1": {"spool_full": left[0] - 1}}
    counts = take_stock(tmp_path, acknowledge(state, frames, cursors, lost)).counts
    assert (counts.captured, counts.stored, counts.dropped["spool_full"], counts.pending) == (60, len(left), left[0] - 1, 0)
    assert reader.damages_found == {}
    assert "that wait for the store: spool_full" in caplog.text


def test_a_living_writer_keeps_the_segment_that_it_appends_to(tmp_path, start):
    worker = start()
    worker.fill(60)
    evict(tmp_path, Bounds(max_bytes=0, drop_oldest=True), SpoolReader(tmp_path, {}), LoaderState, {}, now_seconds=NOW)
    assert worker.path(worker.writer._index).exists()
    assert not worker.path(worker.writer._index - 1).exists()
    assert worker.append()


def test_of_a_dead_writer_all_may_go(tmp_path, start):
    worker = start()
    worker.fill(60)
    worker.die()
    reader = SpoolReader(tmp_path, {})
    evict(tmp_path, Bounds(max_bytes=0, drop_oldest=True), reader, LoaderState, {}, now_seconds=NOW)
    assert list(worker.directory.glob("*.segment")) == []
    _, cursors, lost = read_all(reader)
    assert (cursors["w1"].sequence, lost) == (60, {"w1": {"spool_full": 60}})


def test_what_the_loader_holds_stays_until_it_is_acknowledged(tmp_path, start):
    worker = start()
    worker.fill(60)
    reader, state = SpoolReader(tmp_path, {}), LoaderState()
    batch = reader.read(30, NO_LIMIT)
    bounds = Bounds(max_bytes=0, drop_oldest=True)
    evict(tmp_path, bounds, reader, lambda: state, {}, now_seconds=NOW)
    again = SpoolReader(tmp_path, {}).read(30, NO_LIMIT)
    assert [frame.sequence for frame in again.frames] == list(range(1, 31))
    state = state.acknowledging(batch.cursors, {"w1": 30}, {})
    evict(tmp_path, bounds, reader, lambda: state, {}, now_seconds=NOW)
    assert len(list(worker.directory.glob("*.segment"))) <= 3


def test_what_may_be_in_the_store_stays_until_that_is_known(tmp_path, start):
    worker = start()
    worker.fill(60)
    state = LoaderState(intent={"w1": (1, 30)})
    evict(tmp_path, Bounds(max_bytes=0, drop_oldest=True), SpoolReader(tmp_path, {}), lambda: state, {}, now_seconds=NOW)
    assert [frame.sequence for frame in SpoolReader(tmp_path, {}).read(30, NO_LIMIT).frames] == list(range(1, 31))


def test_records_grow_too_old_by_the_time_of_their_segments_last_change(tmp_path, start):
    worker = start()
    worker.fill(60)
    for segment in range(1, worker.writer._index + 1):
        os.utime(worker.path(segment), (NOW, NOW - 100 if segment <= 2 else NOW))
    reader = SpoolReader(tmp_path, {})
    evict(tmp_path, Bounds(max_bytes=NO_LIMIT, max_age_seconds=60), reader, LoaderState, {}, now_seconds=NOW)
    _, _, lost = read_all(reader)
    assert lost == {"w1": {"expired": worker_records(worker, 2)}}


def worker_records(worker, segments):
    return sum(place.segment <= segments for place in worker.places)


def test_a_reader_in_the_middle_of_what_is_given_up_goes_on_behind_it(tmp_path, start):
    worker = start()
    worker.fill(60)
    reader = SpoolReader(tmp_path, {})
    batch = reader.read(2, NO_LIMIT)
    state = LoaderState().acknowledging(batch.cursors, {"w1": 2}, {})
    evict(tmp_path, Bounds(max_bytes=0, drop_oldest=True), reader, lambda: state, {}, now_seconds=NOW)
    frames, _, lost = read_all(reader)
    assert frames[0].sequence == worker.places[-1].sequence - len(frames) + 1
    assert lost == {"w1": {"spool_full": frames[0].sequence - 3}}


def test_nothing_is_looked_at_while_the_spool_is_within_its_bounds(tmp_path, start):
    start().fill(60)
    evict(tmp_path, Bounds(max_bytes=NO_LIMIT, drop_oldest=True), SpoolReader(tmp_path, {}), LoaderState, {}, now_seconds=NOW)
    assert not (tmp_path / EVICTED_NAME).exists()


def test_notes_are_joined_and_forgotten_once_every_consumer_has_passed(tmp_path):
    note_evictions(tmp_path, {"w1": [Eviction(1, 5, DropReason.EXPIRED)]}, {"w1": 0})
    note_evictions(tmp_path, {"w1": [Eviction(6, 9, DropReason.EXPIRED), Eviction(8, 12, DropReason.SPOOL_FULL)]}, {"w1": 0})
    assert read_evictions(tmp_path) == {"w1": (Eviction(1, 9, DropReason.EXPIRED), Eviction(10, 12, DropReason.SPOOL_FULL))}
    note_evictions(tmp_path, {}, {"w1": 9})
    assert read_evictions(tmp_path) == {"w1": (Eviction(10, 12, DropReason.SPOOL_FULL),)}
    note_evictions(tmp_path, {}, {"w2": 0})
    assert read_evictions(tmp_path) == {}


def test_what_was_not_given_up_was_damaged():
    evictions = [Eviction(3, 5, DropReason.EXPIRED), Eviction(6, 6, DropReason.SPOOL_FULL)]
    assert losses(1, 10, evictions) == {"expired": 3, "spool_full": 1, "corrupt": 6}
    assert losses(4, 6, evictions) == {"expired": 2, "spool_full": 1}
    assert losses(7, 8, evictions) == {"corrupt": 2}


def test_an_age_without_bound_never_passes(tmp_path):
    assert choose([held(tmp_path, 1, age_seconds=1e12)], Bounds(max_bytes=1000), Usage(0, 1000), NOW) == []
