"""What the spool costs: CPU per record to append and to read, and per idle poll: `python -m bench.spool`.

Records are of about 1 KB of MessagePack: an exchange with two bodies of 400 bytes. Appending is timed on the thread that appends, as a worker's loop
would feel it, and with the threads that prepare segments and bring them to the disk. The figures are medians of the rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec

from bench.report import machine_sentence, markdown_table, write_json
from records.exchange import Body, Exchange, Role
from records.ids import new_exchange_id
from store.spool.cipher import SpoolKeys
from store.spool.encryption import Keyring
from store.spool.format import segment_name
from store.spool.ledger import LedgerWriter
from store.spool.reader import SpoolReader
from store.spool.writer import SpoolWriter, create_writer_directory

BATCH_FRAMES = 10_000
BATCH_BYTES = 32 * 1024 * 1024
SEGMENT_BYTES = 4 * 1024 * 1024
POLLS = 1_000
SYNCED_RECORDS = 100
IDLE_WRITERS = 4


class Variant(msgspec.Struct, frozen=True):
    """One way to keep records; CPU in microseconds per record."""

    name: str
    append_us: float
    """Of the thread that appends."""
    append_in_all_us: float
    """With the threads that prepare segments and bring them to the disk."""
    read_us: float


class Figures(msgspec.Struct, frozen=True):
    """All that was measured."""

    record_bytes: int
    variants: list[Variant]
    poll_us: float
    """CPU of one look at idle writers."""
    synced_record_us: float
    """Wall time of bringing one record to the disk by itself."""
    keyring_bytes: int
    """Private memory that a process takes for being able to encrypt."""
    keyring_ms: float
    """CPU of loading what encrypts."""


_VARIANTS: Final[dict[str, tuple[float | None, SpoolKeys | None]]] = {
    "as it comes": (None, None),
    "`spool.fsync: 1s`": (1.0, None),
    "`spool.fsync: 100ms`": (0.1, None),
    "`spool.keys`": (None, Keyring([("bench", bytes(32))])),
}


_LOAD_KEYRING: Final = """
import time
from pathlib import Path
import store.spool.writer
def private(): return next(int(line.split()[1]) * 1024 for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
before, began = private(), time.process_time()
import store.spool.encryption
print(private() - before, (time.process_time() - began) * 1e3)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.spool", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=50_000, metavar="N", help="records per round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--spool-dir", type=Path, default=Path(tempfile.gettempdir()), metavar="DIR", help="where the spool lies (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    arguments = parser.parse_args()
    rounds = [_measure(arguments.records, arguments.spool_dir) for _ in range(arguments.rounds)]
    figures = Figures(
        record_bytes=len(msgspec.msgpack.encode(_exchange())),
        variants=[_median([one.variants[place] for one in rounds]) for place in range(len(_VARIANTS))],
        poll_us=statistics.median(one.poll_us for one in rounds),
        synced_record_us=statistics.median(one.synced_record_us for one in rounds),
        keyring_bytes=rounds[0].keyring_bytes,
        keyring_ms=statistics.median(one.keyring_ms for one in rounds),
    )
    print(f"{machine_sentence()}; {arguments.records} records, {arguments.rounds} rounds\n\n{report(figures)}")
    if arguments.json:
        write_json(arguments.json, {"figures": msgspec.to_builtins(figures)})


def report(figures: Figures) -> str:
    """Return the figures as Markdown."""
    rows = [(one.name, f"{one.append_us:.1f}", f"{one.append_in_all_us:.1f}", f"{one.read_us:.1f}") for one in figures.variants]
    table = markdown_table((f"CPU per record of {figures.record_bytes:,} bytes, µs", "append", "append, all threads", "read"), rows)
    return (
        f"{table}\n\nA look at {IDLE_WRITERS} idle writers takes {figures.poll_us:.0f} µs of CPU. Bringing each record to the disk by itself, which no setting does, would keep "
        f"its reply waiting for {figures.synced_record_us:,.0f} µs. A worker with keys takes {figures.keyring_bytes / 1e6:.1f} MB more, and {figures.keyring_ms:.0f} ms of CPU to start."
    )


def _median(of: list[Variant]) -> Variant:
    return Variant(
        of[0].name,
        statistics.median(one.append_us for one in of),
        statistics.median(one.append_in_all_us for one in of),
        statistics.median(one.read_us for one in of),
    )


def _measure(records: int, spool_dir: Path) -> Figures:
    variants = [_measure_variant(name, records, spool_dir) for name in _VARIANTS]
    with tempfile.TemporaryDirectory(prefix="driftline-bench-", dir=spool_dir) as directory:
        writers = [_start_writer(Path(directory), number, None, None) for number in range(IDLE_WRITERS)]
        reader = SpoolReader(Path(directory), {})
        reader.read(1, 1)
        polling = _poll(reader)
        synced = _sync_each(writers[0][0], min(path for path in Path(directory).iterdir()))
        reader.close()
        for writer, ledger in writers:
            writer.close()
            ledger.close()
    return Figures(0, variants, polling / POLLS * 1e6, synced * 1e6, *_load_keyring())


def _load_keyring() -> tuple[int, float]:
    """Return the private memory in bytes and the CPU in milliseconds that loading what encrypts takes a new process."""
    finished = subprocess.run([sys.executable, "-c", _LOAD_KEYRING], check=True, capture_output=True, text=True)
    taken, milliseconds = finished.stdout.split()
    return int(taken), float(milliseconds)


def _measure_variant(name: str, records: int, spool_dir: Path) -> Variant:
    sync_seconds, keys = _VARIANTS[name]
    with tempfile.TemporaryDirectory(prefix="driftline-bench-", dir=spool_dir) as directory:
        writer, ledger = _start_writer(Path(directory), 0, sync_seconds, keys)
        appending, in_all = _append(writer, records)
        reader = SpoolReader(Path(directory), {}, keys)
        reading = _read(reader, records)
        reader.close()
        writer.close()
        ledger.close()
    return Variant(name, appending / records * 1e6, in_all / records * 1e6, reading / records * 1e6)


def _start_writer(spool: Path, worker: int, sync_seconds: float | None, keys: SpoolKeys | None) -> tuple[SpoolWriter, LedgerWriter]:
    directory = create_writer_directory(spool, worker)
    ledger = LedgerWriter(directory)
    return SpoolWriter(directory, ledger, segment_bytes=SEGMENT_BYTES, max_bytes=1 << 40, sync_seconds=sync_seconds, keys=keys), ledger


def _sync_each(writer: SpoolWriter, directory: Path) -> float:
    """Return the median wall seconds of bringing a record to the disk by itself."""
    times = []
    with (directory / segment_name(1)).open("rb") as segment:
        for _ in range(SYNCED_RECORDS):
            writer.append(_exchange())
            began = time.perf_counter()
            os.fdatasync(segment.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def _append(writer: SpoolWriter, records: int) -> tuple[float, float]:
    """Return the CPU seconds of this thread and of the process. Where the disk is behind, wait for it as traffic would."""
    exchange, appended = _exchange(), 0
    thread, process = time.thread_time(), time.process_time()
    while appended < records:
        if writer.append(exchange):
            appended += 1
        else:
            time.sleep(0.001)
    return time.thread_time() - thread, time.process_time() - process


def _read(reader: SpoolReader, records: int) -> float:
    read, began = 0, time.thread_time()
    while read < records:
        read += len(reader.read(BATCH_FRAMES, BATCH_BYTES).frames)
    return time.thread_time() - began


def _poll(reader: SpoolReader) -> float:
    began = time.thread_time()
    for _ in range(POLLS):
        reader.read(BATCH_FRAMES, BATCH_BYTES)
    return time.thread_time() - began


def _exchange() -> Exchange:
    body = Body(content=b"0123456789" * 40, size_bytes=400, content_type="application/json")
    return Exchange(
        exchange_id=new_exchange_id(),
        request_id="7f0c9f5c-7b36-4b2e-9c5e-4f6b1f3f6f10",
        role=Role.SERVED,
        route="default",
        arm="primary",
        model="fraud",
        started_at_ns=time.time_ns(),
        total_ns=1_000_000,
        method="POST",
        path="/v2/models/fraud/infer",
        status=200,
        client="127.0.0.1",
        request=body,
        response=body,
    )


if __name__ == "__main__":
    main()
