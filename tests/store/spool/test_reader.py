import os
import resource
import shutil
import threading
from pathlib import Path

import pytest

from records.metrics import DropReason
from store.spool import tail
from store.spool.cursor import Cursor
from store.spool.format import SEGMENT_HEADER_BYTES, FrameKind, pack_frame
from store.spool.reader import SpoolReader
from tests.store.spool.workers import NO_LIMIT, Worker, read_all


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


def sequences(frames):
    return [frame.sequence for frame in frames if frame.kind == FrameKind.RECORD]


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_every_record_is_read_once_in_order_across_segments(tmp_path, start):
    worker = start()
    worker.fill(40)
    frames, cursors, lost = read_all(SpoolReader(tmp_path, {}), max_frames=7)
    assert worker.writer._index > 2
    assert [(frame.sequence, frame.payload) for frame in frames] == list(worker.payloads.items())
    assert cursors["w1"].sequence == 40
    assert lost == {}


def test_frames_that_are_mapped_and_frames_that_are_written_follow_each_other(tmp_path, start):
    worker = start(segment_bytes=64 * 1024)
    for body_bytes in (10, 3_900, 4_100, 20_000, 10, 4_000, 30_000, 1, 60_000):
        worker.fill(1, body_bytes)
    frames, _, lost = read_all(SpoolReader(tmp_path, {}), max_frames=3)
    assert [(frame.sequence, frame.payload) for frame in frames] == list(worker.payloads.items())
    assert lost == {}


def test_a_record_that_the_disk_takes_in_part_is_counted_and_the_next_one_takes_its_place(tmp_path, start):
    worker = start(segment_bytes=64 * 1024)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # it takes the first bytes of the frame, as a failing disk may
    try:
        assert worker.append(20_000) == 0
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert worker.ledger.values[worker.writer._dropped[DropReason.SPOOL_ERROR]] == 1
    worker.fill(2, 30_000)
    frames, _, lost = read_all(SpoolReader(tmp_path, {}), max_frames=3)
    assert [(frame.sequence, frame.payload) for frame in frames] == list(worker.payloads.items())
    assert lost == {}


def test_an_empty_or_absent_spool_has_nothing_to_read(tmp_path):
    assert SpoolReader(tmp_path / "absent", {}).read(10, NO_LIMIT).frames == []
    assert SpoolReader(tmp_path, {}).read(10, NO_LIMIT).cursors == {}


def test_an_outcome_follows_its_record_and_is_seen_while_nothing_else_happens(tmp_path, start):
    worker = start()
    reader = SpoolReader(tmp_path, {})
    worker.append()
    assert sequences(reader.read(10, NO_LIMIT).frames) == [1]
    payload = worker.amend(1)
    assert [(frame.kind, frame.sequence, frame.payload) for frame in reader.read(10, NO_LIMIT).frames] == [(FrameKind.OUTCOME, 1, payload)]


def test_a_reader_goes_on_where_its_cursors_say(tmp_path, start):
    worker = start()
    worker.fill(20)
    first = SpoolReader(tmp_path, {}).read(13, NO_LIMIT)
    frames, _, lost = read_all(SpoolReader(tmp_path, first.cursors))
    assert sequences(frames) == list(range(14, 21))
    assert lost == {}


def test_a_batch_is_shared_between_writers_that_have_data(tmp_path, start):
    for name, count in (("w1", 60), ("w2", 3), ("w3", 60)):
        start(name).fill(count)
    frames = SpoolReader(tmp_path, {}).read(40, NO_LIMIT).frames
    shares = {name: sum(frame.writer == name for frame in frames) for name in ("w1", "w2", "w3")}
    assert len(frames) == 40
    assert shares["w2"] == 3
    assert min(shares["w1"], shares["w3"]) >= 14


def test_a_busy_writer_cannot_hide_a_new_one(tmp_path, start):
    start("w1", segment_bytes=1 << 16).fill(300)
    reader = SpoolReader(tmp_path, {})
    reader.read(1, NO_LIMIT)
    start("w2").fill(1)
    writers = [reader.read(1, NO_LIMIT).frames[0].writer for _ in range(40)]
    assert "w2" in writers


def test_a_batch_ends_at_the_bound_of_bytes(tmp_path, start):
    start().fill(30)
    frames = SpoolReader(tmp_path, {}).read(1000, 600).frames
    sizes = [len(frame.payload) for frame in frames]
    assert sum(sizes[:-1]) < 600
    assert len(frames) < 30


def test_a_frame_larger_than_a_chunk_and_than_the_bound_is_read(tmp_path, start):
    worker = start(segment_bytes=1 << 20)
    worker.fill(1, body_bytes=600_000)
    frames = SpoolReader(tmp_path, {}).read(10, 1).frames
    assert frames[0].payload == worker.payloads[1]


def test_a_large_frame_that_a_dying_writer_had_not_promised_yet_is_read(tmp_path, start):
    worker = start(segment_bytes=1 << 20)
    worker.fill(1, body_bytes=100_000)
    worker.ledger.values[0] = 0
    worker.die()
    frames, cursors, lost = read_all(SpoolReader(tmp_path, {}))
    assert sequences(frames) == [1]
    assert cursors["w1"].torn == 0
    assert lost == {}


def test_an_unfinished_frame_of_a_living_writer_is_waited_for(tmp_path, start):
    worker = start()
    worker.fill(2)
    worker.ledger.values[0] = 1  # as while record 2 is being appended
    place = worker.place(2)
    with worker.path(place.segment).open("r+b", buffering=0) as file:
        whole = file.read()[place.begin : place.end].rstrip(b"\0")
        reader = SpoolReader(tmp_path, {})
        for count in range(len(whole)):
            os.pwrite(file.fileno(), whole[:count] + bytes(len(whole) - count), place.begin)
            assert sequences(reader.read(10, NO_LIMIT).frames) == ([1] if count == 0 else [])
        os.pwrite(file.fileno(), whole, place.begin)
    batch = reader.read(10, NO_LIMIT)
    assert (sequences(batch.frames), batch.lost) == ([2], {})


@pytest.mark.parametrize("torn_bytes", [1, 4, 23, 24, 60, 122])
def test_the_torn_last_frame_of_a_dead_writer_is_skipped_and_counted_apart(tmp_path, start, torn_bytes):
    worker = start()
    worker.fill(3)
    assert worker.die(torn_bytes=torn_bytes)
    frames, cursors, lost = read_all(SpoolReader(tmp_path, {}))
    assert sequences(frames) == [1, 2, 3]
    assert (cursors["w1"].torn, lost) == (1, {})


def test_a_writer_that_died_between_two_frames_left_nothing_torn(tmp_path, start):
    worker = start()
    worker.fill(30)
    worker.die()
    frames, cursors, _ = read_all(SpoolReader(tmp_path, {}))
    assert len(frames) == 30
    assert cursors["w1"].torn == 0


def test_a_dead_writer_is_over_once_and_for_all(tmp_path, start):
    worker = start()
    worker.fill(3)
    worker.die(torn_bytes=50)
    _, cursors, _ = read_all(SpoolReader(tmp_path, {}))
    assert not worker.path(cursors["w1"].segment).exists()
    frames, again, lost = read_all(SpoolReader(tmp_path, cursors))
    assert (frames, again, lost) == ([], cursors, {})


@pytest.mark.parametrize("alive", [True, False])
@pytest.mark.parametrize("at", [0, 4, 8, 16, 20, 30])
def test_a_damaged_frame_costs_one_record_and_says_where(tmp_path, start, caplog, at, alive):
    worker = start()
    worker.fill(30)
    place = worker.place(11)
    worker.corrupt(place.segment, place.begin + at)
    if not alive:
        worker.die()
    frames, cursors, lost = read_all(SpoolReader(tmp_path, {}))
    assert sequences(frames) == [*range(1, 11), *range(12, 31)]
    assert lost == {"w1": {"corrupt": 1}}
    assert cursors["w1"].sequence == 30
    assert f"{worker.path(place.segment)}, byte {place.begin}: damaged bytes; records 11 to 11 are lost" in caplog.text


def test_a_frame_whose_length_was_zeroed_does_not_end_the_log(tmp_path, start):
    worker = start()
    worker.fill(30)
    place = worker.place(5)
    with worker.path(place.segment).open("r+b") as file:
        file.seek(place.begin)
        file.write(bytes(place.end - place.begin))
    frames, _, lost = read_all(SpoolReader(tmp_path, {}))
    assert sequences(frames) == [*range(1, 5), *range(6, 31)]
    assert lost == {"w1": {"corrupt": 1}}


def test_damage_at_the_end_of_a_living_writer_is_passed_when_it_goes_on(tmp_path, start):
    worker = start()
    worker.fill(5)
    worker.corrupt(1, worker.place(5).begin + 30)
    reader = SpoolReader(tmp_path, {})
    frames, _, lost = read_all(reader)
    assert (sequences(frames), lost) == ([1, 2, 3, 4], {})
    worker.fill(1)
    frames, _, lost = read_all(reader)
    assert (sequences(frames), lost) == ([6], {"w1": {"corrupt": 1}})


def test_what_a_dead_writer_promised_beyond_its_last_good_frame_is_lost(tmp_path, start):
    worker = start()
    worker.fill(5)
    worker.corrupt(1, worker.place(4).begin, count=worker.place(5).end - worker.place(4).begin)
    worker.die()
    frames, cursors, lost = read_all(SpoolReader(tmp_path, {}))
    assert (sequences(frames), lost) == ([1, 2, 3], {"w1": {"corrupt": 2}})
    assert (cursors["w1"].sequence, cursors["w1"].torn) == (5, 0)


@pytest.mark.parametrize("foreign", [pack_frame(1, 2, FrameKind.RECORD, b"an old one"), pack_frame(1, 6, 9, b"of no kind"), pack_frame(1, 6, 0, b"of no kind")])
def test_a_whole_frame_that_cannot_come_next_is_damage(tmp_path, start, foreign):
    worker = start()
    worker.fill(8)
    place = worker.place(6)
    with worker.path(1).open("r+b") as file:
        file.seek(place.begin)
        file.write(foreign)
    frames, _, lost = read_all(SpoolReader(tmp_path, {}))
    assert ([frame.sequence for frame in frames], lost) == ([1, 2, 3, 4, 5, 7, 8], {"w1": {"corrupt": 1}})


def test_a_seal_at_the_end_of_a_dead_writer_is_not_a_torn_frame(tmp_path, start):
    worker = start()
    worker.fill(30)
    worker.die()
    for segment in range(2, worker.writer._index + 9):
        worker.path(segment).unlink(missing_ok=True)
    frames, cursors, lost = read_all(SpoolReader(tmp_path, {}))
    assert (len(frames) + lost["w1"]["corrupt"], cursors["w1"].torn) == (30, 0)
    worker.ledger_of_dead_says(len(frames))
    assert read_all(SpoolReader(tmp_path, {}))[1]["w1"].torn == 0


def test_damage_that_nothing_follows_yet_is_searched_once(tmp_path, start, monkeypatch):
    worker = start()
    worker.fill(5)
    worker.corrupt(1, worker.place(5).begin)
    searches = []
    monkeypatch.setattr(tail, "find_frame", lambda *where: searches.append(where))
    reader = SpoolReader(tmp_path, {})
    read_all(reader)
    first = len(searches)
    for _ in range(5):
        reader.read(10, NO_LIMIT)
    assert len(searches) == first > 0


def test_a_writer_that_is_over_is_not_asked_again(tmp_path, start, monkeypatch):
    worker = start()
    worker.fill(5)
    worker.die()
    reader = SpoolReader(tmp_path, {})
    read_all(reader)
    monkeypatch.setattr(tail.LedgerView, "alive", lambda _: pytest.fail("it was asked"))
    assert reader.read(10, NO_LIMIT).frames == []


def test_a_damaged_seal_costs_nothing(tmp_path, start):
    worker = start()
    worker.fill(30)
    last_of_first = max((place for place in worker.places if place.segment == 1), key=lambda place: place.end)
    worker.corrupt(1, last_of_first.end, count=8)
    frames, _, lost = read_all(SpoolReader(tmp_path, {}))
    assert (sequences(frames), lost) == (list(range(1, 31)), {})


def test_damaged_segment_headers_cost_nothing(tmp_path, start):
    worker = start()
    worker.fill(30)
    worker.corrupt(1, 0, count=SEGMENT_HEADER_BYTES)
    worker.corrupt(2, 0, count=SEGMENT_HEADER_BYTES)
    frames, _, lost = read_all(SpoolReader(tmp_path, {}))
    assert (sequences(frames), lost) == (list(range(1, 31)), {})


@pytest.mark.parametrize("alive", [True, False])
def test_a_deleted_segment_costs_its_records(tmp_path, start, alive):
    worker = start()
    worker.fill(40)
    worker.path(2).unlink()
    if not alive:
        worker.die()
    frames, _, lost = read_all(SpoolReader(tmp_path, {}))
    gone = {place.sequence for place in worker.places if place.segment == 2}
    assert sequences(frames) == [sequence for sequence in range(1, 41) if sequence not in gone]
    assert lost == {"w1": {"corrupt": len(gone)}}


def test_a_segment_cut_short_costs_what_was_cut_off(tmp_path, start):
    worker = start()
    worker.fill(30)
    worker.die()
    place = next(place for place in worker.places if place.segment == 2)
    os.truncate(worker.path(2), place.begin + 30)
    frames, _, lost = read_all(SpoolReader(tmp_path, {}))
    gone = {place.sequence for place in worker.places if place.segment == 2}
    assert sequences(frames) == [sequence for sequence in range(1, 31) if sequence not in gone]
    assert lost == {"w1": {"corrupt": len(gone)}}


def test_a_body_that_looks_like_frames_from_the_future_is_not_taken_for_them(tmp_path, start):
    forged = b"".join(pack_frame(1, sequence, FrameKind.RECORD, b"forged..") for sequence in range(4, 9))
    worker = start(segment_bytes=1 << 14)
    worker.append_body(b"".join(forged + bytes(shift) for shift in (1,) * 8))  # somewhere in there they are aligned
    worker.fill(1)
    worker.corrupt(1, worker.place(1).begin)
    frames, _, lost = read_all(SpoolReader(tmp_path, {}))
    assert (sequences(frames), lost) == ([2], {"w1": {"corrupt": 1}})


def test_lag_is_what_the_ledger_has_beyond_the_cursor(tmp_path, start):
    start("w1").fill(12)
    reader = SpoolReader(tmp_path, {})
    reader.read(5, NO_LIMIT)
    start("w2").fill(3)
    (tmp_path / "beginning").mkdir()
    assert reader.lag() == {"beginning": 0, "w1": 7, "w2": 3}


def test_a_lagging_reader_skips_the_oldest_segments_and_says_how_many_records(tmp_path, start):
    worker = start()
    worker.fill(60)
    reader = SpoolReader(tmp_path, {})
    reader.read(3, NO_LIMIT)
    lag = reader.lag()["w1"]
    skipped = reader.skip_to_bound(2 * 2048)
    assert reader.lag()["w1"] == lag - skipped
    frames, cursors, lost = read_all(reader)
    assert sequences(frames) == list(range(4 + skipped, 61))
    assert skipped > 0
    assert lost == {}
    assert cursors["w1"].sequence == 60
    assert worker.place(frames[0].sequence).segment == worker.writer._index - 2


def test_the_writer_furthest_behind_skips_first(tmp_path, start):
    start("w1").fill(60)
    start("w2").fill(12)
    reader = SpoolReader(tmp_path, {})
    reader.read(2, NO_LIMIT)
    reader.skip_to_bound(4 * 2048)
    frames, _, lost = read_all(reader)
    assert next(frame.sequence for frame in frames if frame.writer == "w2") == 2
    assert next(frame.sequence for frame in frames if frame.writer == "w1") > 2
    assert lost == {}


def test_a_reader_within_the_bound_skips_nothing(tmp_path, start):
    start().fill(60)
    reader = SpoolReader(tmp_path, {})
    reader.read(1, NO_LIMIT)
    assert reader.skip_to_bound(1 << 20) == 0
    assert reader.skip_to_bound(0) > 0
    assert reader.skip_to_bound(0) == 0


def test_the_bound_is_of_bytes_unread_in_full_segments(tmp_path, start):
    worker = start()
    worker.fill(60)
    reader = SpoolReader(tmp_path, {})
    offset = reader.read(3, NO_LIMIT).cursors["w1"].offset
    unread = (worker.writer._index - 1) * 2048 - offset
    assert reader.skip_to_bound(unread) == 0
    assert reader.skip_to_bound(unread - 1) > 0


def test_a_writer_whose_ledger_is_unreadable_is_left_alone_and_named(tmp_path, start, caplog):
    worker = start("w1")
    worker.fill(2)
    start("w2").fill(2)
    with (worker.directory / "ledger").open("r+b") as file:
        file.write(b"damage")
    reader = SpoolReader(tmp_path, {"w1": Cursor(1, 64, 0)})
    frames, cursors, _ = read_all(reader)
    assert {frame.writer for frame in frames} == {"w2"}
    assert cursors["w1"] == Cursor(1, 64, 0)
    assert caplog.text.count(str(worker.directory / "ledger")) == 1


def test_a_directory_without_a_ledger_yet_is_looked_at_again(tmp_path, start):
    (tmp_path / "w1").mkdir()
    reader = SpoolReader(tmp_path, {})
    assert reader.read(1, NO_LIMIT).cursors == {}
    (tmp_path / "w1").rmdir()
    start("w1").fill(1)
    assert sequences(reader.read(1, NO_LIMIT).frames) == [1]


def test_a_writer_whose_directory_was_deleted_is_forgotten(tmp_path, start):
    worker = start()
    worker.fill(1)
    worker.die()
    before = open_files()
    reader = SpoolReader(tmp_path, {})
    read_all(reader)
    shutil.rmtree(worker.directory)
    assert reader.read(1, NO_LIMIT).cursors == {}
    assert open_files() == before


def test_an_idle_poll_opens_no_file(tmp_path, start, monkeypatch):
    for name in ("w1", "w2", "w3", "w4"):
        start(name).fill(2)
    reader = SpoolReader(tmp_path, {})
    read_all(reader)

    opened, here, real = [], threading.get_ident(), os.open
    monkeypatch.setattr("os.open", lambda path, *how: opened.append(path) if threading.get_ident() == here else real(path, *how))
    for _ in range(5):
        reader.read(1000, NO_LIMIT)
    assert opened == []


def test_closing_leaves_no_file_open(tmp_path, start):
    worker = start()
    worker.fill(30)
    reader = SpoolReader(tmp_path, {})
    reader.read(25, NO_LIMIT)
    worker.die()
    before = open_files()
    reader.close()
    assert open_files() == before - 2


def test_a_segment_in_the_making_is_not_taken_for_one_that_is_over(tmp_path, start, monkeypatch):
    worker = start()
    worker.fill(30)
    whole = worker.path(1).read_bytes()
    worker.path(1).write_bytes(b"")
    list_segments = tail.segment_indexes

    def finish_meanwhile(directory):
        worker.path(1).write_bytes(whole)
        return list_segments(directory)

    reader = SpoolReader(tmp_path, {})
    following = tail.Tail._next_segment
    monkeypatch.setattr(tail.Tail, "_next_segment", lambda self: monkeypatch.setattr(tail, "segment_indexes", finish_meanwhile) or following(self))
    frames, _, lost = read_all(reader)
    assert (sequences(frames), lost) == (list(range(1, 31)), {})
