"""CPU of the watching side per exchange, by stage and all in: `python -m bench.monitor` (`make bench-monitor`).

The stages call the modules that the monitor calls, one after the other over the same spool, in this process. All in is `driftline monitor` itself: what
it uses until everything in a long spool is stored and watched, less the same for a short one, so that start-up, opening the store and learning the
baseline are not in it. CPU is user and system time of all threads.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench.filled_spool import fill_spool
from bench.monitor_process import MERGE_SECONDS, cpu_until_done_ns
from bench.processes import BenchmarkError, exit_on_sigterm
from bench.report import machine_sentence, markdown_table, write_json
from bench.traffic import exchanges
from config.settings import Settings
from detectors.arrays import Columns, Integers
from detectors.baseline import BaselineLearner
from detectors.budget import evidence_threshold
from detectors.columns import ColumnBuffer
from detectors.drift import DriftDetector
from driftline.decoding import Decoding
from driftline.label_keys import LabelKeys
from driftline.naming import Naming
from payloads.decoding import decode
from records.exchange import Exchange
from store.clickhouse.client import open_store
from store.clickhouse.columns import StoredExchange
from store.clickhouse.features import FeatureRows
from store.clickhouse.inserter import EXCHANGES, Inserter
from store.clickhouse.results import ResultWriter
from store.spool.reader import SpoolReader

PROMISED_US = 40.0
ALL_IN = "all in, the monitor itself"
SHORT_SPOOL = 20_000
"""Exchanges: enough to learn a baseline and to test windows against it."""
_SETTINGS = Settings()
_BATCH_BYTES = 32 * 1024 * 1024
_FRAMES_PER_READ = 10_000
_AT_ONCE = 100
"""Exchanges decoded at a time: more are out of the processor's cache before they are used."""
_name = Naming({}, Decoding(_SETTINGS.routes).identify)
_label_key = LabelKeys(_SETTINGS.routes)
_decode_record = msgspec.msgpack.Decoder(Exchange).decode


class Figures(msgspec.Struct, frozen=True):
    """What a run gave."""

    exchanges: int
    cpu_us_per_exchange: dict[str, float]
    """By stage, in order; then their sum, and all in."""
    once_per_baseline_ms: float


class Stages:
    """CPU time by stage, in the order in which the stages were first entered."""

    def __init__(self) -> None:
        self.cpu_ns: Counter[str] = Counter()

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count what the block uses, all threads."""
        before = time.process_time_ns()
        yield
        self.cpu_ns[name] += time.process_time_ns() - before


def main() -> int:
    """Measure and print."""
    arguments = _parse()
    exit_on_sigterm()
    count = 3 * SHORT_SPOOL if arguments.quick else 10 * SHORT_SPOOL
    try:
        with tempfile.TemporaryDirectory(prefix="driftline-bench-", dir=arguments.directory) as directory:
            cpu_us, once_ms = measure_stages(count, Path(directory))
            cpu_us[ALL_IN] = measure_monitor(count, Path(directory))
    except BenchmarkError as error:
        print(f"bench.monitor: {error}", file=sys.stderr)
        return 1
    figures = Figures(count, cpu_us, once_ms)
    print(f"{machine_sentence()}.\n\n{report(figures)}")
    if arguments.json:
        write_json(arguments.json, msgspec.to_builtins(figures))
    return 0


def report(figures: Figures) -> str:
    """Return the figures as Markdown, and how they stand to what is promised."""
    table = markdown_table(("stage", "CPU µs per exchange"), [(name, f"{cpu_us:.1f}") for name, cpu_us in figures.cpu_us_per_exchange.items()])
    all_in_us = figures.cpu_us_per_exchange[ALL_IN]
    verdict = "kept" if all_in_us <= PROMISED_US else "NOT kept"
    return (
        f"{figures.exchanges:,} exchanges of 30 numbers in and 2 out, V2 JSON:\n\n{table}\n\n"
        f"- all in: {all_in_us:.1f} µs per exchange (promised: at most {PROMISED_US:.0f}), {verdict}\n"
        f"- once per baseline, to learn and calibrate it: {figures.once_per_baseline_ms:,.0f} ms"
    )


def measure_stages(count: int, directory: Path) -> tuple[dict[str, float], float]:
    """Return CPU µs per exchange by stage with their sum, and the CPU ms that a baseline costs once."""
    stages, once = Stages(), Stages()
    spool = directory / "spool"
    fill_spool(spool, exchanges(count))
    columns, times_ns = _first_rows(_SETTINGS.drift.baseline_rows)
    with once("baseline"):
        detector = _calibrated_detector(columns, times_ns)
    _store(_watch(spool, detector, stages), directory / "stages", stages)
    shutil.rmtree(spool)
    figures = {name: cpu_ns / 1e3 / count for name, cpu_ns in stages.cpu_ns.items()}
    # Both consumers read and decode for themselves, so that neither can hold up the other.
    twice = figures["read the spool"] + figures["decode records"]
    return figures | {"sum, with reading and decoding records twice": sum(figures.values()) + twice}, once.cpu_ns["baseline"] / 1e6


def measure_monitor(count: int, directory: Path) -> float:
    """Return the CPU µs that the monitor uses for each exchange more."""
    used_ns = {}
    for exchanges_there in (SHORT_SPOOL, count):
        room = directory / f"monitor-{exchanges_there}"
        fill_spool(room / "spool", exchanges(exchanges_there))
        used_ns[exchanges_there] = cpu_until_done_ns(room / "spool", exchanges_there, room)
    return (used_ns[count] - used_ns[SHORT_SPOOL]) / 1e3 / (count - SHORT_SPOOL)


def _first_rows(count: int) -> tuple[Columns, Integers]:
    buffer = ColumnBuffer(max_features=_SETTINGS.drift.max_features)
    for exchange in exchanges(count):
        buffer.add(*decode(exchange), exchange.started_at_ns)
    return buffer.take()


def _calibrated_detector(columns: Columns, times_ns: Integers) -> DriftDetector:
    """Learn a baseline from these rows as the monitor does, and test windows against it, which calibrates the tests."""
    baseline = BaselineLearner(model="m", rows=len(times_ns)).add(columns, times_ns, int(times_ns[-1]))
    assert baseline is not None
    detector = DriftDetector(baseline, threshold=evidence_threshold(_SETTINGS.drift.budget, window_seconds=_SETTINGS.drift.window_time))
    assert detector.update(columns, times_ns)
    return detector


def _watch(spool: Path, detector: DriftDetector, stages: Stages) -> Iterator[tuple[list[StoredExchange], FeatureRows]]:
    """Take a spool through everything but the store; yield the rows for that."""
    buffer = ColumnBuffer(max_features=_SETTINGS.drift.max_features)
    reader = SpoolReader(spool, {})
    while True:
        with stages("read the spool"):
            frames = reader.read(_FRAMES_PER_READ, _BATCH_BYTES).frames
        if not frames:
            break
        with stages("decode records"):
            records = [_decode_record(frame.payload) for frame in frames]
        for first in range(0, len(records), _AT_ONCE):
            _decode(records[first : first + _AT_ONCE], buffer, stages)
        with stages("columns"):
            columns, times_ns = buffer.take()
        with stages("windows and tests"):
            detector.update(columns, times_ns)
        features = FeatureRows("m", ["1"] * len(records), [record.exchange_id for record in records], [0] * len(records), times_ns, columns)
        yield [StoredExchange(frame.writer, frame.sequence, record, "m", "1") for frame, record in zip(frames, records, strict=True)], features
    reader.close()


def _decode(records: Sequence[Exchange], buffer: ColumnBuffer, stages: Stages) -> None:
    with stages("decode bodies"):
        decoded = [decode(record) for record in records]
    with stages("names of models, for store and detectors"):
        for record, (_, response) in zip(records, decoded, strict=True):
            _name(record)
            _label_key(record)
            _name(record, response)
    with stages("columns"):
        for record, (request, response) in zip(records, decoded, strict=True):
            buffer.add(request, response, record.started_at_ns)


def _store(batches: Iterator[tuple[list[StoredExchange], FeatureRows]], directory: Path, stages: Stages) -> None:
    """Insert into an embedded store of its own, with the merges that follow."""
    # All batches are made before the engine starts: its threads would count into the other stages.
    made = list(batches)
    store = open_store(directory)
    client = store.client()
    inserter = Inserter(client)
    with stages("insert into ClickHouse"):
        for batch in _batches([row for rows, _ in made for row in rows]):
            inserter.store(EXCHANGES, batch, {})
        time.sleep(MERGE_SECONDS)
    writer = ResultWriter(store)
    with stages("insert features"):
        for _, features in made:
            writer.write_features([features])
        time.sleep(MERGE_SECONDS)
    client.close()
    store.close()


def _batches(rows: Sequence[StoredExchange]) -> Iterator[Sequence[StoredExchange]]:
    """Yield what the loader inserts at a time."""
    size = _SETTINGS.store.batch_rows
    return (rows[first : first + size] for first in range(0, len(rows), size))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.monitor", description="CPU of the watching side per exchange, by stage and all in.")
    parser.add_argument("--quick", action="store_true", help="60,000 exchanges instead of 200,000")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()), help="where spool and store lie (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
