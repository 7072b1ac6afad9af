"""An upgraded connection (RFC 9110 §7.8): bytes pass both ways as they come, until either side closes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from proxy.upstream import Receiver, UpstreamConnection
from records.exchange import ErrorKind
from records.outcome import Outcome

if TYPE_CHECKING:
    from proxy.client import ClientConnection
    from proxy.context import Context


class Tunnel(Receiver):
    """Receives what the upstream sends after its 101. Its exchange is on record already; how it ended follows as an outcome."""

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

    def from_client(self, data: bytes) -> None:
        """The client sent this."""
        self._heard_ns = self._context.coarse_ns
        self._received_bytes += len(data)
        if self._connection is not None:
            self._connection.transport.write(data)

    def reply_body(self, piece: bytes) -> None:
        """See Receiver."""
        self._heard_ns = self._context.coarse_ns
        self._sent_bytes += len(piece)
        self._client.transport.write(piece)

    def request_may_flow(self, flowing: bool) -> None:
        """See Receiver."""
        if flowing:
            self._client.resume_reading()
        else:
            self._client.pause_reading()

    def upstream_may_flow(self, flowing: bool) -> None:
        """The client's send buffer is full, or has room again."""
        if self._connection is not None:
            if flowing:
                self._connection.transport.resume_reading()
            else:
                self._connection.transport.pause_reading()

    def reply_end(self, trailers: bytes) -> None:  # noqa: ARG002 - there are none
        """See Receiver. The upstream closed: the client gets what is on its way, then the end."""
        self._connection = None
        self._heard_ns = self._context.coarse_ns
        self._end(ErrorKind.NONE)
        self._client.transport.close()

    def failed(self, kind: ErrorKind, reason: str) -> None:  # noqa: ARG002 - there is no reply to put it into
        """See Receiver."""
        self._connection = None
        self._end(kind)
        self._client.abort()

    def client_left(self) -> None:
        """The client closed, which is how most upgraded connections end."""
        connection = self._connection
        if connection is not None:
            self._connection = None
            connection.finish()
            self._end(ErrorKind.NONE)

    def break_off(self, kind: ErrorKind) -> None:
        """End it from our side."""
        if self._connection is not None:
            self._connection.close()
            self.failed(kind, "")

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
