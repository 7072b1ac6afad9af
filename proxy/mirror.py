"""The same request to the shadows, whose replies nobody waits for.

A copy begins when the request is sent to the upstream, and is given every further piece of it as it passes. The served request never waits for it: what a
shadow has not taken yet is held here, up to `max_buffer_bytes` over all copies, and beyond that the copy with the most waiting is given up.

Each request that is due is counted once: mirrored where its whole copy was sent, whatever the shadow made of it, else skipped, with the reason.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Final

from http1.reader import Content
from http1.reply import ReplyHead
from proxy.capture import BodyCapture, whole_body
from proxy.heads import content_fields, trace_context
from proxy.route import Route, Shadow
from proxy.upstream import Receiver, UpstreamConnection
from proxy.writing import write
from records.exchange import NO_BODY, Body, ErrorKind, Exchange, Role
from records.metrics import SkipReason

if TYPE_CHECKING:
    from proxy.context import Context
    from proxy.flight import Flight

_SHADOW: Final = Role.SHADOW
_NO_ERROR: Final = ErrorKind.NONE
_NO_CLIENT: Final = ""  # it is in the served exchange's record
_NOBODY: Final = ""  # likewise, once somebody is authenticated
_ALL_KEPT: Final = 1.0

_SAYS_NOTHING_OF_THE_SHADOW: Final = frozenset({ErrorKind.INCOMPLETE, ErrorKind.SHUTDOWN})


def mirror(context: Context, route: Route, flight: Flight, pieces: list[Content]) -> tuple[Copy, ...]:
    """Begin a copy to each of the route's shadows that is due; `pieces` are what there is of the body, framed as it is sent.

    Returns the copies that wait for more of the request: none where it has ended.
    """
    copies = []
    for shadow in route.shadows:
        if not shadow.sample.takes(flight.head):
            continue
        shadow.tally.due()
        now_ns = perf_counter_ns()
        if flight.upgrade:
            shadow.tally.skipped(SkipReason.UPGRADE)
        elif len(shadow.copies) >= shadow.max_in_flight:
            shadow.tally.skipped(SkipReason.BUSY)
        elif not (ticket := shadow.breaker.admit(now_ns)):
            shadow.tally.skipped(SkipReason.CIRCUIT_OPEN)
        else:
            copy = Copy(context, route, shadow, flight, ticket, now_ns)
            copy.begin(pieces)
            copies.append(copy)
    return () if flight.request_ended else tuple(copies)


class Copy(Receiver):
    """A request to one shadow; receives its reply for the record alone."""

    __slots__ = (
        "_capture",
        "_connect_ns",
        "_connection",
        "_context",
        "_ended",
        "_first_byte_ns",
        "_flight",
        "_pieces",
        "_queue_ns",
        "_recorded",
        "_reply",
        "_reply_body",
        "_route",
        "_sent",
        "_shadow",
        "_started_at_ns",
        "_started_ns",
        "_ticket",
        "_waits_since_ns",
        "waiting_bytes",
    )

    waiting_bytes: int
    """What the shadow has not taken yet, at most; exactly after `measure`."""

    def __init__(self, context: Context, route: Route, shadow: Shadow, flight: Flight, ticket: int, now_ns: int) -> None:
        self._context = context
        self._route = route
        self._shadow = shadow
        self._flight = flight
        self._ticket = ticket
        self._recorded = not context.tap.leaves_out(route.name, flight.exchange_id)
        self._capture: BodyCapture | None = None
        self._reply_body = NO_BODY
        self._reply: ReplyHead | None = None
        self._connection: UpstreamConnection | None = None
        self._queue_ns = self._connect_ns = self._first_byte_ns = -1
        self._started_at_ns = now_ns + context.unix_offset_ns
        self._started_ns = self._waits_since_ns = now_ns
        self._pieces: list[Content] = []
        self._sent = False
        self._ended = False
        self.waiting_bytes = 0

    def begin(self, pieces: list[Content]) -> None:
        """Send what there is of the request, as soon as there is a connection."""
        shadow, flight = self._shadow, self._flight
        self._pieces = [flight.request_head(shadow.arm), *pieces]
        size = 0
        for piece in self._pieces:
            size += len(piece)
        shadow.copies.add(self)
        self._context.flights.add(self)
        shadow.arm.pool.acquire(self, flight.head.method)
        self._hold(size)

    # The rest of the request, from the flight.

    def send(self, piece: bytes) -> None:
        """A further piece of the request's body passed."""
        if self._ended:
            return
        self._say(piece)
        self._hold(len(piece))

    def finish(self, last: bytes) -> None:
        """The request is whole, with this behind its body; from now on the reply is due."""
        if self._ended:
            return
        self._waits_since_ns = perf_counter_ns()
        connection = self._connection
        if connection is not None:
            self._sent = connection.request_done = True
        if last:
            self._say(last)

    def abandon(self) -> None:
        """The served request ended before it was whole, so its copy never will be."""
        self.break_off(ErrorKind.INCOMPLETE, "the served request was never whole")

    def _say(self, piece: bytes) -> None:
        connection = self._connection
        if connection is None:
            self._pieces.append(piece)
        else:
            connection.transport.write(piece)

    def _hold(self, size: int) -> None:
        """So many bytes more wait for the shadow, at most."""
        if self._ended:
            return
        shadow = self._shadow
        self.waiting_bytes += size
        shadow.waiting_bytes += size
        if shadow.waiting_bytes > shadow.max_buffer_bytes:
            _make_room(shadow)

    def measure(self) -> int:
        """Return how many bytes wait for the shadow now."""
        connection = self._connection
        if connection is not None:
            self.waiting_bytes = connection.transport.get_write_buffer_size()
        return self.waiting_bytes

    # The reply, from the shadow.

    def connected(self, connection: UpstreamConnection, connect_ns: int) -> None:
        """See Receiver."""
        self._connection = connection
        self._connect_ns = connect_ns
        self._queue_ns = perf_counter_ns() - self._started_ns
        self._sent = connection.request_done = self._flight.request_ended
        pieces, self._pieces = self._pieces, []
        write(connection.transport, pieces)

    def request_may_flow(self, flowing: bool) -> None:
        """See Receiver. The request is not slowed down: `_make_room` bounds what waits."""

    def reply_head(self, head: ReplyHead) -> None:
        """See Receiver."""
        if head.interim:
            return
        self._first_byte_ns = perf_counter_ns() - self._started_ns
        self._reply = head
        if self._recorded:
            self._capture = capture = BodyCapture(self._context.capture_bytes)
            if head.event_stream:
                capture.note_times(self._started_ns)

    def reply_body(self, piece: bytes) -> None:
        """See Receiver. What is not captured is thrown away."""
        capture = self._capture
        if capture is not None:
            capture.add(piece)

    def reply_pause(self) -> None:
        """See Receiver."""

    def whole_reply(self, head: ReplyHead, body: Content) -> None:
        """See Receiver."""
        self._first_byte_ns = perf_counter_ns() - self._started_ns
        self._connection = None
        self._reply = head
        if self._recorded:
            self._reply_body = whole_body(body, head.content or content_fields(head), self._context.capture_bytes)
        self._end(_NO_ERROR)

    def reply_end(self, trailers: bytes) -> None:  # noqa: ARG002 - not part of the record
        """See Receiver."""
        self._connection = None
        self._end(_NO_ERROR)

    def failed(self, kind: ErrorKind, reason: str) -> None:  # noqa: ARG002 - nobody is told but the record
        """See Receiver."""
        self._connection = None
        self._end(kind)

    def break_off(self, kind: ErrorKind, reason: str) -> None:
        """End it from our side."""
        if self._ended:
            return
        connection = self._connection
        if connection is not None:
            self._sent = self._sent and not connection.transport.get_write_buffer_size()
            connection.give_up(kind)
        else:
            self._shadow.arm.pool.cancel(self)
        self.failed(kind, reason)

    def check(self, now_ns: int) -> None:
        """Break it off where its reply, due since the request was whole, takes too long. Until then the served request's own times bound it."""
        if self._flight.request_ended and now_ns - self._waits_since_ns > self._shadow.timeout_ns:
            self.break_off(ErrorKind.TOTAL_TIMEOUT, "the shadow did not answer in time")

    def _end(self, error: ErrorKind) -> None:
        shadow = self._shadow
        now_ns = perf_counter_ns()
        total_ns = now_ns - self._started_ns
        status = 0 if self._reply is None else self._reply.status
        self._ended = True
        self._pieces.clear()
        shadow.copies.discard(self)
        shadow.waiting_bytes -= self.waiting_bytes
        self._context.flights.discard(self)
        if self._recorded:
            self._context.tap.append(self._record(error, status, total_ns))
        shadow.arm.tally.ended(status, error, total_ns)
        if self._sent:
            shadow.tally.mirrored()
        else:
            shadow.tally.skipped(_why(error))
        failed = error is not _NO_ERROR
        if not failed or error not in _SAYS_NOTHING_OF_THE_SHADOW:
            shadow.breaker.ended(self._ticket, now_ns, failed=failed)
            shadow.tally.circuit(is_open=shadow.breaker.is_open)

    def _record(self, error: ErrorKind, status: int, total_ns: int) -> Exchange:
        flight, reply, capture = self._flight, self._reply, self._capture
        if reply is not None and capture is not None:
            self._reply_body = capture.body(reply.content or content_fields(reply))
        trace_id, span_id = trace_context(flight.head.named)
        return Exchange(  # by position, as in `Flight`
            flight.exchange_id,
            flight.request_id.decode(),
            _SHADOW,
            self._route.name,
            self._shadow.arm.name,
            self._started_at_ns,
            flight.head.method_text,
            flight.head.target_text,
            self._route.model,
            self._route.version,
            self._queue_ns,
            self._connect_ns,
            self._first_byte_ns,
            total_ns,
            status,
            error,
            _NO_CLIENT,
            _NOBODY,
            trace_id,
            span_id,
            _ALL_KEPT,
            Body(size_bytes=flight.request_bytes()),
            self._reply_body,
        )


def _why(error: ErrorKind) -> SkipReason:
    """Say why a copy that ended so was not sent whole."""
    if error is ErrorKind.NONE:
        return SkipReason.ANSWERED_EARLY
    if error is ErrorKind.TOO_SLOW:
        return SkipReason.TOO_SLOW
    return SkipReason.INCOMPLETE if error in _SAYS_NOTHING_OF_THE_SHADOW else SkipReason.FAILED


def _make_room(shadow: Shadow) -> None:
    """See what really waits, and give up the copy with the most of it until the rest is within the bound."""
    waiting = {copy: copy.measure() for copy in shadow.copies}
    shadow.waiting_bytes = sum(waiting.values())
    while shadow.waiting_bytes > shadow.max_buffer_bytes:
        slowest = max(waiting, key=waiting.__getitem__)
        del waiting[slowest]
        slowest.break_off(ErrorKind.TOO_SLOW, "the shadow took the request slower than it came")
