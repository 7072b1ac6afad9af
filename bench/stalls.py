"""How long an event loop stands still for the spool while another process keeps the disk busy: `python -m bench.stalls`.

A loop like a worker's appends records at a steady rate, small ones into the mapping and large ones by a system call, and notes how long each append took by the
wall clock, less the time for which the thread could have run and had no processor: what is left is work and waiting for the disk. Beside it a process writes to the same
file system and calls fsync, over and over. Rows without that process show what the machine itself does, a virtual one for example. /dev/shm is memory (tmpfs).
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop

from bench.processes import exit_on_sigterm
from bench.report import machine_sentence, markdown_table, write_json
from records.exchange import Body, Exchange, Role
from records.ids import new_exchange_id
from store.spool.cipher import SpoolKeys
from store.spool.encryption import Keyring
from store.spool.ledger import LedgerWriter
from store.spool.reader import SpoolReader
from store.spool.retire import retire
from store.spool.state import LoaderState
from store.spool.writer import SpoolWriter, create_writer_directory

_BURST: Final = 10
_BURST_SECONDS: Final = 0.005
_LARGE_EVERY: Final = 20
"""Of the records, one in so many has bodies of 64 KB; the others are of 1 KB."""
_KEYS: Final = Keyring([("bench", bytes(32))])
_SEGMENT_BYTES: Final = 4 * 1024 * 1024


class Case(msgspec.Struct, frozen=True):
    """One run."""

    where: str
    busy: bool
    sync_seconds: float | None
    encrypted: bool


class Row(msgspec.Struct, frozen=True):
    """What came of it; times of one append in microseconds, without waiting for a processor."""

    case: Case
    records: int
    dropped: int
    p50_us: float
    p99_us: float
    p999_us: float
    longest_us: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.stalls", description="How long an event loop stands still for the spool while the disk is busy.")
    parser.add_argument("--seconds", type=float, default=20.0, metavar="S", help="per row (default: %(default)s)")
    parser.add_argument("--disk", type=Path, default=Path.cwd(), metavar="DIR", help="a directory on the disk (default: the working directory)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    arguments: Any = parser.parse_args()
    exit_on_sigterm()
    places = [arguments.disk, Path("/dev/shm")]
    cases: list[tuple[Path, bool, float | None, bool]] = [(place, busy, None, False) for place in places for busy in (False, True)]
    cases += [(arguments.disk, True, 1.0, False), (arguments.disk, True, 0.1, False), (arguments.disk, False, None, True)]
    rows = [_measure(place, Case(file_system(place), busy, sync, encrypted), arguments.seconds) for place, busy, sync, encrypted in cases]
    print(f"{machine_sentence()}.\n\n{report(rows)}")
    if arguments.json:
        write_json(arguments.json, {"rows": msgspec.to_builtins(rows)})


def report(rows: list[Row]) -> str:
    """Return the figures as Markdown."""
    return markdown_table(
        ("spool on", "disk", "`spool.fsync`", "encrypted", "records", "dropped", "p50 µs", "p99 µs", "p99.9 µs", "longest ms"),
        [
            (
                row.case.where,
                "busy" if row.case.busy else "idle",
                "–" if row.case.sync_seconds is None else f"{row.case.sync_seconds:g} s",
                "yes" if row.case.encrypted else "no",
                f"{row.records:,}",
                f"{row.dropped}",
                f"{row.p50_us:.0f}",
                f"{row.p99_us:.0f}",
                f"{row.p999_us:.0f}",
                f"{row.longest_us / 1e3:.1f}",
            )
            for row in rows
        ],
    )


def file_system(directory: Path) -> str:
    """Return the type of the file system on which a directory lies."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    above = [(mount[1], mount[2]) for mount in mounts if directory.resolve().is_relative_to(mount[1])]
    return max(above, key=lambda mount: len(mount[0]))[1]


def _measure(place: Path, case: Case, seconds: float) -> Row:
    with tempfile.TemporaryDirectory(prefix="driftline-stalls-", dir=place) as directory:
        spool = Path(directory) / "spool"
        keys = _KEYS if case.encrypted else None
        with _beside(_keep_busy, Path(directory)) if case.busy else nullcontext(), _beside(_consume, spool):
            times, dropped = uvloop.run(_append(spool, case.sync_seconds, keys, seconds))
    times.sort()
    return Row(case, len(times), dropped, statistics.median(times), _quantile(times, 0.99), _quantile(times, 0.999), times[-1])


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def _append(spool: Path, sync_seconds: float | None, keys: SpoolKeys | None, seconds: float) -> tuple[list[float], int]:
    """Return how long each append took in microseconds, and how many records found no room."""
    directory = create_writer_directory(spool, 0)
    ledger = LedgerWriter(directory)
    writer = SpoolWriter(directory, ledger, segment_bytes=_SEGMENT_BYTES, max_bytes=1 << 31, sync_seconds=sync_seconds, keys=keys)
    exchanges = [_exchange(1_000 if number else 64_000) for number in range(_LARGE_EVERY)]
    times, dropped, end = [], 0, time.monotonic() + seconds
    scheduled = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
    while time.monotonic() < end:
        for number in range(_BURST):
            exchange = exchanges[(len(times) + number) % _LARGE_EVERY]
            began, waited = time.perf_counter_ns(), _waited_ns(scheduled)
            dropped += not writer.append(exchange)
            times.append((time.perf_counter_ns() - began - _waited_ns(scheduled) + waited) / 1e3)
        await asyncio.sleep(_BURST_SECONDS)
    writer.close()
    ledger.close()
    return times, dropped


def _waited_ns(scheduled: int) -> int:
    """Return for how long this thread has been ready to run and had no processor."""
    return int(os.pread(scheduled, 64, 0).split()[1])


def _exchange(body_bytes: int) -> Exchange:
    body = Body(content=os.urandom(body_bytes // 2), size_bytes=body_bytes // 2)
    return Exchange(
        exchange_id=new_exchange_id(),
        request_id="r",
        role=Role.SERVED,
        route="default",
        arm="upstream",
        started_at_ns=1,
        method="POST",
        path="/",
        request=body,
        response=body,
    )


def _keep_busy(directory: Path) -> None:
    """Write to the disk and have it written through, for ever."""
    block = os.urandom(1 << 20)
    with (directory / "busy").open("w+b", buffering=0) as file:
        while True:
            for at in range(256):
                os.pwrite(file.fileno(), block, at << 20)
                if at % 16 == 15:
                    os.fsync(file.fileno())


def _consume(spool: Path) -> None:
    """Read what is appended and give segments back, as a monitor does, for ever."""
    reader, state = SpoolReader(spool, {}, _KEYS), LoaderState()
    while True:
        batch = reader.read(10_000, 1 << 25)
        state = state.acknowledging(batch.cursors, {}, {})
        retire(spool, state, state.cursors, now_seconds=time.time())
        time.sleep(0.1)


@contextmanager
def _beside(work: Callable[[Path], None], directory: Path) -> Iterator[None]:
    """Run this in a process of its own."""
    process = multiprocessing.get_context("fork").Process(target=work, args=(directory,))
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


if __name__ == "__main__":
    main()
