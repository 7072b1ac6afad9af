"""Ends what is computed on the event loop and does not end by itself, from a thread beside it."""

from __future__ import annotations

import threading
import time
from typing import Final

from runtime.session import Stop

CPU_LIMIT_NS: Final = 50_000_000
"""CPU time that a run on the event loop may take; it was expected to take less than a hundredth of that. Not the clock's: where other processes have the
cores, the shortest run may last for long."""

LIMIT_NS: Final = 2_000_000_000
"""How long it may last, whatever it waits for."""

_LOOK_SECONDS: Final = 0.02


class Watch:
    """Sees the one run that the event loop computes now, if any. Made on the event loop's thread."""

    def __init__(self) -> None:
        self._stop: Stop | None = None
        self._number = 0
        self._began_ns = 0
        self._closed = threading.Event()
        self._clock = time.pthread_getcpuclockid(threading.get_ident())
        self._watcher = threading.Thread(target=self._look, name="watch", daemon=True)
        self._watcher.start()

    def begin(self, stop: Stop, now_ns: int) -> None:
        """A run begins; `stop` ends it. `now_ns` is `time.perf_counter_ns`."""
        self._number += 1
        self._began_ns = now_ns
        self._stop = stop

    def end(self) -> None:
        """It has ended."""
        self._stop = None

    def close(self) -> None:
        """Watch no more."""
        self._closed.set()

    def _look(self) -> None:
        seen = used_ns = 0
        while not self._closed.wait(_LOOK_SECONDS):
            number, stop = self._number, self._stop
            if stop is None:
                continue
            now_used_ns = time.clock_gettime_ns(self._clock)
            if number != seen:
                seen, used_ns = number, now_used_ns
            elif now_used_ns - used_ns > CPU_LIMIT_NS or time.perf_counter_ns() - self._began_ns > LIMIT_NS:
                stop.now()
