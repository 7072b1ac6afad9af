"""The process that stands in the monitor's place where memory is scarce: it brings the spool into a ClickHouse server, and does nothing else.

The same loader as the monitor's, hence the same promise: each record once, whatever dies when, however long the link is down.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

from config.settings import Settings
from driftline.children import BAD_INPUT, SUCCEEDED, log_to_stderr, read_task, say_ready, stop_event
from driftline.decoding import Decoding
from driftline.label_keys import LabelKeys
from driftline.monitor_task import DRAIN_SECONDS, MonitorTask
from driftline.naming import Naming, load_baselines
from driftline.spool_keeping import SpoolKeeping, batch_limits
from driftline.spooling import keys_of
from store.clickhouse.client import open_store
from store.clickhouse.loader import Loader
from store.clickhouse.retention import Retention
from store.directories import make_private
from store.owner import HeldError, take_lock
from store.spool.counts import take_stock
from store.spool.listing import LOADER_STATE_NAME, SPOOL_LOCK_NAME

_REPORT_SECONDS: Final = 300.0

_log = logging.getLogger(__name__)


class Forwarder:
    """Raises HeldError, OSError or ValueError, each with a sentence for the user, where it cannot start."""

    def __init__(self, settings: Settings) -> None:
        self._spool = spool = settings.spool_directory
        make_private(spool)
        naming = Naming(load_baselines(settings.routes), Decoding(settings.routes).identify)
        self._store = open_store(spool, settings.store, Retention.of(settings.store))
        self._lock = take_lock(spool / SPOOL_LOCK_NAME, f"The spool {spool}", "--spool")
        self._loader = Loader(
            spool,
            spool / LOADER_STATE_NAME,
            self._store,
            naming,
            batch_limits(settings),
            label_key=LabelKeys(settings.routes),
            fsync=settings.spool.fsync is not None,
            keys=keys_of(settings.spool),
        )
        self._keeping = SpoolKeeping(spool, settings.spool, self._loader, lambda: self._loader.state.cursors)
        self._stop = threading.Event()
        self._failed = False
        self._succeeded = False

    def heard(self, word: bytes) -> None:
        """Heed what the supervisor says."""
        self._succeeded = self._succeeded or word == SUCCEEDED

    async def run(self, stop: asyncio.Event) -> bool:
        """Forward until `stop` is set, then what is left; return whether nothing had failed."""
        loop = asyncio.get_running_loop()
        thread = threading.Thread(target=self._load, args=(lambda: loop.call_soon_threadsafe(stop.set),), name="store", daemon=True)
        thread.start()
        tasks = [asyncio.create_task(work) for work in (self._keeping.retire(), self._keeping.make_room(), self._report())]
        say_ready()
        await stop.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self._drain, thread)
        return not self._failed

    def _load(self, on_failure: Callable[[], object]) -> None:
        try:
            self._loader.run(self._stop)
        except Exception:  # noqa: BLE001 - whatever it was: it is logged, and the process ends
            _log.exception("the forwarder failed; it starts again")
            self._failed = True
            on_failure()

    async def _report(self) -> None:
        """Say the counts now and then: nobody can ask this process."""
        while True:
            await asyncio.sleep(_REPORT_SECONDS)
            stock = await asyncio.to_thread(take_stock, self._spool, self._loader.state)
            _log.info("%s", stock.counts.identity)

    def _drain(self, thread: threading.Thread) -> None:
        self._stop.set()
        thread.join()
        if not self._failed and not self._succeeded and not self._loader.drain(time.monotonic() + DRAIN_SECONDS):
            _log.warning("what the store did not take waits in the spool for the next start")
        self._loader.close()
        self._store.close()
        os.close(self._lock)


def run_forwarder(settings: Settings, *, supervised: bool) -> int:
    """Bring the spool into the store until it is told to stop; return the exit status."""

    async def run() -> bool:
        return await forwarder.run(stop_event(supervised=supervised, on_word=forwarder.heard))

    try:
        forwarder = Forwarder(settings)
    except (HeldError, OSError, ValueError) as error:
        sys.stderr.write(f"driftline: {error}\n")
        return BAD_INPUT
    return 0 if asyncio.run(run()) else 1


def main() -> int:
    """Run a forwarder for a supervisor."""
    task: MonitorTask = read_task()
    log_to_stderr("forwarder")
    return run_forwarder(task.settings, supervised=True)


if __name__ == "__main__":
    sys.exit(main())
