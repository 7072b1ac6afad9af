"""A thread that computes one batch at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Final, TypeAlias

from runtime.inference import Inference
from runtime.session import Array, ModelError, Session, Stop

_STOP_SECONDS: Final = 1.0
"""How long a stopping server waits for a model that computes what nobody waits for."""


class Run:
    """A batch that is being computed."""

    __slots__ = ("arrays", "batch", "rows", "started_ns", "stop", "stopped_ns")

    def __init__(self, batch: Sequence[Inference], arrays: Sequence[Array], rows: int, started_ns: int) -> None:
        self.batch = batch
        self.arrays = arrays
        self.rows = rows
        self.started_ns = started_ns
        self.stop = Stop()
        self.stopped_ns = 0
        """When it was told to stop; 0 where it was not."""


Finished: TypeAlias = Callable[["Instance", Run, "list[Array] | ModelError", float], None]


class Instance:
    """One of a model's. `on_finished` is called on the event loop with the outputs, or why there are none, and the seconds that it took."""

    def __init__(self, session: Session, name: str, on_finished: Finished) -> None:
        self.run: Run | None = None
        self._session = session
        self._on_finished = on_finished
        self._loop = asyncio.get_running_loop()
        self._runs: SimpleQueue[Run | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def start(self, run: Run) -> None:
        """Compute this, while nothing else is computed."""
        self.run = run
        self._runs.put(run)

    def close(self) -> None:
        """Compute no more, and stop what is being computed."""
        self._runs.put(None)
        if self.run is not None:
            self.run.stop.now()
            self._thread.join(_STOP_SECONDS)

    def _work(self) -> None:
        while (run := self._runs.get()) is not None:
            began = time.perf_counter()
            outcome = _outcome(self._session, run)
            with suppress(RuntimeError):  # the event loop has ended, and nobody waits for this any more
                self._loop.call_soon_threadsafe(self._finish, run, outcome, time.perf_counter() - began)

    def _finish(self, run: Run, outcome: list[Array] | ModelError, seconds: float) -> None:
        self.run = None
        self._on_finished(self, run, outcome, seconds)


def _outcome(session: Session, run: Run) -> list[Array] | ModelError:
    try:
        return session.run(run.arrays, run.stop)
    except ModelError as error:
        return error
