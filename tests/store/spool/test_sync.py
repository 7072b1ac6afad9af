import errno
import os
import threading
from pathlib import Path

import pytest

from records.metrics import Metric
from store.spool import sync
from store.spool.ledger import read_ledger
from store.spool.reader import SpoolReader
from tests.store.spool.workers import Worker, read_all


def test_every_segment_and_the_ledger_reach_the_disk_before_a_writer_ends(tmp_path, monkeypatch):
    calls, fdatasync = [], os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (calls.append(str(Path(f"/proc/self/fd/{fd}").readlink())), fdatasync(fd)))
    worker = Worker(tmp_path, thread=False, sync_seconds=3600)
    worker.fill(60)
    worker.die()
    used = {str(worker.path(segment)) for segment in range(1, worker.writer._index + 1)}
    assert used | {str(worker.directory / "ledger")} == set(calls)
    frames, _, lost = read_all(SpoolReader(tmp_path, {}))
    assert (len(frames), lost) == (60, {})


def test_records_reach_the_disk_again_and_again_while_a_writer_lives(tmp_path, monkeypatch):
    synced, fdatasync = threading.Semaphore(0), os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (fdatasync(fd), synced.release()))
    worker = Worker(tmp_path, sync_seconds=0.01)
    for _ in range(3):
        worker.fill(1)
        for _ in range(4):
            assert synced.acquire(timeout=30)
    worker.die()


def test_a_disk_that_fails_is_counted_and_said_and_stops_nothing(tmp_path, monkeypatch, caplog):
    def fail(fd):
        raise OSError(errno.EIO, "bad disk")

    monkeypatch.setattr(os, "fdatasync", fail)
    worker = Worker(tmp_path, thread=False, sync_seconds=3600)
    worker.fill(30)
    worker.die()
    assert read_ledger(worker.directory).counters[Metric.SPOOL_SYNCS_FAILED.metric_name,] == 2
    assert "bad disk" in caplog.text
    assert len(read_all(SpoolReader(tmp_path, {}))[0]) == 30


def test_without_the_setting_no_file_is_synced(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fdatasync", lambda fd: pytest.fail("synced"))
    worker = Worker(tmp_path)
    worker.fill(30)
    worker.die()


def test_new_names_reach_the_disk_with_what_they_name(tmp_path, monkeypatch):
    directories, sync_directory = [], sync.sync_directory
    monkeypatch.setattr(sync, "sync_directory", lambda directory: (directories.append(directory), sync_directory(directory)))
    worker = Worker(tmp_path, thread=False, sync_seconds=3600)
    worker.fill(10)
    worker.die()
    assert set(directories) == {worker.directory, tmp_path}
