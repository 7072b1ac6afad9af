"""One exchange in flight: the request goes to the upstream, the reply to the client, the record to the tap.

Most requests come whole in one read, and so do most replies: `whole_request` and `whole_reply` take each in one step. All others come as a
head, pieces and an end, with a pause wherever nothing more was received.
"""

from __future__ import annotations

from binascii import hexlify
from time import perf_counter_ns
from typing import TYPE_CHECKING, Final

from http1.reader import Content
from http1.reply import ReplyHead
from http1.request import RequestHead
from proxy.capture import BodyCapture, whole_body
from proxy.heads import client_head, content_fields, interim_head, passed_trailers, trace_context, upstream_fields
from proxy.mirror import Copy, mirror
from proxy.replies import CLOSE, STATUSES, own_reply
from proxy.route import Arm, Route
from proxy.tracing import TraceContext
from proxy.tunnel import Tunnel
from proxy.upstream import Receiver, UpstreamConnection
from proxy.writing import write
from records.exchange import NO_BODY, Body, ErrorKind, Exchange, Role
from records.ids import new_exchange_id

if TYPE_CHECKING:
    from proxy.client import ClientConnection
    from proxy.context import Context

_IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
"""RFC 9110 §9.2.2."""

_NO_TRACE: Final = ("", "")

# How far the reply to the client is. Plain values, and those of enums by a name of their own: looking a member up costs more than comparing it.
_AWAITED: Final = 0
_BEGUN: Final = 1
_ENDED: Final = 2
_SERVED: Final = Role.SERVED
_NO_ERROR: Final = ErrorKind.NONE

_ALL_KEPT: Final = 1.0


class Flight(Receiver):
    """Receives the upstream's reply for the client."""

    # Class attributes: most flights never change most of these, and what is not assigned costs nothing.
    request_ended = False
    _waits_since_ns: int
    """When whoever is waited for now was last heard of, or its turn began, by the coarse clock: the client for its body, or the upstream for its reply."""
    _asked = False
    _retried = False
    _waited = False
    _heard_from = False
    _connection: UpstreamConnection | None = None
    _reply_head: ReplyHead | None = None
    _reply_state = _AWAITED
    _reply_chunked = False
    _request_capture: BodyCapture | None = None
    _reply_capture: BodyCapture | None = None
    _queue_ns = -1
    _connect_ns = -1
    _first_byte_ns = -1
    _pending_bytes = 0
    _trace: TraceContext | None = None
    _copies: tuple[Copy, ...] = ()  # that wait for more of the request

    def __init__(self, context: Context, client: ClientConnection, route: Route, head: RequestHead, request_id: bytes) -> None:
        self._context = context
        self._client = client
        self._route = route
        self.head = head
        self.upgrade = head.upgrade
        self._started_ns = started_ns = perf_counter_ns()
        self._started_at_ns = now_ns = started_ns + context.unix_offset_ns
        self._waits_since_ns = context.coarse_ns
        self.exchange_id = exchange_id = new_exchange_id(now_ns)
        self.request_id = request_id = request_id or hexlify(exchange_id)
        self._recorded = recorded = not context.tap.leaves_out(route.name, exchange_id)
        self._capture_bytes = context.capture_bytes if recorded else 0
        tracing = context.tracing
        if tracing is None:
            self.fields = upstream_fields(head, client.peer, client.scheme, request_id)
        else:
            self._trace = trace = tracing.context(head.named, exchange_id, recorded=recorded)
            self.fields = upstream_fields(head, client.peer, client.scheme, request_id, trace.left_out)
        self._close_after = not head.keep_alive
        self._whole: Content | None = None  # assigned here: mypyc sets no default None for a union of three
        self._to_upstream: list[Content] = []
        self._to_client: list[Content] = []
        context.in_flight += 1

    # The request, from the client.

    def whole_request(self, body: Content) -> None:
        """The request is `body` and nothing more will come."""
        self._whole = body
        self.request_ended = True
        self._asked = True
        self._route.arm.pool.acquire(self, self.head.method)
        if self._connection is None:
            self._wait()
        if self._route.shadows:
            self._mirror([body])

    def request_body(self, piece: bytes) -> None:
        """A piece of the request's body came."""
        capture = self._request_capture
        if capture is None:
            capture = self._request_capture = BodyCapture(self._capture_bytes)
        capture.add(piece)
        if self.head.chunked:
            piece = b"%x\r\n%b\r\n" % (len(piece), piece)
        self._to_upstream.append(piece)
        for copy in self._copies:
            copy.send(piece)

    def request_end(self, trailers: bytes) -> None:
        """The request is whole: send on what is left of it."""
        last = b""
        if self.head.chunked:
            last = b"0\r\n%b\r\n" % passed_trailers(trailers) if trailers else b"0\r\n\r\n"
            self._to_upstream.append(last)
        if self._asked:
            self._waits_since_ns = self._context.coarse_ns  # the reply was not due before
        self.request_ended = True
        self.request_pause()
        for copy in self._copies:
            copy.finish(last)
        self._copies = ()

    def request_pause(self) -> None:
        """All that was received so far has been said: send it on."""
        self._waits_since_ns = self._context.coarse_ns
        if self._connection is not None:
            self._send()
        elif not self._asked:
            self._ask()

    def too_large(self, limit_bytes: int) -> bool:
        """Whether more of a body came than may."""
        return self._request_capture is not None and self._request_capture.size_bytes > limit_bytes

    def _ask(self) -> None:
        self._asked = True
        body = self._to_upstream.copy()
        self._to_upstream.insert(0, self.request_head(self._route.arm))
        self._route.arm.pool.acquire(self, self.head.method)
        if self._connection is None:
            self._wait()
        if self._route.shadows:
            self._mirror(body)

    def _mirror(self, body: list[Content]) -> None:
        """Begin the shadows' copies with what there is of the body; the upstream comes first."""
        if self._reply_state is not _ENDED:
            self._copies = mirror(self._context, self._route, self, body)

    def request_bytes(self) -> int:
        """Return how much of the request's body came."""
        if self._whole is not None:
            return len(self._whole)
        return 0 if self._request_capture is None else self._request_capture.size_bytes

    def _wait(self) -> None:
        """There is no connection yet: what waits for it is counted, and the client sends no more for now."""
        if self._reply_state is _ENDED:
            return
        self._waited = True
        self._pending_bytes = len(self._whole or b"") + sum(map(len, self._to_upstream))
        self._context.pending_bytes += self._pending_bytes
        if not self.request_ended:
            self._client.pause_reading()

    def request_head(self, arm: Arm, body: bytes = b"") -> bytes:
        """Return the head of the request to an arm, and a small body with it: made in one piece, nothing is copied twice."""
        head, trace = self.head, self._trace
        if trace is None:
            return b"%b %b%b HTTP/1.1\r\n%b%b" % (head.method, arm.target.prefix, head.target, self.fields, body)
        return b"%b %b%b HTTP/1.1\r\n%b%b%b" % (head.method, arm.target.prefix, head.target, trace.line(self.exchange_id, arm.name), self.fields, body)

    def _send(self) -> None:
        connection = self._connection
        assert connection is not None
        pieces = self._to_upstream
        connection.request_done = self.request_ended
        write(connection.transport, pieces)
        pieces.clear()

    # The reply, from the upstream.

    def connected(self, connection: UpstreamConnection, connect_ns: int) -> None:
        """See Receiver."""
        self._connection = connection
        self._connect_ns = connect_ns
        self._waits_since_ns = self._context.coarse_ns
        self._queue_ns = 0
        if self._waited:
            self._queue_ns = perf_counter_ns() - self._started_ns
            self._no_longer_pending()
            if self._client.reading_paused:
                self._client.resume_reading()
        whole = self._whole
        if whole is None:
            self._send()
            return
        connection.request_done = True
        if isinstance(whole, bytes):
            connection.transport.write(self.request_head(self._route.arm, whole))
        else:
            connection.transport.writelines((self.request_head(self._route.arm), whole))

    def request_may_flow(self, flowing: bool) -> None:
        """See Receiver."""
        if flowing:
            self._client.resume_reading()
        else:
            self._waits_since_ns = self._context.coarse_ns
            self._client.pause_reading()

    def whole_reply(self, head: ReplyHead, body: Content) -> None:
        """See Receiver."""
        self._first_byte_ns = total_ns = perf_counter_ns() - self._started_ns
        context = self._context
        self._connection = None
        self._reply_head = head
        if context.draining or not self.request_ended:
            self._close_after = True
        sequence = 0
        if self._recorded:
            sequence = self._keep(_NO_ERROR, head.status, total_ns, whole_body(body, head.content or content_fields(head), self._capture_bytes))
        connection = self._connection_field()
        if isinstance(body, bytes):
            self._client.transport.write(client_head(head, self.request_id, chunked=False, connection=connection, body=body))
        else:
            self._client.transport.writelines((client_head(head, self.request_id, chunked=False, connection=connection), body))
        self._done(_NO_ERROR, head.status, total_ns, sequence)

    def reply_head(self, head: ReplyHead) -> None:
        """See Receiver."""
        self._heard_from = True
        if head.interim:
            if self.head.minor:
                self._to_client.append(interim_head(head))
            return
        self._waits_since_ns = self._context.coarse_ns
        self._first_byte_ns = perf_counter_ns() - self._started_ns
        self._reply_head = head
        self._reply_state = _BEGUN
        if self._recorded:
            self._reply_capture = capture = BodyCapture(self._capture_bytes)
            if head.event_stream:
                capture.note_times(self._started_ns)
        if head.unbounded and self.head.method != b"HEAD":
            self._reply_chunked = self.head.minor == 1
            self._close_after = self._close_after or not self._reply_chunked
        if self._context.draining or not self.request_ended:
            self._close_after = True
        self._to_client.append(client_head(head, self.request_id, chunked=self._reply_chunked, connection=self._connection_field()))

    def reply_body(self, piece: bytes) -> None:
        """See Receiver."""
        capture = self._reply_capture
        if capture is not None:
            capture.add(piece)
        if self._reply_chunked:
            piece = b"%x\r\n%b\r\n" % (len(piece), piece)
        self._to_client.append(piece)

    def reply_pause(self) -> None:
        """See Receiver."""
        self._waits_since_ns = self._context.coarse_ns
        self._flush()

    def reply_end(self, trailers: bytes) -> None:
        """See Receiver. The record is in the spool before the reply's last byte is handed to the kernel."""
        self._connection = None
        if self._reply_chunked:
            self._to_client.append(b"0\r\n%b\r\n" % passed_trailers(trailers) if trailers else b"0\r\n\r\n")
        self._end(_NO_ERROR)

    def switched(self, head: ReplyHead, connection: UpstreamConnection) -> Tunnel:
        """See Receiver. The exchange is on record with its 101; what passes after it is an outcome."""
        self._reply_head = head
        self._first_byte_ns = total_ns = perf_counter_ns() - self._started_ns
        self._connection = None
        sequence = self._keep(_NO_ERROR, head.status, total_ns, NO_BODY)
        self._flush()  # interim replies that came in the same read
        self._client.transport.write(client_head(head, self.request_id, chunked=False, connection=b"Connection: Upgrade\r\nUpgrade: websocket\r\n"))
        tunnel = Tunnel(self._context, self._client, connection, self.exchange_id, sequence, self._started_ns)
        self._count_end(_NO_ERROR, head.status, total_ns)
        self._client.switched(tunnel)
        return tunnel

    def failed(self, kind: ErrorKind, reason: str) -> None:
        """See Receiver."""
        self._connection = None
        if kind is ErrorKind.UPSTREAM_CLOSED and self._may_try_again():
            self._retried = True
            self._route.arm.tally.retried()
            self._route.arm.pool.acquire(self, self.head.method, fresh=True)
        else:
            self._fail(kind, reason)

    def _may_try_again(self) -> bool:
        """RFC 9112 §9.3.1: a kept connection that closed without a word may never have seen the request; RFC 9110 §9.2.2 says which may be repeated."""
        closed_unheard = self._connect_ns == 0 and not self._heard_from and self._whole is not None
        may_repeat = self.head.method in _IDEMPOTENT or self._route.idempotent
        return closed_unheard and may_repeat and not self._retried and self._context.may_retry()

    # Ends that are nobody's reply.

    def client_left(self) -> None:
        """The client closed its connection."""
        self._give_up_upstream(ErrorKind.CLIENT_LEFT)
        self._to_client.clear()
        self._end(ErrorKind.CLIENT_LEFT)

    def break_off(self, kind: ErrorKind, reason: str, status: int = 0) -> None:
        """End it from our side: the request turned out malformed, or the time is up."""
        self._give_up_upstream(kind)
        self._fail(kind, reason, status)

    def check(self, now_ns: int) -> None:
        """Break it off where somebody who is waited for takes too long."""
        overdue, reason = self._overdue(now_ns)
        if overdue is ErrorKind.SEND_TIMEOUT:
            self._to_client.clear()
            self._give_up_upstream(overdue)
            self._reply_state = _BEGUN
            self._fail(overdue, reason)
        elif overdue is not _NO_ERROR:
            self.break_off(overdue, reason)

    def _overdue(self, now_ns: int) -> tuple[ErrorKind, str]:
        """Return whose time is up, and what is said of it. Of those who could be waited for it is the one without whom nothing else goes on."""
        timeouts = self._context.timeouts
        waited_ns = now_ns - self._waits_since_ns
        if timeouts.total_ns and now_ns - self._started_ns > timeouts.total_ns:
            return ErrorKind.TOTAL_TIMEOUT, "the request took longer than it may in all"
        if self._client.writing_paused:
            late = now_ns - self._client.since_ns > timeouts.send_ns
            return (ErrorKind.SEND_TIMEOUT if late else _NO_ERROR), ""
        if not self.request_ended and not self._client.reading_paused:
            late = waited_ns > timeouts.body_ns
            return (ErrorKind.BODY_TIMEOUT if late else _NO_ERROR), "the rest of the request's body did not come in time"
        if self._reply_state is _BEGUN:
            return (ErrorKind.REPLY_IDLE_TIMEOUT if waited_ns > timeouts.reply_idle_ns else _NO_ERROR), ""
        late = waited_ns > timeouts.first_byte_ns
        return (ErrorKind.FIRST_BYTE_TIMEOUT if late else _NO_ERROR), "the upstream did not answer in time"

    def reply_may_flow(self, flowing: bool) -> None:
        """The client's send buffer is full, or has room again."""
        if self._connection is None:
            return
        if flowing:
            self._waits_since_ns = self._context.coarse_ns
            self._connection.transport.resume_reading()
        else:
            self._connection.transport.pause_reading()

    def _give_up_upstream(self, kind: ErrorKind) -> None:
        if self._connection is not None:
            self._connection.give_up(kind)
            self._connection = None
        else:
            self._route.arm.pool.cancel(self)

    def _fail(self, kind: ErrorKind, reason: str, status: int = 0) -> None:
        """Answer in the upstream's place, or cut off a reply that has begun: never end it cleanly (RFC 9112 §8)."""
        if self._reply_state is _AWAITED:
            self._close_after = self._close_after or not self.request_ended
            answer = status or STATUSES[kind]
            self._to_client.append(own_reply(answer, reason, self.request_id, connection=self._connection_field(), head_only=self.head.method == b"HEAD"))
            self._end(kind, answer)
        else:
            self._to_client.clear()
            if kind is ErrorKind.SEND_TIMEOUT or (self._reply_head is not None and self._reply_head.unbounded and not self._reply_chunked):
                self._client.reset()
            else:
                self._client.abort()
            self._end(kind)

    def _connection_field(self) -> bytes:
        if self._close_after:
            return CLOSE
        return b"" if self.head.minor else b"Connection: keep-alive\r\n"

    def _flush(self) -> None:
        if self._to_client:
            write(self._client.transport, self._to_client)
            self._to_client.clear()

    def _end(self, error: ErrorKind, status: int = 0) -> None:
        total_ns = perf_counter_ns() - self._started_ns
        reply = self._reply_head
        body = NO_BODY
        if reply is not None:
            status = reply.status
            if self._reply_capture is not None:
                body = self._reply_capture.body(reply.content or content_fields(reply))
        sequence = self._keep(error, status, total_ns, body)
        self._flush()
        self._done(error, status, total_ns, sequence)

    def _done(self, error: ErrorKind, status: int, total_ns: int, sequence: int) -> None:
        self._count_end(error, status, total_ns)
        self._client.flight_ended(self, sequence, close=self._close_after or not self.request_ended)

    def _count_end(self, error: ErrorKind, status: int, total_ns: int) -> None:
        self._reply_state = _ENDED
        self._context.in_flight -= 1
        self._no_longer_pending()
        for copy in self._copies:
            copy.abandon()
        self._copies = ()
        self._route.arm.tally.ended(status, error, total_ns)

    def _no_longer_pending(self) -> None:
        if self._pending_bytes:
            self._context.pending_bytes -= self._pending_bytes
            self._pending_bytes = 0

    def _keep(self, error: ErrorKind, status: int, total_ns: int, reply: Body) -> int:
        """Put the exchange on record; return the record's sequence, or 0 where there is none."""
        return self._context.tap.append(self._record(error, status, total_ns, reply)) if self._recorded else 0

    def _record(self, error: ErrorKind, status: int, total_ns: int, reply: Body) -> Exchange:
        route, head, whole = self._route, self.head, self._whole
        limit = self._capture_bytes
        trace_id, span_id = trace_context(head.named) if b"traceparent" in head.named else _NO_TRACE
        fields = head.content or content_fields(head, route.kept_fields)
        if whole is not None:
            request = whole_body(whole, fields, limit)
        else:
            capture = self._request_capture
            request = whole_body(b"", fields, limit) if capture is None else capture.body(fields)
        # By position, in the order of the declaration: naming the fields costs more than all the rest of this function.
        return Exchange(
            self.exchange_id,
            self.request_id.decode(),
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
            self._client.principal,
            trace_id,
            span_id,
            _ALL_KEPT,
            request,
            reply,
        )

    def elapsed_ns(self) -> int:
        """Return the time since the request's head was read."""
        return perf_counter_ns() - self._started_ns
