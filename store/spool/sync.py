"""Writes what was appended through to the disk, so that it outlives a loss of power as well (docs/guarantee.md).

By a thread: a disk can take its time, and no request waits for it.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from store.spool.ledger import LedgerWriter
from store.spool.preparer import Segment
from store.spool.state import sync_directory

_log = logging.getLogger(__name__)


class Syncer:
    """Syncs one writer's segments and ledger at its start, every `interval_seconds`, and at its end. `failed` is called, in the thread, where the disk fails."""

    def __init__(self, directory: Path, ledger: LedgerWriter, interval_seconds: float, failed: Callable[[], None]) -> None:
        self._directory = directory
        self._ledger = ledger
        self._interval_seconds = interval_seconds
        self._failed = failed
        self._current: Segment | None = None
        self._new_names = True
        self._full: deque[Segment] = deque()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spool-syncer", daemon=True)
        self._thread.start()

    def follow(self, segment: Segment) -> None:
        """Take note that records go to this segment from now on. The one before it will be closed here, once it is on the disk."""
        before, self._current = self._current, segment
        self._new_names = True
        if before is not None:
            self._full.append(before)

    def stop(self) -> None:
        """Sync what there is, close the segments and end the thread."""
        self._stopped.set()
        self._thread.join()
        for segment in (*self._full, *filter(None, (self._current,))):
            segment.close()

    def _run(self) -> None:
        self._sync()  # the ledger at once: without it nothing that follows can be read
        while not self._stopped.wait(self._interval_seconds):
            self._sync()
        self._sync()

    def _sync(self) -> None:
        try:
            self._sync_names()
            while self._full:
                os.fdatasync(self._full[0].fd)
                self._full.popleft().close()
            if self._current is not None:
                os.fdatasync(self._current.fd)
            self._ledger.sync()
        except OSError as error:
            _log.error("%s cannot be brought to the disk: %s", self._directory, error)
            self._new_names = True
            self._failed()

    def _sync_names(self) -> None:
        """A file is safe only when its name is, in its directory and in the one above."""
        if self._new_names:
            self._new_names = False
            for directory in (self._directory, self._directory.parent):
                sync_directory(directory)
