"""CPU of the watching side per exchange, by stage and all in: `python -m bench.monitor` (`make bench-monitor`).

The stages call the modules that the monitor calls, one after the other over the same spool, in this process. All in is `driftline monitor` itself on
that spool, from its start until it has stopped with everything stored and watched, less the same with an empty spool. CPU is user and system time,
of all threads.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench.monitor_process import cpu_all_in_ns
from bench.processes import BenchmarkError, exit_on_sigterm
from bench.report import machine_sentence, markdown_table, write_json
from bench.traffic import exchanges
from config.settings import Settings
from detectors.arrays import Columns, Integers
from detectors.baseline import BaselineLearner
from detectors.budget import evidence_threshold
from detectors.columns import ColumnBuffer
from detectors.drift import DriftDetector
from payloads.decoding import decode
from records.exchange import Exchange
from records.payload import DecodeResult
from store.clickhouse.client import open_store
from store.clickhouse.columns import StoredExchange
from store.clickhouse.inserter import EXCHANGES, Inserter
from store.spool.ledger import LedgerWriter
from store.spool.reader import SpoolReader
from store.spool.tail import Frame
from store.spool.writer import SpoolWriter, create_writer_directory

PROMISED_US = 40.0
_SETTINGS = Settings()
_BATCH_BYTES = 32 * 1024 * 1024
_AT_ONCE = 100
"""Exchanges decoded at a time: more are out of the processor's cache before they are used."""
_MERGE_SECONDS = 3.0
_decode_record = msgspec.msgpack.Decoder(Exchange).decode


class Stages:
    """CPU time by stage, in the order in which the stages were first entered."""

    def __init__(self) -> None:
        self.cpu_ns: dict[str, int] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count what the block uses, all threads."""
        before = time.process_time_ns()
        yield
        self.cpu_ns[name] = self.cpu_ns.get(name, 0) + time.process_time_ns() - before


def main() -> int:
    """Measure and print."""
    arguments = _parse()
    exit_on_sigterm()
    count = 20_000 if arguments.quick else 200_000
    try:
        with tempfile.TemporaryDirectory(prefix="driftline-bench-", dir=arguments.directory) as directory:
            cpu_us = measure(count, Path(directory))
    except BenchmarkError as error:
        print(f"bench.monitor: {error}", file=sys.stderr)
        return 1
    print(f"{machine_sentence()}.\n{count:,} exchanges of 30 numbers in and 2 out, V2 JSON.\n")
    print(markdown_table(("stage", "CPU µs per exchange"), [(name, f"{figure:.1f}") for name, figure in cpu_us.items()]))
    kept = "kept" if cpu_us["all in"] <= PROMISED_US else "NOT kept"
    print(f"\nall in: {cpu_us['all in']:.1f} µs per exchange (promised: at most {PROMISED_US:.0f}), {kept}")
    if arguments.json:
        write_json(arguments.json, {"exchanges": count, "cpu_us_per_exchange": cpu_us})
    return 0


def measure(count: int, directory: Path) -> dict[str, float]:
    """Return CPU µs per exchange by stage, with their sum and the figure of the whole process."""
    spool = directory / "spool"
    stages = Stages()
    _fill(spool, count)
    _store(_watch(spool, stages), directory / "stages", stages)
    figures = {name: cpu_ns / 1e3 / count for name, cpu_ns in stages.cpu_ns.items()}
    # Both consumers read and decode for themselves, so that neither can hold up the other.
    figures["sum, reading and decoding records twice"] = sum(figures.values()) + figures["read the spool"] + figures["decode records"]
    figures["all in"] = cpu_all_in_ns(spool, count, directory) / 1e3 / count
    return figures


def _fill(spool: Path, count: int) -> None:
    """Write a spool as a worker does that has ended."""
    directory = create_writer_directory(spool, 0)
    ledger = LedgerWriter(directory)
    writer = SpoolWriter(directory, ledger, segment_bytes=_SETTINGS.spool.segment_size, max_bytes=_SETTINGS.spool.max_size)
    for exchange in exchanges(count):
        while not writer.append(exchange):
            time.sleep(0.001)  # faster than traffic: the next segment is not ready yet
    writer.close()
    ledger.close()


def _watch(spool: Path, stages: Stages) -> Iterator[list[StoredExchange]]:
    """Take a spool through everything but the store; yield the rows for that."""
    buffer = ColumnBuffer(max_features=_SETTINGS.drift.max_features)
    windows = _Windows()
    reader = SpoolReader(spool, {})
    while True:
        with stages("read the spool"):
            frames = reader.read(_SETTINGS.store.batch_rows, _BATCH_BYTES).frames
        if not frames:
            break
        with stages("decode records"):
            records = [_decode_record(frame.payload) for frame in frames]
        for first in range(0, len(records), _AT_ONCE):
            some = records[first : first + _AT_ONCE]
            with stages("decode bodies"):
                decoded = [decode(record) for record in some]
            with stages("columns"):
                _add(buffer, some, decoded)
        with stages("columns"):
            columns, times_ns = buffer.take()
        with stages(windows.stage):
            windows.update(columns, times_ns)
        yield [_row(frame, record) for frame, record in zip(frames, records, strict=True)]
    reader.close()


class _Windows:
    """A baseline learned from the first rows, then windows against it, as the monitor does."""

    def __init__(self) -> None:
        self._learner = BaselineLearner(model="m", rows=_SETTINGS.drift.baseline_rows)
        self._detector: DriftDetector | None = None
        self._tested = False

    @property
    def stage(self) -> str:
        return "windows and tests" if self._tested else "learn a baseline and calibrate, once"

    def update(self, columns: Columns, times_ns: Integers) -> None:
        if self._detector is not None:
            self._tested = bool(self._detector.update(columns, times_ns)) or self._tested
        elif baseline := self._learner.add(columns, int(times_ns[-1])):
            threshold = evidence_threshold(_SETTINGS.drift.budget, window_seconds=_SETTINGS.drift.window_time)
            self._detector = DriftDetector(baseline, threshold=threshold)


def _add(buffer: ColumnBuffer, records: Sequence[Exchange], decoded: Sequence[tuple[DecodeResult, DecodeResult]]) -> None:
    for record, (request, response) in zip(records, decoded, strict=True):
        buffer.add(request, response, record.started_at_ns)


def _row(frame: Frame, record: Exchange) -> StoredExchange:
    return StoredExchange(frame.writer, frame.sequence, record, "m", "1")


def _store(batches: Iterator[list[StoredExchange]], directory: Path, stages: Stages) -> None:
    """Insert into an embedded store of its own, with the merges that follow."""
    # All batches are made before the engine starts: its threads would count into the other stages.
    made = list(batches)
    store = open_store(directory)
    client = store.client()
    inserter = Inserter(client)
    with stages("insert into ClickHouse"):
        for rows in made:
            inserter.store(EXCHANGES, rows, {})
        time.sleep(_MERGE_SECONDS)
    client.close()
    store.close()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.monitor", description="CPU of the watching side per exchange, by stage and all in.")
    parser.add_argument("--quick", action="store_true", help="20,000 exchanges instead of 200,000")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()), help="where spool and store lie (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
