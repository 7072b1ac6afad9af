"""The loader of `bench.drain`: brings a spool into an embedded store, and says what that took."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Final

from config.settings import StoreSettings
from records.exchange import Exchange
from store.clickhouse.batch import BatchLimits
from store.clickhouse.client import open_store
from store.clickhouse.loader import Loader

_LOOK_SECONDS: Final = 0.1
_FOREVER: Final = 1e12


class Memory:
    """This process's resident memory, looked at all the time."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            self.peak_bytes = max(self.peak_bytes, resident_bytes())


def resident_bytes() -> int:
    """Return what of this process is in memory and in no file."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) * 1024


def main() -> None:
    """`python -m bench.drain_loader ROOM`: the spool is ROOM/spool."""
    room = Path(sys.argv[1])
    store = open_store(room / "data")
    client = store.client()
    defaults = StoreSettings()
    loader = Loader(room / "spool", room / "loader.state", store, _name, BatchLimits(rows=defaults.batch_rows, wait_seconds=defaults.batch_wait))
    before_bytes, memory = resident_bytes(), Memory()
    began, cpu_before_ns = time.monotonic(), time.process_time_ns()
    loader.drain(_FOREVER)
    seconds, cpu_ns = time.monotonic() - began, time.process_time_ns() - cpu_before_ns
    memory.stop()
    rows = client.command("SELECT count(), uniqExact(writer, sequence) FROM exchanges")
    stored = sum(loader.state.stored.values())
    loader.close()
    figures = {"stored": stored, "seconds": seconds, "cpu_ns": cpu_ns, "before_bytes": before_bytes, "peak_bytes": memory.peak_bytes, "rows": rows}
    print(json.dumps(figures))


def _name(exchange: Exchange) -> tuple[str, str]:
    return exchange.model or "m", exchange.version


if __name__ == "__main__":
    main()
