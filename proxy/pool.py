"""Connections to one target: idle ones are used again, last in first out; requests wait in order when there may be no more."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from typing import NamedTuple

from proxy.upstream import Receiver, UpstreamConnection
from records.exchange import ErrorKind


class Target(NamedTuple):
    """Where an arm is reached."""

    host: str
    port: int
    tls: bool
    prefix: bytes
    """Put before every request target; without a trailing slash."""


class Pool:
    """The connections of one worker to one target."""

    def __init__(self, target: Target, *, limit: int, connect_timeout_seconds: float, idle_seconds: float, max_head_bytes: int) -> None:
        self._target = target
        self._limit = limit
        self._connect_timeout_seconds = connect_timeout_seconds
        self._idle_seconds = idle_seconds
        self._max_head_bytes = max_head_bytes
        self._ssl = ssl.create_default_context() if target.tls else None
        self._idle: deque[UpstreamConnection] = deque()
        self._open = 0
        self._now = time.monotonic()
        self._waiting: deque[tuple[Receiver, bytes]] = deque()
        self._connecting: set[asyncio.Task[None]] = set()

    def acquire(self, receiver: Receiver, method: bytes) -> None:
        """Have a connection given to the receiver: at once where one is idle, else as soon as there is one."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.transport.is_closing():
                connection.lend(receiver, method)
                receiver.connected(connection, 0)
                return
        self._waiting.append((receiver, method))
        self._connect_for_waiting()

    def cancel(self, receiver: Receiver) -> None:
        """The receiver no longer waits."""
        self._waiting = deque(entry for entry in self._waiting if entry[0] is not receiver)

    def give_back(self, connection: UpstreamConnection) -> None:
        """The connection has nothing to do any more and may serve the next request."""
        if not self._waiting or not self._lend(connection, 0):
            connection.idle_since = self._now
            self._idle.append(connection)

    def opened(self) -> None:
        """A connection is established."""
        self._open += 1

    def lost(self, connection: UpstreamConnection) -> None:
        """The connection is closed."""
        self._open -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        self._connect_for_waiting()

    def expire(self, now: float) -> None:
        """Close what has been idle for too long at this loop time. Called at every tick, which is as exact as idle times need be."""
        self._now = now
        while self._idle and now - self._idle[0].idle_since > self._idle_seconds:
            self._idle.popleft().close()

    def close(self) -> None:
        """Close idle connections and stop connecting."""
        while self._idle:
            self._idle.popleft().close()
        self._waiting.clear()
        for task in tuple(self._connecting):
            task.cancel()

    def _connect_for_waiting(self) -> None:
        """One attempt for each that waits, within the limit."""
        if len(self._waiting) <= len(self._connecting) or self._open + len(self._connecting) >= self._limit:
            return
        task = asyncio.get_running_loop().create_task(self._connect())
        self._connecting.add(task)
        task.add_done_callback(self._connected)

    def _connected(self, task: asyncio.Task[None]) -> None:
        self._connecting.discard(task)
        self._connect_for_waiting()

    async def _connect(self) -> None:
        """Open one connection for whoever has waited longest."""
        target = self._target
        started_ns = time.perf_counter_ns()
        try:
            async with asyncio.timeout(self._connect_timeout_seconds):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: UpstreamConnection(self, self._max_head_bytes), target.host, target.port, ssl=self._ssl
                )
        except TimeoutError:
            self._fail(ErrorKind.CONNECT_TIMEOUT, f"connecting to {target.host}:{target.port} took longer than {self._connect_timeout_seconds:g} s")
        except OSError as error:
            self._fail(ErrorKind.CONNECT_FAILED, f"cannot connect to {target.host}:{target.port}: {error.strerror or error}")
        else:
            if connection.transport.is_closing():
                self._fail(ErrorKind.CONNECT_FAILED, f"{target.host}:{target.port} closed the connection at once")
            elif not self._lend(connection, time.perf_counter_ns() - started_ns):
                self.give_back(connection)

    def _lend(self, connection: UpstreamConnection, connect_ns: int) -> bool:
        """Give the connection to whoever has waited longest; False where nobody waits."""
        if not self._waiting:
            return False
        receiver, method = self._waiting.popleft()
        connection.lend(receiver, method)
        receiver.connected(connection, connect_ns)
        return True

    def _fail(self, kind: ErrorKind, reason: str) -> None:
        if self._waiting:
            receiver, _ = self._waiting.popleft()
            receiver.failed(kind, reason)
