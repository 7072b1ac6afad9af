"""What was accepted outlives a kill, and is counted once."""

import os
import resource
import signal
import subprocess
import sys

import pytest

from labels.journal import Journal, JournalError
from records.label import NO_EXCHANGE, Label, Subject
from records.metrics import Metric

UNKNOWN = (Metric.LABELS_UNKNOWN.metric_name,)


def make_labels(count, first=0):
    return [Label(Subject(NO_EXCHANGE, f"r-{number}", "", 0), "1", number, number, "api") for number in range(first, first + count)]


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "labels.sqlite", max_received=10, max_waiting=4)
    yield journal
    journal.close()


def test_labels_come_back_in_the_order_in_which_they_were_accepted(journal):
    journal.accept(make_labels(3), {})
    journal.accept(make_labels(2, first=3), {})
    assert journal.received(4) == (4, make_labels(4))


def test_a_batch_for_which_there_is_no_room_is_left_out_as_a_whole(journal):
    assert journal.accept(make_labels(8), {("accepted",): 8})
    assert not journal.accept(make_labels(3, first=8), {("accepted",): 3})
    assert journal.sizes() == (8, 0)
    assert journal.counts() == {("accepted",): 8}


def test_labels_that_waited_longest_make_room_and_are_counted(journal):
    journal.accept(make_labels(6), {})
    number, labels = journal.received(10)
    journal.stored(number, labels, 0, {})
    assert journal.sizes() == (0, 4)
    assert journal.counts()[UNKNOWN] == 2
    assert [each.label for each in journal.due(0, 10)] == labels[2:]


def test_a_label_that_is_postponed_is_due_later(journal):
    journal.accept(make_labels(2), {})
    journal.stored(*journal.received(10), 5, {})
    assert journal.due(4, 10) == []
    first, second = journal.due(5, 10)
    journal.looked([first.number], {second.number: 9}, {})
    assert journal.due(8, 10) == []
    (again,) = journal.due(9, 10)
    assert (again.label, again.looks) == (second.label, 1)


def test_only_the_owner_can_read_it(tmp_path, journal):
    assert (tmp_path / "labels.sqlite").stat().st_mode & 0o777 == 0o600


def test_a_damaged_file_is_one_clear_sentence(tmp_path):
    (tmp_path / "labels.sqlite").write_bytes(b"no database " * 1000)
    with pytest.raises(JournalError, match=r"is damaged .* move it away"):
        Journal(tmp_path / "labels.sqlite", max_received=10, max_waiting=4)


WRITER = """
import sys
from pathlib import Path
from labels.journal import Journal
from tests.labels.test_journal import make_labels
journal = Journal(Path(sys.argv[1]), max_received=10**6, max_waiting=10)
number = 0
while True:
    journal.accept(make_labels(1, first=number), {("accepted",): 1})
    number += 1
    print(number, flush=True)
"""


def test_what_was_acknowledged_is_there_after_a_kill(tmp_path):
    path = tmp_path / "labels.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ) as process:
        acknowledged = 0
        while acknowledged < 20:
            acknowledged = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
    journal = Journal(path, max_received=10**6, max_waiting=10)
    labels = journal.received(10**6)[1]
    assert len(labels) >= acknowledged
    assert labels == make_labels(len(labels))
    assert journal.counts() == {("accepted",): len(labels)}
    journal.close()


def test_labels_that_are_to_be_forgotten_go_from_wherever_they_are_and_are_counted(journal):
    journal.accept(make_labels(4), {})
    number, labels = journal.received(2)
    journal.stored(number, labels, 0, {})
    assert journal.forget(lambda label: label.subject.request_id in {"r-0", "r-3"}) == 2
    assert journal.sizes() == (1, 1)
    assert journal.counts() == {UNKNOWN: 2}
    assert journal.forget(lambda label: label.subject.request_id == "r-0") == 0


def test_a_full_disk_keeps_nothing_of_a_batch_and_harms_nothing(tmp_path):
    journal = Journal(tmp_path / "labels.sqlite", max_received=10**6, max_waiting=10)
    journal.accept(make_labels(3), {("accepted",): 3})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))  # no file may grow beyond: what the kernel says is nearly what it says of a full disk
    try:
        with pytest.raises(JournalError, match="cannot be written"):
            journal.accept(make_labels(50_000, first=3), {("accepted",): 50_000})
        assert journal.sizes() == (3, 0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert journal.accept(make_labels(2, first=3), {("accepted",): 2})
    assert journal.received(10)[1] == make_labels(5)
    assert journal.counts() == {("accepted",): 5}
    journal.close()
