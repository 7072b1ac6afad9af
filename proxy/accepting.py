"""Takes clients' connections from a socket that several workers listen on, so that each worker gets its part."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final, Protocol

from proxy.occupancy import Occupancy

_log = logging.getLogger(__name__)

_PATIENCE_SECONDS: Final = 0.004
"""How long a connection waits for a worker that holds fewer."""

_PATIENCE: Final = 100.0
_PATIENCE_PER_SECOND: Final = 10.0
"""How many connections are let wait so, at once and in the long run. Where clients come and go all the time, waiting would cost them more than it evens out."""

_EXCESS: Final = 8
"""How many more connections than another a worker takes then, beside a quarter of that one's."""

_HANGS_SECONDS: Final = 0.05
"""Who has let others go first for this long takes all that waits: the one that it waits for hangs, or has just died."""

_AT_ONCE: Final = 16
_TAKEN_FROM_HANGING: Final = 64

_WAITING_AT_MOST: Final = 4096
"""Connections that a worker which stops takes from the queue: where another one goes on, clients may come faster than they are taken."""

_LAST_HANDSHAKE_SECONDS: Final = 1.0
"""How long a worker that stops waits for clients whose TLS handshake is under way."""

_ARRIVING_AT_MOST: Final = 1024
"""Clients whose TLS handshake is under way; further ones wait in the kernel."""

_EXHAUSTED: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_EXHAUSTED_SECONDS: Final = 1.0
"""How long no connection is taken where the system has no room for one: asking at once again would find none either."""


class Handshakes(Protocol):
    """How clients are to speak TLS."""

    timeout_seconds: float

    @property
    def context(self) -> ssl.SSLContext:
        """For the next connection."""
        ...

    def failed(self, error: OSError) -> None:
        """A client could not be agreed with, or went away."""
        ...


class Acceptor:
    """Takes one connection at a time; where another worker holds fewer, only what that one has let wait."""

    def __init__(
        self, listening: socket.socket, new_protocol: Callable[[], asyncio.Protocol], occupancy: Occupancy, handshakes: Handshakes | None = None
    ) -> None:
        self._listening = listening
        self._handshakes = handshakes
        self._new_protocol = new_protocol
        self._occupancy = occupancy
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._yielding_since: float | None = None
        self._yielded_to = 0
        self._patience = _PATIENCE
        self._patient_at = self._loop.time()
        self._arriving: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Take connections from now on."""
        self._listening.setblocking(False)
        self._occupancy.open()
        self._listen()

    async def stop(self) -> None:
        """Take what waits already, which would be reset if this was the last process with the socket; then close it here."""
        self._loop.remove_reader(self._listening)
        for _ in range(_WAITING_AT_MOST):
            if not self._accept():
                break
        if self._pause is not None:
            self._pause.cancel()
        self._listening.close()
        self._occupancy.close()
        if self._arriving:
            await asyncio.wait(self._arriving, timeout=_LAST_HANDSHAKE_SECONDS)

    def _listen(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listening, self._on_readable)

    def _rest(self, seconds: float, then: Callable[[], None]) -> None:
        self._loop.remove_reader(self._listening)
        if self._pause is not None:
            self._pause.cancel()
        self._pause = self._loop.call_later(seconds, then)

    def _on_readable(self) -> None:
        for _ in range(_AT_ONCE):
            if len(self._arriving) >= _ARRIVING_AT_MOST:
                self._rest(_PATIENCE_SECONDS, self._listen)
                return
            if self._yields():
                self._rest(_PATIENCE_SECONDS, self._take_what_waits)
                return
            if not self._accept():
                return

    def _yields(self) -> bool:
        """Whether the next connection is left to another worker."""
        excess = self._occupancy.excess
        if excess <= 0:
            self._yielding_since = None
            return False
        now, least = self._loop.time(), self._occupancy.least
        self._patience = min(_PATIENCE, self._patience + (now - self._patient_at) * _PATIENCE_PER_SECOND)
        self._patient_at = now
        if self._patience < 1.0 and excess <= _EXCESS + least // 4:
            return False
        self._patience = max(0.0, self._patience - 1.0)
        if self._yielding_since is None or least != self._yielded_to:
            self._yielding_since, self._yielded_to = now, least  # who takes connections does not hang, however many wait
        return True

    def _take_what_waits(self) -> None:
        """The others had their chance."""
        self._listen()
        if not self._accept():
            self._yielding_since = None  # one of them came
        elif self._yielding_since is not None and self._loop.time() - self._yielding_since > _HANGS_SECONDS:
            for _ in range(_TAKEN_FROM_HANGING):
                if not self._accept():
                    break

    def _accept(self) -> bool:
        """Take one connection; return whether one was there."""
        try:
            connection, _ = self._listening.accept()
        except OSError as error:  # else another worker was faster, or the client went away
            if error.errno in _EXHAUSTED:
                _log.error("connections have to wait: %s", error.strerror)
                self._rest(_EXHAUSTED_SECONDS, self._listen)
            return False
        connection.setblocking(False)
        self._occupancy.entered()
        task = self._loop.create_task(self._connect(connection))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)
        return True

    async def _connect(self, connection: socket.socket) -> None:
        """Make a client's connection of it."""
        handshakes = self._handshakes
        try:
            if handshakes is None:
                await self._loop.connect_accepted_socket(self._new_protocol, connection)
            else:
                await self._loop.connect_accepted_socket(
                    self._new_protocol, connection, ssl=handshakes.context, ssl_handshake_timeout=handshakes.timeout_seconds
                )
        except OSError as error:
            connection.close()
            self._occupancy.left()
            if handshakes is not None:
                handshakes.failed(error)
