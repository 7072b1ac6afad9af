"""One exchange in flight: the request goes to the upstream, the reply to the client, the record to the tap."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from proxy.capture import BodyCapture
from proxy.heads import client_head, content_fields, interim_head, own_reply, trace_context, upstream_fields
from proxy.mirror import mirror
from proxy.route import Route
from proxy.upstream import UpstreamConnection
from proxy.wire.reply import ReplyHead
from proxy.wire.request import RequestHead
from records.exchange import NO_BODY, ErrorKind, Exchange, Role
from records.ids import new_exchange_id

if TYPE_CHECKING:
    from proxy.client import ClientConnection
    from proxy.worker import Context

_STATUS: Final = {
    ErrorKind.CONNECT_FAILED: 502,
    ErrorKind.CONNECT_TIMEOUT: 504,
    ErrorKind.REPLY_TIMEOUT: 504,
    ErrorKind.UPSTREAM_CLOSED: 502,
    ErrorKind.BAD_REPLY: 502,
    ErrorKind.SHUTDOWN: 503,
    ErrorKind.BAD_REQUEST: 400,
}
"""What a client is answered when its exchange fails before the upstream's reply began."""


_NO_TRACE: Final = ("", "")

# How far the reply to the client is. Plain values, and those of enums by a name of their own: looking a member up costs more than comparing it.
_AWAITED: Final = 0
_BEGUN: Final = 1
_ENDED: Final = 2
_SERVED: Final = Role.SERVED
_NO_ERROR: Final = ErrorKind.NONE

_NOBODY: Final = ""  # is authenticated here yet
_ALL_KEPT: Final = 1.0


class Flight:
    """Receives the upstream's reply for the client; implements `proxy.upstream.Receiver`."""

    # Class attributes: most flights never change most of these, and what is not assigned costs nothing.
    request_ended = False
    _asked = False
    _connection: UpstreamConnection | None = None
    _reply_head: ReplyHead | None = None
    _reply_state = _AWAITED
    _reply_chunked = False
    _queue_ns = _connect_ns = _first_byte_ns = -1

    def __init__(self, context: Context, client: ClientConnection, route: Route, head: RequestHead, request_id: str | None) -> None:
        self._context = context
        self._client = client
        self._route = route
        self.head = head
        self._started_at_ns = now_ns = time.time_ns()
        self._started_ns = self._heard_ns = time.perf_counter_ns()
        self.exchange_id = exchange_id = new_exchange_id(now_ns)
        self.request_id = request_id = request_id or exchange_id.hex()
        self._request_id_bytes = id_bytes = request_id.encode("latin-1")
        self.fields = upstream_fields(head, client.peer, id_bytes)
        self._request_capture = BodyCapture(route.kept_request_bytes)
        self._reply_capture = BodyCapture(context.capture_bytes)
        self._close_after = not head.keep_alive
        self._to_upstream: list[bytes] = [b"%b %b%b HTTP/1.1\r\n%b" % (head.method, route.arm.target.prefix, head.target, self.fields)]
        self._to_client: list[bytes] = []
        context.flights.add(self)

    # The request, from the client.

    def request_body(self, piece: bytes) -> None:
        """A piece of the request's body came."""
        self._request_capture.add(piece)
        if self.head.chunked:
            piece = b"%x\r\n%b\r\n" % (len(piece), piece)
        self._to_upstream.append(piece)

    def request_end(self) -> None:
        """The request is whole: send on what is left of it."""
        if self.head.chunked:
            self._to_upstream.append(b"0\r\n\r\n")
        if self._asked:
            self._heard_ns = time.perf_counter_ns()  # the reply was not due before
        self.request_ended = True
        self.request_pause()

    def request_pause(self) -> None:
        """All that was received so far has been said: send it on."""
        if self._connection is not None:
            self._send()
        elif not self._asked:
            self._asked = True
            self._route.arm.pool.acquire(self, self.head.method)
            if self._connection is None and not self.request_ended:
                self._client.pause_reading()

    def _send(self) -> None:
        connection = self._connection
        assert connection is not None
        pieces = self._to_upstream
        connection.request_done = self.request_ended
        connection.transport.write(b"".join(pieces))
        pieces.clear()
        if self.request_ended and self._route.shadows:
            mirror(self._context, self._route, self, self._request_capture)

    # The reply, from the upstream.

    def connected(self, connection: UpstreamConnection, connect_ns: int) -> None:
        """See Receiver."""
        self._connection = connection
        self._connect_ns = connect_ns
        self._heard_ns = time.perf_counter_ns()
        self._queue_ns = self._heard_ns - self._started_ns
        if self._client.reading_paused:
            self._client.resume_reading()
        self._send()

    def request_may_flow(self, flowing: bool) -> None:
        """See Receiver."""
        if flowing:
            self._client.resume_reading()
        else:
            self._heard_ns = time.perf_counter_ns()
            self._client.pause_reading()

    def reply_head(self, head: ReplyHead) -> None:
        """See Receiver."""
        if head.interim:
            if self.head.minor:
                self._to_client.append(interim_head(head))
            return
        self._heard_ns = now_ns = time.perf_counter_ns()
        self._first_byte_ns = now_ns - self._started_ns
        self._reply_head = head
        self._reply_state = _BEGUN
        if head.unbounded and self.head.method != b"HEAD":
            self._reply_chunked = self.head.minor == 1
            self._close_after = self._close_after or not self._reply_chunked
        if self._context.draining or not self.request_ended:
            self._close_after = True
        self._to_client.append(client_head(head, self._request_id_bytes, chunked=self._reply_chunked, connection=self._connection_field()))

    def reply_body(self, piece: bytes) -> None:
        """See Receiver."""
        self._reply_capture.add(piece)
        if self._reply_chunked:
            piece = b"%x\r\n%b\r\n" % (len(piece), piece)
        self._to_client.append(piece)

    def reply_pause(self) -> None:
        """See Receiver."""
        self._heard_ns = time.perf_counter_ns()
        self._flush()

    def reply_end(self) -> None:
        """See Receiver. The record is in the spool before the reply's last byte is handed to the kernel."""
        self._connection = None
        if self._reply_chunked:
            self._to_client.append(b"0\r\n\r\n")
        self._end(_NO_ERROR)

    def failed(self, kind: ErrorKind, reason: str) -> None:
        """See Receiver."""
        self._connection = None
        self._fail(kind, reason)

    # Ends that are nobody's reply.

    def client_left(self) -> None:
        """The client closed its connection."""
        self._give_up_upstream()
        self._to_client.clear()
        self._end(ErrorKind.CLIENT_LEFT)

    def break_off(self, kind: ErrorKind, reason: str, status: int | None = None) -> None:
        """End it from our side: the request turned out malformed, or the time is up."""
        self._give_up_upstream()
        self._fail(kind, reason, status)

    def check(self, now_ns: int) -> None:
        """Break it off where the upstream has taken nothing and said nothing for too long, and it is not the client who is waited for."""
        due = self.request_ended or self._client.reading_paused
        if due and not self._client.writing_paused and now_ns - self._heard_ns > self._context.reply_timeout_ns:
            self.break_off(ErrorKind.REPLY_TIMEOUT, "the upstream did not answer in time")

    def upstream_may_flow(self, flowing: bool) -> None:
        """The client's send buffer is full, or has room again."""
        if self._connection is None:
            return
        if flowing:
            self._heard_ns = time.perf_counter_ns()
            self._connection.transport.resume_reading()
        else:
            self._connection.transport.pause_reading()

    def _give_up_upstream(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        else:
            self._route.arm.pool.cancel(self)

    def _fail(self, kind: ErrorKind, reason: str, status: int | None = None) -> None:
        """Answer in the upstream's place, or cut off a reply that has begun: never end it cleanly (RFC 9112 §8)."""
        if self._reply_state is _AWAITED:
            self._close_after = self._close_after or not self.request_ended
            answer = status or _STATUS[kind]
            self._to_client.append(own_reply(answer, reason, self.request_id, connection=self._connection_field(), head_only=self.head.method == b"HEAD"))
            self._end(kind, answer)
        else:
            self._to_client.clear()
            self._end(kind)
            self._client.abort()

    def _connection_field(self) -> bytes:
        if self._close_after:
            return b"Connection: close\r\n"
        return b"" if self.head.minor else b"Connection: keep-alive\r\n"

    def _flush(self) -> None:
        if self._to_client:
            self._client.transport.write(b"".join(self._to_client))
            self._to_client.clear()

    def _end(self, error: ErrorKind, status: int = 0) -> None:
        context = self._context
        total_ns = time.perf_counter_ns() - self._started_ns
        reply = self._reply_head
        status = status if reply is None else reply.status
        self._reply_state = _ENDED
        context.flights.discard(self)
        sequence = context.tap.append(self._record(error, status, total_ns))
        self._route.arm.tally.ended(status, error, total_ns)
        self._flush()
        self._client.flight_ended(self, sequence, close=self._close_after or not self.request_ended)

    def _record(self, error: ErrorKind, status: int, total_ns: int) -> Exchange:
        context, route, head, reply = self._context, self._route, self.head, self._reply_head
        limit = context.capture_bytes
        trace_id, span_id = trace_context(head.named) if b"traceparent" in head.named else _NO_TRACE
        # By position, in the order of the declaration: naming the fields costs more than all the rest of this function.
        return Exchange(
            self.exchange_id,
            self.request_id,
            _SERVED,
            route.name,
            route.arm.name,
            self._started_at_ns,
            head.method_text,
            head.target_text,
            route.model,
            route.version,
            self._queue_ns,
            self._connect_ns,
            self._first_byte_ns,
            total_ns,
            status,
            error,
            self._client.peer_text,
            _NOBODY,
            trace_id,
            span_id,
            _ALL_KEPT,
            self._request_capture.body(head.content or content_fields(head), limit),
            NO_BODY if reply is None else self._reply_capture.body(reply.content or content_fields(reply), limit),
        )

    def elapsed_ns(self) -> int:
        """Return the time since the request's head was read."""
        return time.perf_counter_ns() - self._started_ns
