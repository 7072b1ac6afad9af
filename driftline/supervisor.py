"""Starts the processes, restarts what dies, stops them in order. Owns the listening sockets, so that a dead worker's queued connections wait."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from config.addresses import Address
from driftline.children import BAD_INPUT, HELD_SIGNALS, READY, write_task

_log = logging.getLogger(__name__)

_BACKOFF_SECONDS: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_STEADY_SECONDS: Final = 10.0
"""A process that ran for this long starts again without a pause."""

_READY_SECONDS: Final = 60.0


class ChildPlan(NamedTuple):
    """One process to keep running."""

    name: str
    module: str
    task: object
    stage: int
    """Processes of a lower stage are stopped, and have ended, before those of a higher one are told to stop."""
    stop_seconds: float
    """How long it may take to stop before it is killed."""
    pass_fds: tuple[int, ...] = ()


class StartError(Exception):
    """A process could not start; it has said why on standard error."""

    def __init__(self, status: int) -> None:
        super().__init__(f"exit status {status}")
        self.status = status


def listen(address: Address, count: int) -> list[socket.socket]:
    """Return `count` sockets that share one address, listening, so that connections queue before a worker accepts.

    Raises OSError with a sentence for the user.
    """
    sockets: list[socket.socket] = []
    host, port = address.host, address.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if count > 1 and port:
        _require_free(family, address)
    for _ in range(count):
        listening = socket.socket(family, socket.SOCK_STREAM)
        sockets.append(listening)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if count > 1:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            listening.bind((host, port))
            listening.listen(1024)
        except OSError as error:
            raise _cannot_listen(address, error) from None
        port = listening.getsockname()[1]
    return sockets


def _require_free(family: socket.AddressFamily, address: Address) -> None:
    """Raise OSError where somebody listens: sockets that share an address would share it with another Driftline, too."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError as error:
            raise _cannot_listen(address, error) from None


def _cannot_listen(address: Address, error: OSError) -> OSError:
    return OSError(f"cannot listen on {address}: {error.strerror}; choose another address with --listen")


class Supervisor:
    """Keeps the planned processes running until it is told to stop."""

    def __init__(self, plans: Sequence[ChildPlan]) -> None:
        self._children = [_Child(plan) for plan in plans]

    async def run(self, announce: Callable[[dict[str, str]], str]) -> int:
        """Start everything, print what `announce` makes of what each process said when it was ready, keep it running; return the exit status after an orderly stop."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        keepers = [loop.create_task(child.keep()) for child in self._children]
        started = loop.create_task(self._started())
        stopping = loop.create_task(stop.wait())
        try:
            await asyncio.wait((started, stopping), return_when=asyncio.FIRST_COMPLETED)
            if started.done():
                started.result()
                details = {child.plan.name: child.ready.result() for child in self._children}
                sys.stderr.write(f"driftline: {announce(details)}\n")
                sys.stderr.flush()
                await stopping
        except StartError as error:
            await self._stop()
            return error.status
        finally:
            started.cancel()
            stopping.cancel()
        clean = await self._stop()
        await asyncio.gather(*keepers)
        return 0 if clean else 1

    async def _started(self) -> None:
        await asyncio.gather(*(child.ready for child in self._children))

    async def _stop(self) -> bool:
        """Stop stage by stage; return whether every process ended by itself."""
        clean = True
        for stage in sorted({child.plan.stage for child in self._children}):
            ended = await asyncio.gather(*(child.stop() for child in self._children if child.plan.stage == stage))
            clean = clean and all(ended)
        return clean


class _Child:
    """One process and its successors."""

    def __init__(self, plan: ChildPlan) -> None:
        self.plan = plan
        self.ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._process: asyncio.subprocess.Process | None = None
        self._stop_requested = asyncio.Event()

    async def keep(self) -> None:
        """Run the process; run it again when it dies, after a pause that grows while it keeps dying."""
        deaths = 0
        while not self._stop_requested.is_set():
            started = time.monotonic()
            status = await self._run_once()
            if self._stop_requested.is_set():
                return
            if not self.ready.done():
                self.ready.set_exception(StartError(status if status > 0 else 1))
                return
            deaths = 0 if time.monotonic() - started > _STEADY_SECONDS else deaths + 1
            _log.warning("%s ended with status %d; starting it again", self.plan.name, status)
            if status == BAD_INPUT:
                deaths = len(_BACKOFF_SECONDS)
            pause = _BACKOFF_SECONDS[min(deaths, len(_BACKOFF_SECONDS) - 1)]
            try:
                await asyncio.wait_for(self._stop_requested.wait(), pause)
            except TimeoutError:
                continue

    async def stop(self) -> bool:
        """Tell it to stop and wait; kill it when it takes too long. Return whether it ended by itself and well."""
        self._stop_requested.set()
        for fd in self.plan.pass_fds:
            os.close(fd)  # else clients would go on queueing for a process that accepts no more
        process = self._process
        if process is None:
            return True
        if process.returncode is not None:
            return process.returncode == 0
        process.terminate()
        try:
            return await asyncio.wait_for(process.wait(), self.plan.stop_seconds) == 0
        except TimeoutError:
            _log.error("%s did not stop within %g s and is killed", self.plan.name, self.plan.stop_seconds)
            process.kill()
            await process.wait()
            return False

    async def _run_once(self) -> int:
        plan = self.plan
        signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)  # inherited
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", plan.module, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, pass_fds=plan.pass_fds
            )
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_SIGNALS)
        self._process = process
        if self._stop_requested.is_set():
            process.terminate()  # it was told to stop before it existed
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(write_task(plan.task))
            await process.stdin.drain()
            line = await asyncio.wait_for(process.stdout.readline(), _READY_SECONDS)
        except (TimeoutError, ConnectionError):
            line = b""
        if line.startswith(READY) and not self.ready.done():
            self.ready.set_result(line.removeprefix(READY).strip().decode())
        status = await process.wait()
        process.stdin.close()
        return status
