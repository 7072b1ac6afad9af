"""One client's connection: requests in, one at a time, replies out in order."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, cast

from proxy.flight import Flight
from proxy.heads import own_reply, usable_request_id
from proxy.wire.reader import END, NEED_DATA, WireError
from proxy.wire.request import RequestHead, RequestReader
from records.exchange import ErrorKind, Exchange, Role
from records.ids import new_exchange_id
from records.outcome import Outcome

if TYPE_CHECKING:
    from proxy.worker import Context

_PIPELINED_BYTES_AT_MOST: Final = 64 * 1024
"""What may wait in the buffer behind the request that is being answered."""

_HIGH_WATER_BYTES: Final = 64 * 1024


class ClientConnection(asyncio.Protocol):
    """Reads requests, has each answered by a flight, and begins the next one when it has ended."""

    __slots__ = ("_context", "_flight", "_reader", "_unread_tail", "peer", "peer_text", "reading_paused", "transport", "writing_paused")

    transport: asyncio.Transport
    peer: bytes
    """The client's address."""
    writing_paused: bool
    """The client takes its reply slower than it comes."""
    reading_paused: bool
    """The upstream takes the request slower than it comes."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._reader = RequestReader(context.max_head_bytes)
        self._flight: Flight | None = None
        self._unread_tail: tuple[int, Flight] | None = None
        self.reading_paused = False
        self.writing_paused = False
        self.peer = b""
        self.peer_text = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's transports are no subclasses
        # Reading from the upstream goes on when the client has taken everything: then an outcome knows when that was.
        self.transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES, low=0)
        address = transport.get_extra_info("peername")
        self.peer_text = str(address[0]) if isinstance(address, tuple) else ""
        self.peer = self.peer_text.encode()
        self._context.connected(self)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        flight = self._flight
        if flight is None:
            self._read_whole(data)
            return
        self._reader.receive(data)
        if not flight.request_ended:
            self._read()
        elif self._reader.buffered_bytes > _PIPELINED_BYTES_AT_MOST:
            self.pause_reading()

    def eof_received(self) -> bool:
        """See asyncio.Protocol. A client that closes its sending side has left, as for nginx and Envoy: one that waits looks no different."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - whatever the reason, the client is gone
        """See asyncio.Protocol."""
        self._context.disconnected(self)
        if self._flight is not None:
            self._flight.client_left()
        elif self._unread_tail is not None:
            self._amend(ErrorKind.CLIENT_LEFT)

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self.writing_paused = True
        if self._flight is not None:
            self._flight.upstream_may_flow(False)

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self.writing_paused = False
        if self._flight is not None:
            self._flight.upstream_may_flow(True)
        if self._unread_tail is not None:
            self._amend(ErrorKind.NONE)
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

    def close_if_idle(self) -> None:
        """Close unless a request is being answered; then the reply closes it."""
        if self._flight is None:
            self.transport.close()

    def flight_ended(self, flight: Flight, sequence: int, *, close: bool) -> None:
        """The reply is written, or there will be none."""
        self._flight = None
        transport = self.transport
        if self.writing_paused and not transport.is_closing():
            self._unread_tail = (sequence, flight)
        if close or self._context.draining:
            transport.close()
        elif self.writing_paused:
            self.pause_reading()  # whoever does not take replies is made no further ones
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Take the next request."""
        if self.reading_paused:
            self.resume_reading()
        if self._reader.start_next():
            asyncio.get_running_loop().call_soon(self._read_next)

    def _read_next(self) -> None:
        if self._flight is None and not self.transport.is_closing():  # what came in between may have begun it
            self._read()

    def _read_whole(self, data: bytes) -> None:
        """Take the short way where one read holds one request."""
        try:
            whole = self._reader.receive_whole(data)
        except WireError as error:
            self._refuse(error)
            return
        if whole is None:
            self._read()
            return
        head, body = whole
        flight = self._begin(head)
        if flight is not None:
            if body:
                flight.request_body(body)
            flight.request_end()

    def _read(self) -> None:
        reader = self._reader
        flight = self._flight
        try:
            while (event := reader.next_event()) is not NEED_DATA:
                if isinstance(event, bytes):
                    assert flight is not None
                    flight.request_body(event)
                elif event is END:
                    assert flight is not None
                    flight.request_end()
                    return
                elif isinstance(event, RequestHead):
                    flight = self._begin(event)
                    if flight is None:
                        return
        except WireError as error:
            self._refuse(error)
        else:
            if flight is not None:
                flight.request_pause()

    def _begin(self, head: RequestHead) -> Flight | None:
        """Start a flight; None where no route takes the request and it is answered already."""
        route = self._context.routes.find(head.target)
        given = head.named.get(b"x-request-id")
        request_id = usable_request_id(given) if given else None
        if route is None:
            self._answer(404, ErrorKind.NO_ROUTE, "no route takes this path", head, request_id)
            return None
        self._flight = Flight(self._context, self, route, head, request_id)
        return self._flight

    def _refuse(self, error: WireError) -> None:
        """Answer a malformed request; nothing after it can be trusted, so the connection is closed."""
        if self._flight is not None:
            self._flight.break_off(ErrorKind.BAD_REQUEST, error.reason, error.status)
            self.transport.close()
        else:
            self._answer(error.status, ErrorKind.BAD_REQUEST, error.reason)

    def _answer(self, status: int, kind: ErrorKind, message: str, head: RequestHead | None = None, request_id: str | None = None) -> None:
        """Answer a request that goes nowhere, put it on record, and close the connection: its body was not read."""
        now_ns = time.time_ns()
        exchange_id = new_exchange_id(now_ns)
        request_id = request_id or exchange_id.hex()
        self._context.tap.append(
            Exchange(
                exchange_id=exchange_id,
                request_id=request_id,
                role=Role.SERVED,
                route="",
                arm="",
                started_at_ns=now_ns,
                total_ns=0,
                method=head.method.decode("latin-1") if head else "",
                path=head.target.decode("latin-1") if head else "",
                status=status,
                error=kind,
                client=self.peer_text,
            )
        )
        self._context.unrouted.ended(status, kind, 0)
        head_only = head is not None and head.method == b"HEAD"
        self.transport.write(own_reply(status, message, request_id, connection=b"Connection: close\r\n", head_only=head_only))
        self.transport.close()

    def _amend(self, error: ErrorKind) -> None:
        """Say what became of the tail of a reply that the client had not taken when its record was written."""
        assert self._unread_tail is not None
        sequence, flight = self._unread_tail
        self._unread_tail = None
        self._context.tap.amend(sequence, Outcome(flight.exchange_id, error, flight.elapsed_ns()))
