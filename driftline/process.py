"""One process as its supervisor sees it: started here or taken over from the supervisor's former self, and watched through a pidfd (pidfd_open(2))."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from typing import Self

from driftline.children import HELD_SIGNALS


class Process:
    """A child of this process. Its standard input, `control_fd` here, tells it by its end that nobody supervises it any more."""

    def __init__(self, pid: int, control_fd: int) -> None:
        """Watch the child `pid`, living or not yet waited for."""
        self.pid = pid
        self.control_fd = control_fd
        self._pidfd = os.pidfd_open(pid)
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._loop.add_reader(self._pidfd, self._reap)

    @classmethod
    def start(cls, arguments: Iterable[str], pass_fds: Iterable[int] = (), environment: Mapping[str, str] | None = None) -> tuple[Self, int]:
        """Start Python with these arguments; return the process, and a descriptor from which its standard output is read.

        `pass_fds` have the same numbers there. Raises OSError.
        """
        stdin, control_fd = os.pipe()
        said_fd, stdout = os.pipe()
        actions = [(os.POSIX_SPAWN_DUP2, fd, number) for fd, number in ((stdin, 0), (stdout, 1), *((fd, fd) for fd in pass_fds))]
        try:
            pid = os.posix_spawn(sys.executable, [sys.executable, *arguments], environment or os.environ, file_actions=actions, setsigmask=HELD_SIGNALS)
        except OSError:
            os.close(control_fd)
            os.close(said_fd)
            raise
        finally:
            os.close(stdin)
            os.close(stdout)
        return cls(pid, control_fd), said_fd

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return not self._ended.done()

    async def wait(self) -> int:
        """Return its exit status when it has ended; below zero the number of the signal that ended it."""
        return await asyncio.shield(self._ended)

    def send_signal(self, number: int) -> None:
        """Send a signal; nothing where it has ended."""
        if self.running:
            signal.pidfd_send_signal(self._pidfd, number)

    async def write(self, data: bytes) -> None:
        """Write to its standard input. Raises BrokenPipeError where it has ended."""
        await asyncio.to_thread(_write_all, os.dup(self.control_fd), data)  # the thread's own: this one is closed when the process ends

    def _reap(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        os.close(self.control_fd)
        _, status = os.waitpid(self.pid, 0)
        self._ended.set_result(os.waitstatus_to_exitcode(status))


async def read_line(fd: int) -> bytes:
    """Return the first line that comes from the descriptor, or what came before its end; close it."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", buffering=0))
    try:
        return await reader.readline()
    finally:
        transport.close()


def _write_all(fd: int, data: bytes) -> None:
    try:
        while data:
            data = data[os.write(fd, data) :]
    finally:
        os.close(fd)
