"""One client's connection: requests in, one at a time, replies out in order. `MOVES` has its states, and what moves it from one to another."""

from __future__ import annotations

import asyncio
import select
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from http1.reader import END, NEED_DATA, WireError
from http1.request import RequestHead, RequestReader
from proxy.flight import Flight
from proxy.heads import HTTP, HTTPS, usable_request_id
from proxy.replies import CLOSE, own_reply, refusal
from proxy.tls import principal
from records.access import Denied
from records.exchange import ErrorKind
from records.outcome import Outcome

if TYPE_CHECKING:
    from proxy.context import Context
    from proxy.tunnel import Tunnel
    from records.ports import Gate

# The states of a connection. Plain integers, since they are looked at with every read.
WAITING: Final = 0
"""For a request: nothing of it has come, or a part of its head."""
ANSWERING: Final = 1
"""A flight has the request, and writes the reply."""
UNTAKEN: Final = 2
"""The reply is written; no further request is read before the client has taken its tail."""
TUNNELLING: Final = 3
"""A tunnel has the bytes of another protocol."""
LINGERING: Final = 4
"""Nothing more is said; what the client still sends is thrown away until it closes, or its time is up."""
CLOSED: Final = 5
"""Nothing is read any more; what is written may still be on its way."""

MOVES: Final[dict[int, dict[int, str]]] = {
    WAITING: {
        ANSWERING: "a request's head came, and a route takes it",
        LINGERING: "a request was refused that may still be coming, or there are too many connections",
        CLOSED: "a request was refused that had come whole, or did not come in time; it was idle for too long; the client left",
    },
    ANSWERING: {
        WAITING: "the reply is written and taken",
        UNTAKEN: "the reply is written, and the client takes it slower than it came",
        TUNNELLING: "the upstream took the client's upgrade",
        LINGERING: "the last reply is written, and the client may still be sending",
        CLOSED: "the last reply is written, or cut off; the client left",
    },
    UNTAKEN: {WAITING: "the client has taken all of it", CLOSED: "it did not in time; it left"},
    TUNNELLING: {CLOSED: "either side closed, or said nothing for too long"},
    LINGERING: {CLOSED: "its time is up; the client left"},
    CLOSED: {CLOSED: "the client has left as well"},
}
"""From which state to which others, and what happened then. There are no other moves."""

_ALLOWED: Final = tuple(sum(1 << to for to in MOVES[state]) for state in range(len(MOVES)))
"""The same as bits, since two moves are made for every request."""

_PIPELINED_BYTES_AT_MOST: Final = 64 * 1024
"""What may wait in the buffer behind the request that is being answered."""

_RESET: Final = struct.pack("ii", 1, 0)
"""The value of SO_LINGER that makes a close a reset."""

_LINGER_NS: Final = 5_000_000_000
"""How long a client that still sends is listened to after its last reply (RFC 9112 §9.6): closing on unread bytes would reset the connection under the reply."""


class ClientConnection:
    """Reads requests, has each answered by a flight, and begins the next one when it has ended; an `asyncio.Protocol` by its methods."""

    __slots__ = (
        "_context",
        "_flight",
        "_reader",
        "_tunnel",
        "_untaken",
        "certificate",
        "peer",
        "peer_text",
        "principal",
        "reading_paused",
        "scheme",
        "since_ns",
        "state",
        "transport",
        "writing_paused",
    )

    transport: asyncio.Transport
    peer: bytes
    """The client's address."""
    scheme: bytes
    """By which it came: `http` or `https`, as `proxy.heads` has them."""
    certificate: str
    """Whom the client's verified certificate names; empty where it has none."""
    principal: str
    """Who was authenticated, by certificate or by the request that is answered; empty where nobody was."""
    writing_paused: bool
    """The client takes its reply slower than it comes."""
    reading_paused: bool
    """The upstream takes the request slower than it comes."""
    state: int
    """One of those in `MOVES`."""
    since_ns: int
    """When what it waits for now began, by the context's coarse clock: a request, a head's end, or the client's taking of a reply."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._reader = RequestReader(context.max_head_bytes)
        self._flight: Flight | None = None
        self._tunnel: Tunnel | None = None
        self._untaken: tuple[int, Flight] | None = None
        """The record and the flight of a reply whose tail the client has yet to take."""
        self.state = WAITING
        self.reading_paused = False
        self.writing_paused = False
        self.since_ns = context.coarse_ns
        self.peer = b""
        self.peer_text = ""
        self.certificate = ""
        self.principal = ""
        self.scheme = HTTP

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's transports are no subclasses
        # Writing is paused by the first byte that the kernel does not take, and goes on when it has taken all: so an outcome knows what became of a reply's tail.
        self.transport.set_write_buffer_limits(high=1, low=0)  # with 0, TLS would pause where there is nothing to write
        address = transport.get_extra_info("peername")
        self.peer_text = str(address[0]) if isinstance(address, tuple) else ""
        self.peer = self.peer_text.encode() or b"unknown"  # RFC 7239 §6.2
        if transport.get_extra_info("ssl_object") is not None:
            self.scheme = HTTPS
            self.certificate = self.principal = principal(transport.get_extra_info("peercert") or {})
        if self._context.connected(self):
            return
        self.transport.write(own_reply(503, "this proxy has as many connections as it may", b"", connection=CLOSE))
        self._close(request_ended=False)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        state = self.state
        if state == WAITING:
            self._read_whole(data)
        elif state == ANSWERING or state == UNTAKEN:  # noqa: PLR1714, SIM109 - compiled, this is two comparisons and no tuple
            self._reader.receive(data)
            if self._flight is not None and not self._flight.request_ended:
                self._read()
            elif self._reader.buffered_bytes > _PIPELINED_BYTES_AT_MOST:
                self.pause_reading()
        elif self._tunnel is not None:
            self._tunnel.client_sent(data)

    def eof_received(self) -> bool:
        """See asyncio.Protocol. A client that closes its sending side has left, as for nginx and Envoy: one that waits looks no different."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - whatever the reason, the client is gone
        """See asyncio.Protocol."""
        self._context.disconnected(self)
        if self._flight is not None:
            self._flight.client_left()
        elif self._tunnel is not None:
            self._tunnel.client_left()
        elif self._untaken is not None:
            self._amend(ErrorKind.CLIENT_LEFT)
        self.enter(CLOSED)

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self.writing_paused = True
        self.since_ns = self._context.coarse_ns
        if self._flight is not None:
            self._flight.reply_may_flow(False)
        elif self._tunnel is not None:
            self._tunnel.client_takes(False)

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self.writing_paused = False
        took_time = self._context.coarse_ns > self.since_ns
        self.since_ns = self._context.coarse_ns
        if self._flight is not None:
            self._flight.reply_may_flow(True)
        elif self._tunnel is not None:
            self._tunnel.client_takes(True)
        if self._untaken is not None:
            if took_time:
                self._amend(ErrorKind.NONE)
            self._untaken = None
        if self.state == UNTAKEN:
            self.enter(WAITING)
            self._go_on()

    def pause_reading(self) -> None:
        """Take no more from the client for now."""
        self.reading_paused = True
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on taking what the client sends."""
        if self.reading_paused:
            self.reading_paused = False
            self.transport.resume_reading()

    def abort(self) -> None:
        """Close at once, so that the client sees its reply cut off."""
        self.transport.abort()

    def reset(self) -> None:
        """Close at once and by a reset: a reply that only the close delimits would look whole after anything else, and the kernel keeps nothing unsent."""
        if not self.transport.is_closing() or self.transport.get_write_buffer_size():  # a closed one's descriptor may be another's by now
            with suppress(OSError):  # it may be gone already
                self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def close_if_idle(self) -> None:
        """Close unless a request has begun or is being answered; then the reply closes it."""
        if self.state in (WAITING, UNTAKEN) and self._reader.idle:
            self._close_now()

    def break_off(self, kind: ErrorKind, reason: str) -> None:
        """End what goes on, from our side."""
        if self._flight is not None:
            self._flight.break_off(kind, reason)
        elif self._tunnel is not None:
            self._tunnel.break_off(kind)
        elif self.transport.get_write_buffer_size():
            self._cut_tail(kind)

    def check(self, now_ns: int) -> None:
        """End what has taken too long at this `time.perf_counter_ns`, and see whether a client that is not read from is still there."""
        if self.reading_paused and _has_left(self.transport):
            self.abort()
            return
        if self._flight is not None:
            self._flight.check(now_ns)
        elif self._tunnel is not None:
            self._tunnel.check(now_ns)
        else:
            self._check_waiting(now_ns - self.since_ns)

    def enter(self, state: int) -> None:
        """Go to another state, by one of the moves in `MOVES`."""
        assert _ALLOWED[self.state] >> state & 1, f"a connection cannot go from state {self.state} to {state}"
        self.state = state

    def _check_waiting(self, waited_ns: int) -> None:
        timeouts = self._context.timeouts
        if self.writing_paused:
            if waited_ns > timeouts.send_ns:
                self._cut_tail(ErrorKind.SEND_TIMEOUT)
        elif self.state == LINGERING:
            if waited_ns > _LINGER_NS:
                self._end_lingering()
        elif self.state == WAITING and not self.transport.is_closing():
            if self._reader.idle:
                if waited_ns > timeouts.client_idle_ns:
                    self._close_now()
            elif waited_ns > timeouts.head_ns:
                self._answer(408, ErrorKind.HEAD_TIMEOUT, "the request's head did not come in time")

    def switched(self, tunnel: Tunnel) -> None:
        """The flight ended in another protocol; what was received already is part of it."""
        self._flight = None
        self._tunnel = tunnel
        self.enter(TUNNELLING)
        self._context.tunnels += 1
        rest = self._reader.take_rest()
        if rest:
            tunnel.client_sent(rest)
        self.resume_reading()

    def flight_ended(self, flight: Flight, sequence: int, *, close: bool) -> None:
        """The reply is written, or there will be none."""
        self._flight = None
        self.since_ns = self._context.coarse_ns
        if self.writing_paused and not self.transport.is_closing():
            self._untaken = (sequence, flight)
        if close or self._context.draining:
            self._close(request_ended=flight.request_ended)
        elif self.writing_paused:
            self.enter(UNTAKEN)
            self.pause_reading()  # whoever does not take replies is made no further ones
        else:
            self.enter(WAITING)
            self._go_on()

    def _close(self, *, request_ended: bool) -> None:
        """Close after what is written; where the client may still be sending, only once it has had the time to read that."""
        if self.transport.is_closing():
            self.enter(CLOSED)
        elif request_ended and not self._reader.buffered_bytes:
            self._close_now()
        else:
            self._linger()

    def _close_now(self) -> None:
        """Read no more, and close once what is written is sent."""
        self.enter(CLOSED)
        self.transport.close()

    def _linger(self) -> None:
        """Say that nothing more is sent, and throw away what comes until the client closes or its time is up."""
        self.enter(LINGERING)
        self.since_ns = self._context.coarse_ns
        if self.transport.can_write_eof():  # TLS cannot close one way: there the reply alone says it
            self.transport.write_eof()
        self.resume_reading()

    def _end_lingering(self) -> None:
        if self.transport.can_write_eof():
            self.abort()
        else:
            self.transport.close()  # which tells a client of TLS that nothing was cut off

    def _cut_tail(self, kind: ErrorKind) -> None:
        """Give up what the client has not taken of replies that ended."""
        if self._untaken is not None:
            self._amend(kind)
        self.reset()

    def _go_on(self) -> None:
        """Take the next request."""
        if self.reading_paused:
            self.resume_reading()
        if self._reader.start_next():
            asyncio.get_running_loop().call_soon(self._read_next)

    def _read_next(self) -> None:
        if self.state == WAITING and not self.transport.is_closing():  # what came in between may have begun it
            self._read()

    def _read_whole(self, data: bytes) -> None:
        """Take the short way where one read holds one request."""
        was_idle = self._reader.idle
        try:
            whole = self._reader.receive_whole(data)
        except WireError as error:
            self._refuse(error)
            return
        if whole is None:
            self._read()
            if was_idle and not self._reader.idle:  # empty lines are no head, and a client that sends only them is idle
                self.since_ns = self._context.coarse_ns
            return
        flight = self._begin(whole[0])
        if flight is not None:
            flight.whole_request(whole[1])

    def _read(self) -> None:
        reader = self._reader
        flight = self._flight
        try:
            while (event := reader.next_event()) is not NEED_DATA:
                if isinstance(event, bytes):
                    assert flight is not None
                    flight.request_body(event)
                    if self._context.max_body_bytes and flight.too_large(self._context.max_body_bytes):
                        raise _too_large()
                elif event is END:
                    assert flight is not None
                    flight.request_end(reader.trailers)
                    return
                elif isinstance(event, RequestHead):
                    flight = self._begin(event)
                    if flight is None:
                        return
            if flight is not None:
                flight.request_pause()
        except WireError as error:
            self._refuse(error)

    def _begin(self, head: RequestHead) -> Flight | None:
        """Start a flight; None where the request goes nowhere and is answered already."""
        context = self._context
        route = context.routes.find(head.target)
        given = head.named.get(b"x-request-id")
        request_id = given if given and usable_request_id(given) else b""
        if context.gate is not None and not self._admitted(context.gate, head, request_id):
            return None
        if route is None:
            self._answer(404, ErrorKind.NO_ROUTE, "no route takes this path", head, request_id)
            return None
        if context.in_flight >= context.max_in_flight or context.pending_bytes >= context.max_pending_bytes:
            self._answer(503, ErrorKind.OVERLOADED, context.overloaded(), head, request_id)
            return None
        if context.max_body_bytes and head.body_length > context.max_body_bytes:
            error = _too_large()
            self._answer(error.status, ErrorKind.BAD_REQUEST, error.reason, head, request_id)
            return None
        self._flight = flight = Flight(context, self, route, head, request_id)
        self.enter(ANSWERING)
        return flight

    def _admitted(self, gate: Gate, head: RequestHead, request_id: bytes) -> bool:
        """Whether who sends this may; else it is answered."""
        found = gate.admit(head.method, head.target, head.named, self.certificate, self.peer_text)
        if isinstance(found, Denied):
            self._answer(found.status, found.kind, found.reason, head, request_id, found.field)
            return False
        self.principal = found.name
        head.withheld = found.own_field
        return True

    def _refuse(self, error: WireError) -> None:
        """Answer a malformed request; nothing after it can be trusted, so the connection is closed."""
        if self._flight is not None:
            self._flight.break_off(ErrorKind.BAD_REQUEST, error.reason, error.status)
        else:
            self._answer(error.status, ErrorKind.BAD_REQUEST, error.reason)

    def _answer(self, status: int, kind: ErrorKind, message: str, head: RequestHead | None = None, request_id: bytes = b"", field: bytes = b"") -> None:
        """Answer a request that goes nowhere, put it on record, and close the connection: its body, if it has one, was not read."""
        self.transport.write(refusal(self._context, self, status, kind, message, head, request_id, field))
        if kind is ErrorKind.HEAD_TIMEOUT:
            self._close_now()  # it had its time
        else:
            self._close(request_ended=head is not None and head.body_length == 0)

    def _amend(self, error: ErrorKind) -> None:
        """Say what became of the tail of a reply that the client had not taken when its record was written."""
        assert self._untaken is not None
        sequence, flight = self._untaken
        self._untaken = None
        self._context.tap.amend(sequence, Outcome(flight.exchange_id, error, flight.elapsed_ns()))


def _too_large() -> WireError:
    return WireError(413, "the request's body is larger than is accepted")


def _has_left(transport: asyncio.Transport) -> bool:
    """Whether the client has closed a connection from which nothing is read, so that the event loop does not tell."""
    if transport.is_closing():
        return False
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), select.POLLRDHUP)
    return bool(poll.poll(0))
