import os
import time
from pathlib import Path

import pytest

from records.metrics import Metric
from store.spool.format import FRAME_HEADER_BYTES, FrameKind, pack_frame
from store.spool.ledger import LedgerWriter, read_ledger
from store.spool.listing import spare_segments
from store.spool.reader import SpoolReader
from store.spool.retire import SPARE_BYTES, retire
from store.spool.state import LoaderState
from tests.store.spool.workers import SEGMENT_BYTES, Worker, acknowledge, read_all

HOUR = 3600


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


class Consumers:
    """Both consumers, which read everything and have the spool tidied up."""

    def __init__(self, spool: Path) -> None:
        self.spool = spool
        self.reader = SpoolReader(spool, {})
        self.state = LoaderState()
        self.cursors = {}

    def pass_everything(self):
        frames, self.cursors, lost = read_all(self.reader)
        self.state = acknowledge(self.state, frames, self.cursors, lost)
        retire(self.spool, self.state, self.cursors, now_seconds=time.time())
        return [(frame.kind, frame.sequence, frame.payload) for frame in frames], lost


def files(worker):
    return {entry.inode() for entry in os.scandir(worker.directory) if entry.name.endswith((".segment", ".spare"))}


def test_files_that_everybody_has_passed_are_used_again(tmp_path, start):
    worker, consumers = start(), Consumers(tmp_path)
    worker.fill(60)
    consumers.pass_everything()
    before = files(worker)
    worker.fill(60)
    assert len(files(worker) - before) <= 2  # that were in the making


def test_what_a_file_held_before_is_never_read_again(tmp_path, start):
    worker, consumers = start(), Consumers(tmp_path)
    for number in range(40):
        sequences = worker.fill(1 + number % 7, body_bytes=number * 13 % 300)
        expected = [(FrameKind.RECORD, sequence, worker.payloads[sequence]) for sequence in sequences]
        outcome = worker.amend(1)
        if worker.places[-1].kind is FrameKind.OUTCOME:  # else no segment was ready
            expected.append((FrameKind.OUTCOME, 1, outcome))
        assert consumers.pass_everything() == (expected, {})
    assert worker.writer._index > 10
    worker.die()
    assert consumers.pass_everything() == ([], {})
    assert consumers.cursors["w1"].torn == 0


def test_damage_in_a_file_that_is_used_again_brings_nothing_back(tmp_path, start):
    worker, consumers = start(), Consumers(tmp_path)
    for _ in range(60):
        worker.fill(1)
        worker.amend(1)
    consumers.pass_everything()
    sequences = worker.fill(12)
    worker.corrupt(worker.place(sequences[0]).segment, worker.place(sequences[0]).begin, count=FRAME_HEADER_BYTES)
    frames, lost = consumers.pass_everything()
    assert [sequence for _, sequence, _ in frames] == sequences[1:]
    assert lost == {"w1": {"corrupt": 1}}


def test_a_frame_torn_in_a_file_that_is_used_again_is_counted(tmp_path, start):
    worker, consumers = start(), Consumers(tmp_path)
    worker.fill(60)
    consumers.pass_everything()
    worker.fill(20)
    assert worker.die(torn_bytes=50)
    assert consumers.pass_everything()[1] == {}
    assert consumers.state.cursors["w1"].torn == 1


def test_a_file_that_may_be_in_memory_no_more_is_not_used_again(tmp_path, start):
    worker, consumers = start(), Consumers(tmp_path)
    worker.fill(60)
    consumers.pass_everything()
    spares = {entry.inode() for entry in spare_segments(worker.directory)}
    for entry in spare_segments(worker.directory):
        os.utime(entry, (time.time() - HOUR, time.time() - HOUR))
    worker.fill(30)
    assert spare_segments(worker.directory) == []
    assert not {path.stat().st_mtime for path in worker.directory.glob("*.segment") if path.stat().st_mtime < time.time() - HOUR / 2}
    assert spares


def test_a_writer_gets_back_so_many_bytes_and_no_more(tmp_path, start):
    worker, consumers = start(segment_bytes=SPARE_BYTES // 3), Consumers(tmp_path)
    for _ in range(6):
        worker.fill(3, body_bytes=SPARE_BYTES // 8)
    consumers.pass_everything()
    assert len(spare_segments(worker.directory)) == 3


def test_a_dead_writer_leaves_no_spares(tmp_path, start):
    worker, consumers = start(), Consumers(tmp_path)
    worker.fill(60)
    consumers.pass_everything()
    assert spare_segments(worker.directory)
    worker.die()
    consumers.pass_everything()
    assert not worker.directory.exists()


def test_a_spool_of_the_first_version_is_read(tmp_path):
    """There CRCs began with 0, whatever the segment."""
    directory = tmp_path / "w1"
    directory.mkdir()
    ledger = LedgerWriter(directory)
    ledger.values[0] = 1
    ledger.close()
    with (directory / "ledger").open("r+b") as file:
        file.seek(8)
        file.write((1).to_bytes(4, "little"))
    frame = pack_frame(0, 1, FrameKind.RECORD, b"one")
    (directory / "00000007.segment").write_bytes((bytes(64) + frame).ljust(SEGMENT_BYTES, b"\0"))
    frames, _, lost = read_all(SpoolReader(tmp_path, {}))
    assert ([frame.payload for frame in frames], lost) == ([b"one"], {})


def test_disk_space_that_is_to_stay_free_is_left_and_records_are_dropped_for_it(tmp_path, start):
    worker = start(min_free_bytes=1 << 60, thread=False)
    assert worker.append() == 0
    assert list(worker.directory.glob("*.segment")) == []
    assert read_ledger(worker.directory).counters[Metric.DROPPED.metric_name, "disk_full"] == 1


def test_files_are_used_again_though_too_little_is_free_for_new_ones(tmp_path, start):
    worker = start(thread=False)
    worker.fill(40)
    worker.writer._preparer._min_free_bytes = 1 << 60
    consumers = Consumers(tmp_path)
    for _ in range(5):
        consumers.pass_everything()
        worker.fill(8)
