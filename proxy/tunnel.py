"""An upgraded connection (RFC 9110 §7.8): bytes pass both ways as they come, until either side closes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from records.exchange import ErrorKind
from records.outcome import Outcome

if TYPE_CHECKING:
    from proxy.client import ClientConnection
    from proxy.context import Context
    from proxy.upstream import UpstreamConnection


class Tunnel:
    """Joins a client's connection and an upstream's after the 101. The exchange is on record already; how it ended follows as an outcome."""

    __slots__ = ("_client", "_connection", "_context", "_exchange_id", "_heard_ns", "_received_bytes", "_sent_bytes", "_sequence", "_started_ns")

    def __init__(self, context: Context, client: ClientConnection, connection: UpstreamConnection, exchange_id: bytes, sequence: int, started_ns: int) -> None:
        """`started_ns` is when the request's head was read (`time.perf_counter_ns`); `sequence` is that of the record."""
        self._context = context
        self._client = client
        self._connection: UpstreamConnection | None = connection
        self._exchange_id = exchange_id
        self._sequence = sequence
        self._started_ns = started_ns
        self._heard_ns = context.coarse_ns
        self._received_bytes = 0
        self._sent_bytes = 0

    # What the client does.

    def client_sent(self, data: bytes) -> None:
        """The client sent this."""
        self._heard_ns = self._context.coarse_ns
        self._received_bytes += len(data)
        if self._connection is not None:
            self._connection.transport.write(data)

    def client_takes(self, more: bool) -> None:
        """The client's send buffer has room again, or is full."""
        if self._connection is not None:
            if more:
                self._connection.transport.resume_reading()
            else:
                self._connection.transport.pause_reading()

    def client_left(self) -> None:
        """The client closed, which is how most upgraded connections end."""
        connection = self._connection
        if connection is not None:
            self._connection = None
            connection.finish()
            self._end(ErrorKind.NONE)

    # What the upstream does.

    def upstream_sent(self, data: bytes) -> None:
        """The upstream sent this."""
        self._heard_ns = self._context.coarse_ns
        self._sent_bytes += len(data)
        self._client.transport.write(data)

    def upstream_takes(self, more: bool) -> None:
        """The upstream's send buffer has room again, or is full."""
        if more:
            self._client.resume_reading()
        else:
            self._client.pause_reading()

    def upstream_left(self) -> None:
        """The upstream closed: the client gets what is on its way, then the end."""
        self._connection = None
        self._heard_ns = self._context.coarse_ns
        self._end(ErrorKind.NONE)
        self._client.transport.close()

    # What we do.

    def break_off(self, kind: ErrorKind) -> None:
        """End it from our side."""
        connection = self._connection
        if connection is not None:
            self._connection = None
            connection.close()
            self._end(kind)
            self._client.abort()

    def check(self, now_ns: int) -> None:
        """Break it off where neither side said anything for too long, or where the client does not take what it was sent."""
        silent_ns = now_ns - self._heard_ns
        if self._connection is None:
            if silent_ns > self._context.timeouts.send_ns:
                self._client.abort()
        elif self._client.writing_paused and now_ns - self._client.since_ns > self._context.timeouts.send_ns:
            self.break_off(ErrorKind.SEND_TIMEOUT)
        elif silent_ns > self._context.timeouts.tunnel_idle_ns:
            self.break_off(ErrorKind.TUNNEL_IDLE_TIMEOUT)

    def _end(self, error: ErrorKind) -> None:
        self._context.tunnels -= 1
        outcome = Outcome(self._exchange_id, error, time.perf_counter_ns() - self._started_ns, self._received_bytes, self._sent_bytes)
        self._context.tap.amend(self._sequence, outcome)
