"""The same request to the shadows, whose replies nobody waits for.

A request is mirrored once it is whole and on its way to the upstream. A shadow that is slow or dead holds at most `max_in_flight` requests
with bodies of at most `max_body_bytes`; what it does not get is counted.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final

from proxy.capture import BodyCapture
from proxy.heads import content_fields, trace_context
from proxy.route import Route, Shadow
from proxy.upstream import UpstreamConnection
from proxy.wire.reply import ReplyHead
from records.exchange import NO_BODY, ErrorKind, Exchange, Role
from records.metrics import SkipReason

if TYPE_CHECKING:
    from proxy.flight import Flight
    from proxy.worker import Context

_SHADOW: Final = Role.SHADOW
_NO_CLIENT: Final = ""  # it is in the served exchange's record
_NOBODY: Final = ""  # likewise, once somebody is authenticated
_ALL_KEPT: Final = 1.0


def mirror(context: Context, route: Route, flight: Flight, request: BodyCapture) -> None:
    """Send a whole request to those of the route's shadows that are due."""
    for shadow in route.shadows:
        if shadow.share < 1.0 and random.random() >= shadow.share:  # noqa: S311 - a sample, not a secret
            continue
        if request.size_bytes > shadow.max_body_bytes:
            shadow.arm.tally.skipped(SkipReason.TOO_LARGE)
        elif shadow.in_flight >= shadow.max_in_flight:
            shadow.arm.tally.skipped(SkipReason.BUSY)
        else:
            Mirrored(context, route, shadow, flight, request)


class Mirrored:
    """A request to one shadow; implements `proxy.upstream.Receiver`."""

    __slots__ = (
        "_capture",
        "_connect_ns",
        "_connection",
        "_context",
        "_first_byte_ns",
        "_flight",
        "_queue_ns",
        "_reply",
        "_request",
        "_route",
        "_shadow",
        "_started_at_ns",
        "_started_ns",
    )

    def __init__(self, context: Context, route: Route, shadow: Shadow, flight: Flight, request: BodyCapture) -> None:
        self._context = context
        self._route = route
        self._shadow = shadow
        self._flight = flight
        self._request = request
        self._capture = BodyCapture(context.capture_bytes)
        self._reply: ReplyHead | None = None
        self._connection: UpstreamConnection | None = None
        self._queue_ns = self._connect_ns = self._first_byte_ns = -1
        self._started_at_ns = time.time_ns()
        self._started_ns = time.perf_counter_ns()
        shadow.in_flight += 1
        context.flights.add(self)
        shadow.arm.pool.acquire(self, flight.head.method)

    def connected(self, connection: UpstreamConnection, connect_ns: int) -> None:
        """See Receiver."""
        self._connection = connection
        self._connect_ns = connect_ns
        self._queue_ns = time.perf_counter_ns() - self._started_ns
        head = self._flight.head
        body = self._request.content()
        if head.chunked:
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        connection.request_done = True
        connection.transport.write(b"%b %b%b HTTP/1.1\r\n%b%b" % (head.method, self._shadow.arm.target.prefix, head.target, self._flight.fields, body))

    def request_may_flow(self, flowing: bool) -> None:
        """See Receiver. The request was written at once."""

    def reply_head(self, head: ReplyHead) -> None:
        """See Receiver."""
        if not head.interim:
            self._first_byte_ns = time.perf_counter_ns() - self._started_ns
            self._reply = head

    def reply_body(self, piece: bytes) -> None:
        """See Receiver."""
        self._capture.add(piece)

    def reply_pause(self) -> None:
        """See Receiver."""

    def reply_end(self) -> None:
        """See Receiver."""
        self._connection = None
        self._end(ErrorKind.NONE)

    def failed(self, kind: ErrorKind, reason: str) -> None:  # noqa: ARG002 - nobody is told but the record
        """See Receiver."""
        self._connection = None
        self._end(kind)

    def break_off(self, kind: ErrorKind, reason: str) -> None:
        """End it from our side: the time is up."""
        if self._connection is not None:
            self._connection.close()
        else:
            self._shadow.arm.pool.cancel(self)
        self.failed(kind, reason)

    def check(self, now_ns: int) -> None:
        """Break it off where it takes too long."""
        if now_ns - self._started_ns > self._shadow.timeout_ns:
            self.break_off(ErrorKind.REPLY_TIMEOUT, "the shadow did not answer in time")

    def _end(self, error: ErrorKind) -> None:
        context, reply, arm, flight = self._context, self._reply, self._shadow.arm, self._flight
        total_ns = time.perf_counter_ns() - self._started_ns
        status = 0 if reply is None else reply.status
        self._shadow.in_flight -= 1
        context.flights.discard(self)
        trace_id, span_id = trace_context(flight.head.named)
        context.tap.append(
            Exchange(  # by position, as in `Flight`
                flight.exchange_id,
                flight.request_id,
                _SHADOW,
                self._route.name,
                arm.name,
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
                self._request.size_only(),
                NO_BODY if reply is None else self._capture.body(reply.content or content_fields(reply), context.capture_bytes),
            )
        )
        arm.tally.ended(status, error, total_ns)
