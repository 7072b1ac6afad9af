"""Keeps one process running: started, started again when it dies, stopped in order."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from contextlib import suppress
from typing import Final

import msgspec

from driftline.children import BAD_INPUT, READY
from driftline.process import Process, read_line

_log = logging.getLogger(__name__)

_BACKOFF_SECONDS: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_STEADY_SECONDS: Final = 10.0
"""A process that ran for this long starts again without a pause."""

_READY_SECONDS: Final = 60.0


class ChildPlan(msgspec.Struct, frozen=True):
    """One process to keep running."""

    name: str
    module: str
    task: bytes
    """As `driftline.children.write_task` makes it."""
    stage: int
    """Processes of a lower stage are stopped, and have ended, before those of a higher one are told to stop."""
    stop_seconds: float
    """How long it may take to stop before it is killed."""
    pass_fds: tuple[int, ...] = ()
    ready_seconds: float = _READY_SECONDS
    """How long it may take until it serves before it is killed."""
    environment: dict[str, str] = {}
    """Variables that it gets where this process does not have them itself."""


class StartError(Exception):
    """A process could not start; it, or the log, has said why."""

    def __init__(self, status: int) -> None:
        super().__init__(f"exit status {status}")
        self.status = status


class Child:
    """One process and its successors."""

    def __init__(self, plan: ChildPlan, process: Process | None = None, *, proven: bool = False) -> None:
        """Begin to keep it running; `process` runs already. What is `proven` has served before: it is tried again even where it fails at once."""
        self.plan = plan
        self.ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """What the process said when it first served, or `StartError` where it ended before."""
        self.ready.add_done_callback(lambda ready: ready.cancelled() or ready.exception())  # it need not be asked for
        self.process = process
        self._proven = proven
        self._stop_requested = asyncio.Event()
        if process is not None:
            self.ready.set_result("")
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> bool:
        """Tell it to stop and wait; kill it when it takes too long. Return whether it ended by itself and well."""
        self._stop_requested.set()
        process = self.process
        if process is None:  # the keeper sees the request before it starts anything
            await asyncio.wait([self._keeper])
            return True
        process.send_signal(signal.SIGTERM)
        try:
            status = await asyncio.wait_for(process.wait(), self.plan.stop_seconds)
        except TimeoutError:
            _log.error("%s did not stop within %g s and is killed", self.plan.name, self.plan.stop_seconds)
            process.send_signal(signal.SIGKILL)
            status = await process.wait()
        await asyncio.wait([self._keeper])
        return status == 0

    async def tell(self, word: bytes) -> None:
        """Say a word of `driftline.children` to it; nothing where it does not serve now."""
        if self.ready.done() and self.process is not None and self.process.running:
            with suppress(BrokenPipeError):
                await self.process.write(word)

    async def _keep(self) -> None:
        """Run the process; run it again when it dies, after a pause that grows while it keeps dying."""
        deaths = 0
        while not self._stop_requested.is_set():
            started = time.monotonic()
            status = await self._run_once()
            if self._stop_requested.is_set():
                return
            if not self.ready.done() and not self._proven:
                self.ready.set_exception(StartError(status if status > 0 else 1))
                return
            deaths = 0 if time.monotonic() - started > _STEADY_SECONDS else deaths + 1
            _log.warning("%s ended with status %d; starting it again", self.plan.name, status)
            if status == BAD_INPUT:
                deaths = len(_BACKOFF_SECONDS)
            pause = _BACKOFF_SECONDS[min(deaths, len(_BACKOFF_SECONDS) - 1)]
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop_requested.wait(), pause)

    async def _run_once(self) -> int:
        """Run one process to its end and return its exit status."""
        if self.process is None or not self.process.running:
            try:
                self.process, said_fd = Process.start(["-m", self.plan.module], self.plan.pass_fds, {**self.plan.environment, **os.environ})
            except OSError as error:
                _log.error("%s cannot be started: %s", self.plan.name, error.strerror)
                return 1
            await self._await_ready(self.process, said_fd)
        return await self.process.wait()

    async def _await_ready(self, process: Process, said_fd: int) -> None:
        """Give the process its task and wait until it serves; kill it where it stays silent."""
        line = b""
        said = asyncio.create_task(read_line(said_fd))
        try:
            async with asyncio.timeout(self.plan.ready_seconds):
                with suppress(BrokenPipeError):
                    await process.write(self.plan.task)
                line = await said
        except TimeoutError:
            said.cancel()
            _log.error("%s neither served nor ended within %g s and is killed", self.plan.name, self.plan.ready_seconds)
            process.send_signal(signal.SIGKILL)
        if line.startswith(READY) and not self.ready.done():
            self.ready.set_result(line.removeprefix(READY).strip().decode())
