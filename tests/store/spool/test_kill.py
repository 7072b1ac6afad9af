import os
import struct
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from records.exchange import Exchange
from store.spool.counts import take_stock
from store.spool.reader import SpoolReader
from store.spool.state import LoaderState
from tests.store.spool.workers import NO_LIMIT, acknowledge, read_all

ROOT = Path(__file__).parents[3]

APPEND_FOR_EVER = """
import os, sys
from pathlib import Path
from store.spool.ledger import LedgerWriter
from store.spool.writer import SpoolWriter, create_writer_directory
from tests.store.spool.workers import make_exchange

directory = create_writer_directory(Path(sys.argv[1]), 0)
writer = SpoolWriter(directory, LedgerWriter(directory), segment_bytes=64 * 1024, max_bytes=64 * 1024 * 1024)
number = 0
while True:
    number += 1
    sequence = writer.append(make_exchange(str(number), bytes(number % 9000)))
    if sequence:
        os.write(1, sequence.to_bytes(8, "little") + number.to_bytes(8, "little"))
"""


def kill_while_appending(spool: Path, reports: int) -> dict[int, str]:
    """Let a process append, kill it after so many reports; return the request id of each sequence that it was given."""
    with subprocess.Popen([sys.executable, "-c", APPEND_FOR_EVER, str(spool)], cwd=ROOT, stdout=subprocess.PIPE) as child:
        output = os.read(child.stdout.fileno(), 16 * reports)
        while len(output) < 16 * reports:
            output += os.read(child.stdout.fileno(), 16 * reports - len(output))
        child.kill()
        output += child.stdout.read()
    whole = len(output) // 16 * 16
    return {sequence: str(number) for sequence, number in struct.iter_unpack("<QQ", output[:whole])}


@pytest.mark.parametrize("reports", [1, 37, 400, 1500])
def test_every_record_that_an_append_returned_for_survives_kill_9(tmp_path, reports):
    reported = kill_while_appending(tmp_path, reports)
    frames, cursors, lost = read_all(SpoolReader(tmp_path, {}))
    found = {frame.sequence: msgspec.msgpack.decode(frame.payload, type=Exchange).request_id for frame in frames}
    assert len(reported) >= reports
    assert found.items() >= reported.items()
    assert [frame.sequence for frame in frames] == list(range(1, len(found) + 1))
    assert len(found) <= max(reported) + 1
    assert lost == {}
    stock = take_stock(tmp_path, acknowledge(LoaderState(), frames, cursors, lost))
    assert (stock.counts.stored, stock.counts.pending, stock.counts.conserved) == (len(found), 0, True)
    assert not stock.writers[0].alive


def test_a_reader_beside_a_writer_that_is_killed_gets_every_record_once(tmp_path):
    with subprocess.Popen([sys.executable, "-c", APPEND_FOR_EVER, str(tmp_path)], cwd=ROOT, stdout=subprocess.DEVNULL) as child:
        reader = SpoolReader(tmp_path, {})
        frames, lost = [], {}
        while len(frames) < 5000:
            batch = reader.read(500, NO_LIMIT)
            frames += batch.frames
            lost |= batch.lost
        child.kill()
    rest, _, lost_then = read_all(reader)
    assert [frame.sequence for frame in frames + rest] == list(range(1, len(frames + rest) + 1))
    assert (lost, lost_then) == ({}, {})
