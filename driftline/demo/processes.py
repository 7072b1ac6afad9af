"""Child processes: each writes to a log file of its own, and all of them end when the demo does, however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

DRIFTLINE: Final = str(Path(sys.executable).with_name("driftline"))
"""The command of this installation."""
_START_SECONDS: Final = 60.0
_PROBE_SECONDS: Final = 0.1
_STOP_SECONDS: Final = 60.0
"""`driftline up` drains its spool into the store within 30 seconds of SIGTERM."""
_LOG_TAIL_LINES: Final = 5


class DemoError(Exception):
    """The run cannot go on; the text says which part of it ended, or did not become ready, and what it said last."""


class Child:
    """A running process and its log file."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    def check(self) -> None:
        """Raise DemoError if the process has ended."""
        if self._process.returncode is not None:
            raise self.failure(f"ended with exit code {self._process.returncode}")

    def failure(self, what: str) -> DemoError:
        """Return the error that says what went wrong with this process, with the last lines of its log."""
        tail = self.log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        return DemoError("\n  ".join([f"{self.name} {what}", *tail]))

    async def says(self, pattern: str) -> re.Match[str]:
        """Return the first match in its log; raise DemoError if the process ends before there is one, or in a minute there is none."""
        deadline = time.monotonic() + _START_SECONDS
        while (match := re.search(pattern, self.log.read_text(errors="replace"))) is None:
            self.check()
            if time.monotonic() > deadline:
                raise self.failure(f"was not ready after {_START_SECONDS:.0f} s")
            await asyncio.sleep(_PROBE_SECONDS)
        return match

    async def succeed(self) -> None:
        """Wait for its end; raise DemoError unless its exit code is 0."""
        if await self._process.wait():
            self.check()

    async def stop(self) -> int:
        """Ask it to end (SIGTERM), kill it if it has not done so in a minute, and return its exit code."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
            self._process.kill()
        return await self._process.wait()


@contextlib.asynccontextmanager
async def child(name: str, command: Sequence[str], directory: Path) -> AsyncIterator[Child]:
    """Run a command in `directory` with its output in `<name>.log` there; it is stopped when the block ends."""
    log = directory / f"{name}.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=directory, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=asyncio.subprocess.STDOUT
        )
    running = Child(name, process, log)
    try:
        yield running
    finally:
        await asyncio.shield(running.stop())


def driftline_as_typed() -> str:
    """Return how a user who stands in this directory calls the command of this installation."""
    if shutil.which("driftline") == DRIFTLINE:
        return "driftline"
    return os.path.relpath(DRIFTLINE) if Path(DRIFTLINE).is_relative_to(Path.cwd()) else DRIFTLINE
