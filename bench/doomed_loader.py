"""One life of a loader for `bench.crash_points`: finish what its predecessor left, say what the store has of it, then begin anew and be killed."""

from __future__ import annotations

import ctypes
import json
import re
import sys
import time
from pathlib import Path
from typing import Any, Final

from config.addresses import Endpoint
from config.settings import StoreSettings
from records.exchange import Exchange
from store.clickhouse.batch import BatchLimits
from store.clickhouse.client import Store, open_store
from store.clickhouse.loader import Loader

BATCH_ROWS: Final = 16
TRACED: Final = re.compile(r"^TracerPid:\t[1-9]", re.MULTILINE)
_PR_SET_PTRACER: Final = 0x59616D61
_PR_SET_PTRACER_ANY: Final = ctypes.c_ulong(-1)
_PATIENCE_SECONDS: Final = 60.0


def main() -> None:
    """`python -m bench.doomed_loader ROOM URL PREVIOUS NEXT`: two spools under ROOM, either of which may be empty for none; URL likewise."""
    room, url, previous, following = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _PR_SET_PTRACER_ANY, 0, 0, 0)  # strace is no ancestor
    store = open_store(Path(room) / "data", StoreSettings(clickhouse=Endpoint.parse(url) if url else None))
    client = store.client()
    if previous:
        state = _drain(Path(room) / previous, store)
        found = {table: _positions(client, table, previous) for table in ("exchanges", "outcomes")}
        _say(found | {"stored": state.stored.get(previous, 0), "dropped": state.dropped.get(previous, {}), "intent": dict(state.intent)})
    if following:
        _say("ready")
        while not TRACED.search(Path("/proc/self/status").read_text()):
            time.sleep(0.005)
        _drain(Path(room) / following, store)
        _say("survived")


def _drain(directory: Path, store: Store) -> Any:
    loader = Loader(directory / "spool", directory / "loader.state", store, _name, BatchLimits(rows=BATCH_ROWS, wait_seconds=0.0))
    if not loader.drain(time.monotonic() + _PATIENCE_SECONDS):
        raise SystemExit(f"the store did not take {directory} within {_PATIENCE_SECONDS:.0f} s: {loader.status.error}")
    loader.close()
    return loader.state


def _name(exchange: Exchange) -> tuple[str, str]:
    return exchange.model, exchange.version


def _positions(client: Any, table: str, writer: str) -> list[int]:
    rows = client.query(f"SELECT sequence FROM {table} WHERE writer = {{writer:String}} ORDER BY sequence", parameters={"writer": writer}).result_rows
    return [sequence for (sequence,) in rows]


def _say(what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
