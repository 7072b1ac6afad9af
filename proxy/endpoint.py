"""One address of an upstream, as one worker sees it: its connections, and how it does."""

from __future__ import annotations

import asyncio
import select
import ssl
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from config.addresses import Url
from proxy.balancing import Candidate
from proxy.upstream import UpstreamConnection
from records.exchange import ErrorKind

if TYPE_CHECKING:
    from proxy.pool import Pool

_FAULTY_STATUSES: Final = frozenset({502, 503, 504})
"""Replies that count as failures of the endpoint. A 500 does not: it may as well be the fault of the request."""


class Address(NamedTuple):
    """Where to connect to."""

    host: str
    """An IP address, or the path of a unix socket."""
    port: int
    """0 for a unix socket."""

    def __str__(self) -> str:
        if not self.port:
            return f"unix:{self.host}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Endpoint(Candidate):
    """Holds idle connections, the last used first, and counts the others."""

    def __init__(self, pool: Pool, url: Url, address: Address, max_head_bytes: int) -> None:
        super().__init__()
        self._pool = pool
        self._max_head_bytes = max_head_bytes
        self.url = url
        """As it is set; several addresses of a name share it."""
        self.label = str(Address(url.host, url.port))
        self.address = address
        self.gone = False
        """Its name no longer leads there: connections are closed as soon as they have nothing to do."""
        self.watched = False
        """Replies are told by status and time: there are other endpoints that could take its place."""
        self.check_due = 0.0
        """When the next health check begins, in the loop's time."""
        self._idle: list[UpstreamConnection] = []
        self._open = 0
        self._connecting = 0

    async def connect(self) -> UpstreamConnection:
        """Return a new connection. Raises OSError."""
        loop = asyncio.get_running_loop()
        host, port = self.address
        if not port:
            _, protocol = await loop.create_unix_connection(self._new_protocol, host)
        else:
            context, name = self._tls()
            _, protocol = await loop.create_connection(self._new_protocol, host, port, ssl=context, server_hostname=name)
        return cast("UpstreamConnection", protocol)

    async def open_stream(self, *, limit: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection that is none of the pool's, with a buffer of `limit` bytes. Raises OSError."""
        host, port = self.address
        if not port:
            return await asyncio.open_unix_connection(host, limit=limit)
        context, name = self._tls()
        return await asyncio.open_connection(host, port, limit=limit, ssl=context, server_hostname=name)

    def _tls(self) -> tuple[ssl.SSLContext | None, str | None]:
        """Return by what a connection is encrypted, and the name that the endpoint's certificate must have."""
        tls = self._pool.tls
        return (None, None) if tls is None else (tls.context, tls.server_name or self.url.host)

    def _new_protocol(self) -> asyncio.Protocol:
        return cast("asyncio.Protocol", UpstreamConnection(self, self._max_head_bytes))  # one by its methods: compiled classes have no foreign bases

    def take_idle(self, now: float) -> UpstreamConnection | None:
        """Return a connection that has nothing to do and can be used; `now` is the last tick's time."""
        while self._idle:
            connection = self._idle.pop()
            self._count()
            if not connection.transport.is_closing() and (connection.idle_since == now or _quiet(connection)):
                return connection
            connection.close()
        return None

    def expire(self, now: float, idle_seconds: float) -> None:
        """Close what has been idle for too long."""
        expired = 0  # the longest idle come first
        while expired < len(self._idle) and now - self._idle[expired].idle_since > idle_seconds:
            expired += 1
        self._close_idle(expired)

    def leave(self) -> None:
        """Use it no more: idle connections are closed now, the others when their replies are whole."""
        self.gone = True
        self.watched = False
        self._close_idle(len(self._idle))

    def _close_idle(self, count: int) -> None:
        closed = self._idle[:count]
        del self._idle[:count]
        for connection in closed:
            connection.close()

    def connecting(self, change: int) -> None:
        """One more, or one less, connection is being made."""
        self._connecting += change
        self._count()

    # What connections tell.

    def opened(self) -> None:
        """A connection is established."""
        self._open += 1
        self._count()

    def lost(self, connection: UpstreamConnection) -> None:
        """The connection is closed."""
        self._open -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        self._count()
        self._pool.has_room()

    def give_back(self, connection: UpstreamConnection) -> None:
        """The connection has nothing to do any more and may serve the next request."""
        if self.gone:
            connection.close()
        elif not self.in_service or not self._pool.lend(connection):
            connection.idle_since = self._pool.now
            self._idle.append(connection)
            self._count()

    def replied(self, status: int, first_byte_ns: int) -> None:
        """A reply was whole, with this status, its head this long after the connection was lent."""
        self.replies += 1
        self.replies_ns += first_byte_ns
        if status in _FAULTY_STATUSES:
            self._pool.endpoint_failed(self, f"its reply was {status}")
        else:
            self.failures = 0

    def failed(self, kind: ErrorKind) -> None:
        """There was no whole reply, and it was not the client's doing."""
        self._pool.endpoint_failed(self, kind.value)

    def _count(self) -> None:
        self.load = self._open + self._connecting - len(self._idle)


def _quiet(connection: UpstreamConnection) -> bool:
    """Whether nothing came while the connection was idle: neither its end, of which the event loop will only tell, nor bytes that nobody asked for."""
    poll = select.poll()
    poll.register(connection.transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLRDHUP)
    return not poll.poll(0)
