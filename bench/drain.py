"""Catching up after an outage: a spool that has grown long goes into the embedded store: `python -m bench.drain`.

The loader runs alone on one core, the engine's merges included. Its memory is what is resident and in no file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from bench.filled_spool import fill_spool
from bench.processes import CORES, BenchmarkError, exit_on_sigterm
from bench.report import machine_sentence, markdown_table, write_json
from bench.traffic import exchanges
from config.units import Bytes
from records.exchange import Exchange
from store.spool.listing import spool_bytes

PROMISED_PER_SECOND: Final = 20_000
PROMISED_US: Final = 25.0
_AT_ONCE: Final = 10_000


class Figures(msgspec.Struct, frozen=True):
    """What a run gave."""

    exchanges: int
    spool_bytes: int
    seconds: float
    cpu_us_per_exchange: float
    memory_before_bytes: int
    memory_peak_bytes: int

    @property
    def per_second(self) -> float:
        """Exchanges stored in a second."""
        return self.exchanges / self.seconds


def main() -> int:
    """Measure and print."""
    arguments = _parse()
    exit_on_sigterm()
    try:
        with tempfile.TemporaryDirectory(prefix="driftline-bench-", dir=arguments.directory) as directory:
            figures = measure(Path(directory), arguments.size)
    except BenchmarkError as error:
        print(f"bench.drain: {error}", file=sys.stderr)
        return 1
    print(f"{machine_sentence()}.\n\n{report(figures)}")
    if arguments.json:
        write_json(arguments.json, {"figures": msgspec.to_builtins(figures)})
    return 0


def report(figures: Figures) -> str:
    """Return the figures as Markdown, and how they stand to what is promised."""
    table = markdown_table(
        ("", "one core"),
        [
            ("exchanges per second", f"{figures.per_second:,.0f}"),
            ("exchanges per second of CPU", f"{1e6 / figures.cpu_us_per_exchange:,.0f}"),
            ("CPU µs per exchange, reading, decoding, inserting and merging", f"{figures.cpu_us_per_exchange:.1f}"),
            ("memory before, MiB", f"{figures.memory_before_bytes / 2**20:,.0f}"),
            ("memory at most, MiB", f"{figures.memory_peak_bytes / 2**20:,.0f}"),
        ],
    )
    rate = "kept" if figures.per_second >= PROMISED_PER_SECOND else "NOT kept"
    cost = "kept" if figures.cpu_us_per_exchange <= PROMISED_US else "NOT kept"
    return (
        f"{figures.exchanges:,} exchanges of 30 numbers in and 2 out, V2 JSON, {figures.spool_bytes / 1e9:.1f} GB of spool:\n\n{table}\n\n"
        f"- {figures.per_second:,.0f} exchanges per second (promised: at least {PROMISED_PER_SECOND:,}), {rate}\n"
        f"- {figures.cpu_us_per_exchange:.1f} µs per exchange (promised: at most {PROMISED_US:.0f}), {cost}"
    )


def measure(room: Path, size_bytes: int) -> Figures:
    """Fill a spool of this size and drain it."""
    spool = room / "spool"
    count = fill_spool(spool, _traffic(spool, size_bytes), max_bytes=2 * size_bytes + (1 << 30))
    command = ["taskset", "--cpu-list", str(CORES[-1]), sys.executable, "-m", "bench.drain_loader", str(room)]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    if found["stored"] != count or found["rows"] != [str(count), str(count)]:
        raise BenchmarkError(f"{count} exchanges were in the spool, and the store has {found['rows']}")
    return Figures(
        exchanges=count,
        spool_bytes=spool_bytes(spool),
        seconds=found["seconds"],
        cpu_us_per_exchange=found["cpu_ns"] / 1e3 / count,
        memory_before_bytes=found["before_bytes"],
        memory_peak_bytes=found["peak_bytes"],
    )


def _traffic(spool: Path, size_bytes: int) -> Iterator[Exchange]:
    """Yield exchanges until what was made of them in the spool has this size."""
    traffic = list(exchanges(_AT_ONCE))
    yield from traffic
    while spool_bytes(spool) < size_bytes:
        yield from traffic


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.drain", description="A long spool goes into the embedded store: how fast, and with how much memory.")
    parser.add_argument("--size", type=Bytes.parse, default=Bytes.parse("500 MB"), metavar="SIZE", help="of the spool (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()), help="where spool and store lie (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
