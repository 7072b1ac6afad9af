"""`driftline monitor` on a spool that is full already, until it has stored and watched everything."""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from bench.processes import CORES, BenchmarkError, free_port, running

MERGE_SECONDS = 3.0
"""ClickHouse goes on merging for so long after the last insert of a benchmark."""

_PATIENCE_SECONDS = 300.0


def cpu_until_done_ns(spool: Path, count: int, room: Path) -> int:
    """Return the CPU time, all threads, from the start until `count` exchanges of `spool` are stored, watched and merged; `room` is an empty directory."""
    port = free_port()
    program = Path(sys.executable).with_name("driftline")
    command = [str(program), "monitor", "--spool", str(spool), "--data-dir", str(room / "data"), "--admin", f"127.0.0.1:{port}"]
    with running("driftline monitor", command, port=port, cores=CORES, log=room / "log") as group:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not _done(status := _status(port), count):
            if time.monotonic() > deadline:
                raise BenchmarkError(f"driftline monitor did not store {count} exchanges within {_PATIENCE_SECONDS:.0f} s: {status}")
            time.sleep(0.25)
        time.sleep(MERGE_SECONDS)
        return sum(group.cpu_ns().values())


def _done(status: dict[str, Any], count: int) -> bool:
    lags = [consumer["lag_records"] for consumer in status["consumers"]]
    return status["counts"]["stored"] == count and not any(lags)


def _status(port: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/status") as reply:
        status: dict[str, Any] = json.load(reply)
        return status
