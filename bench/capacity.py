"""What an exchange takes on the disk, table by table, and what that makes of a day's traffic: `python -m bench.capacity`.

`driftline monitor` stores and watches a long spool; then the tables are merged and their files are added up.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.monitor import SHORT_SPOOL, measure_monitor
from bench.processes import BenchmarkError, exit_on_sigterm
from bench.report import machine_sentence, markdown_table, write_json
from config.settings import StoreSettings
from store.clickhouse.client import open_store

RATES: Final = (1_000, 10_000, 100_000)
SHARD_BYTES: Final = 4e12
SHARD_CORES: Final = 8
"""What a server of a shard is taken to have; half of each is left to merges, queries and peaks."""
_DAY_SECONDS: Final = 86_400
_BODIES: Final = "the bodies in `exchanges`"
_KEPT_AS_RESULTS: Final = ("windows", "verdicts")


class Figures(msgspec.Struct, frozen=True):
    """What a run gave."""

    exchanges: int
    body_bytes: float
    """Request and reply as they were sent, per exchange."""
    disk_bytes: dict[str, float]
    """Per exchange, by what they are."""
    cpu_us_per_exchange: float

    def day_bytes(self, rate: int) -> float:
        """Return what a day of so many exchanges per second takes."""
        return sum(self.disk_bytes.values()) * rate * _DAY_SECONDS

    def kept_bytes(self, rate: int) -> float:
        """Return what is on the disk once as much is forgotten as comes, with the settings' defaults."""
        return rate * sum(_days(what) * size for what, size in self.disk_bytes.items()) * _DAY_SECONDS

    def shards(self, rate: int) -> int:
        """Return how many servers take that, without replicas."""
        cores = rate * self.cpu_us_per_exchange / 1e6  # more than inserting alone costs
        return math.ceil(max(self.kept_bytes(rate) / (SHARD_BYTES / 2), cores / (SHARD_CORES / 2)))


def main() -> int:
    """Measure and print."""
    arguments = _parse()
    exit_on_sigterm()
    try:
        with tempfile.TemporaryDirectory(prefix="driftline-bench-", dir=arguments.directory) as directory:
            figures = measure(3 * SHORT_SPOOL if arguments.quick else 10 * SHORT_SPOOL, Path(directory))
    except BenchmarkError as error:
        print(f"bench.capacity: {error}", file=sys.stderr)
        return 1
    print(f"{machine_sentence()}.\n\n{report(figures)}")
    if arguments.json:
        write_json(arguments.json, {"figures": msgspec.to_builtins(figures)})
    return 0


def report(figures: Figures) -> str:
    """Return the figures as Markdown."""
    by_table = [(what, f"{size:,.1f}") for what, size in figures.disk_bytes.items()]
    total = ("together", f"{sum(figures.disk_bytes.values()):,.1f}")
    by_rate = [
        (
            f"{rate:,}",
            f"{rate * _DAY_SECONDS / 1e6:,.0f}",
            f"{figures.day_bytes(rate) / 1e9:,.0f}",
            f"{figures.kept_bytes(rate) / 1e12:,.1f}",
            f"{rate * figures.cpu_us_per_exchange / 1e6:,.1f}",
            f"{figures.shards(rate)}",
        )
        for rate in RATES
    ]
    heads = ("exchanges per second", "millions a day", "GB a day", "TB with the defaults' ages", "cores that watch and store", "shards")
    return (
        f"{figures.exchanges:,} exchanges of 30 numbers in and 2 out, V2 JSON, {figures.body_bytes:,.0f} bytes of bodies each:\n\n"
        f"{markdown_table(('', 'bytes on the disk per exchange'), [*by_table, total])}\n\n{markdown_table(heads, by_rate)}"
    )


def measure(count: int, room: Path) -> Figures:
    """Let a monitor store and watch so many exchanges, and look at what it has made."""
    cpu_us = measure_monitor(count, room)
    store = open_store(room / f"monitor-{count}" / "data")
    client = store.client()
    try:
        for table in ("exchanges", "features"):
            client.command(f"OPTIMIZE TABLE {table} FINAL")
        return _figures(client, cpu_us)
    finally:
        client.close()
        store.close()


def _figures(client: Any, cpu_us: float) -> Figures:
    stored, bodies_sent = client.query("SELECT count(), avg(length(request_body) + length(response_body)) FROM exchanges").result_rows[0]
    ours = "database = currentDatabase() AND table NOT IN ('baselines', 'schema_version', 'alerts')"
    tables = dict(client.query(f"SELECT table, sum(bytes_on_disk) FROM system.parts WHERE active AND {ours} GROUP BY table ORDER BY table").result_rows)
    bodies = client.command("SELECT sum(data_compressed_bytes) FROM system.columns WHERE table = 'exchanges' AND name IN ('request_body', 'response_body')")
    sizes: Mapping[str, float] = {"`exchanges` without bodies": tables.pop("exchanges") - bodies, _BODIES: bodies} | {
        f"`{table}`": size for table, size in tables.items()
    }
    return Figures(stored, float(bodies_sent), {what: size / stored for what, size in sizes.items()}, cpu_us)


def _days(what: str) -> float:
    keep = StoreSettings()
    seconds = keep.keep_bodies if what == _BODIES else keep.keep_results if what.strip("`") in _KEPT_AS_RESULTS else keep.keep
    return seconds / _DAY_SECONDS


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.capacity", description="What an exchange takes on the disk, and what that makes of a day.")
    parser.add_argument("--quick", action="store_true", help="60,000 exchanges instead of 200,000")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()), help="where spool and store lie (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
