"""Ends what is computed on the event loop and does not end by itself, from a thread beside it."""

from __future__ import annotations

import threading
import time
from typing import Final

from runtime.session import Stop

LIMIT_NS: Final = 50_000_000
"""How long a run on the event loop may take. It was expected to take less than a hundredth of that."""

_LOOK_SECONDS: Final = 0.02


class Watch:
    """Sees the one run that the event loop computes now, if any."""

    def __init__(self) -> None:
        self._current: tuple[Stop, int] | None = None
        self._closed = threading.Event()
        self._watcher = threading.Thread(target=self._look, name="watch", daemon=True)
        self._watcher.start()

    def begin(self, stop: Stop, now_ns: int) -> None:
        """A run begins; `stop` ends it. `now_ns` is `time.perf_counter_ns`."""
        self._current = (stop, now_ns + LIMIT_NS)

    def end(self) -> None:
        """It has ended."""
        self._current = None

    def close(self) -> None:
        """Watch no more."""
        self._closed.set()

    def _look(self) -> None:
        while not self._closed.wait(_LOOK_SECONDS):
            current = self._current
            if current is not None and time.perf_counter_ns() > current[1]:
                current[0].now()
