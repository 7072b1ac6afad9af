"""`driftline monitor` on a spool that is full already, until it has stored and watched everything."""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from bench.processes import CORES, BenchmarkError, free_port, running

_PATIENCE_SECONDS = 300.0


def cpu_all_in_ns(spool: Path, count: int, directory: Path) -> int:
    """Return the CPU time that `count` exchanges cost, start-up not counted. The spool is empty afterwards."""
    idle = directory / "idle"
    (idle / "spool").mkdir(parents=True)
    start_up_ns = _cpu_until_done_ns(idle / "spool", 0, idle)
    full = directory / "full"
    full.mkdir()
    return _cpu_until_done_ns(spool, count, full) - start_up_ns


def _cpu_until_done_ns(spool: Path, count: int, room: Path) -> int:
    port = free_port()
    program = Path(sys.executable).with_name("driftline")
    command = [str(program), "monitor", "--spool", str(spool), "--data-dir", str(room / "data"), "--admin", f"127.0.0.1:{port}"]
    with running("driftline monitor", command, port=port, cores=CORES, log=room / "log") as group:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not _done(_status(port), count):
            if time.monotonic() > deadline:
                raise BenchmarkError(f"driftline monitor did not store {count} exchanges within {_PATIENCE_SECONDS:.0f} s: {_status(port)}")
            time.sleep(0.25)
        time.sleep(3.0)  # the merges that follow the inserts
        return sum(group.cpu_ns().values())


def _done(status: dict[str, Any], count: int) -> bool:
    lags = [consumer["lag_records"] for consumer in status["consumers"]]
    return status["counts"]["stored"] == count and not any(lags)


def _status(port: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/status") as reply:
        status: dict[str, Any] = json.load(reply)
        return status
