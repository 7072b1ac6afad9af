"""One client's connection: requests in, replies out, one at a time in the order in which they came.

What a client sends behind a request waits in the reader until that one is answered; while more than a head's worth waits, nothing more is read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from http1.reader import END, NEED_DATA, WireError
from http1.request import RequestHead, RequestReader
from runtime.crowd import Crowd
from runtime.inference import Inference
from runtime.open_inference import error
from runtime.reply import JSON, Recipient, Reply

MAX_HEAD_BYTES: Final = 64 * 1024
_MAX_BUFFERED_BYTES: Final = 256 * 1024

HEAD_SECONDS: Final = 10.0
BODY_SECONDS: Final = 30.0
IDLE_SECONDS: Final = 75.0
SEND_SECONDS: Final = 60.0
"""How long a client may take for a head, for the next piece of a body, until its next request, and to take the next piece of a reply."""

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_REASONS: Final = {status.value: status.phrase.encode() for status in HTTPStatus}

Handle = Callable[[RequestHead, bytes, Recipient], "Inference | None"]


class Shared:
    """What all connections of a process have in common."""

    __slots__ = ("connections", "crowd", "draining", "handle", "max_body_bytes", "plain_start", "status_lines")

    def __init__(self, handle: Handle, crowd: Crowd, max_body_bytes: int) -> None:
        self.handle = handle
        self.crowd = crowd
        self.max_body_bytes = max_body_bytes
        self.connections: set[Connection] = set()
        self.draining = False
        """Each connection is closed after its next reply (RFC 9112 §9.6)."""
        self.status_lines: dict[int, bytes] = {}
        self.plain_start = b""
        """What every plain reply begins with, up to its length."""
        self.tick(time.time())

    def tick(self, now_seconds: float) -> None:
        """Bring the Date field up to date, once per second."""
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now_seconds)).encode()
        self.status_lines = {status: b"HTTP/1.1 %d %b\r\nDate: %b\r\nContent-Type: " % (status, reason, date) for status, reason in _REASONS.items()}
        self.plain_start = self.status_lines[200] + JSON + b"\r\nContent-Length: "

    def sweep(self, now_seconds: float) -> None:
        """Close connections whose client takes too long. `now_seconds` is the event loop's."""
        for connection in tuple(self.connections):
            connection.sweep(now_seconds)


class Connection(Recipient):
    """An `asyncio.Protocol` by its methods."""

    __slots__ = (
        "_bodiless",
        "_body",
        "_body_bytes",
        "_closing",
        "_head",
        "_inference",
        "_loop",
        "_reader",
        "_receiving",
        "_shared",
        "_since",
        "_transport",
        "_waiting",
        "_writable",
    )

    _transport: asyncio.Transport

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader(MAX_HEAD_BYTES)
        self._head: RequestHead | None = None
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._inference: Inference | None = None
        self._waiting = False
        """A request was handed on, and its reply has yet to come."""
        self._closing = False
        """That reply is the last one."""
        self._bodiless = False
        """It has no body: the method was HEAD."""
        self._receiving = False
        self._writable = True
        self._since = 0.0
        """When the client did something last."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """See asyncio.Protocol."""
        self._transport = transport
        self._since = self._loop.time()
        self._shared.connections.add(self)
        self._shared.crowd.connected += 1

    def connection_lost(self, _error: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._shared.connections.discard(self)
        self._shared.crowd.connected -= 1
        self._abandon()

    def eof_received(self) -> bool:
        """See asyncio.Protocol. A client that closes its sending side has left, as for the proxy."""
        return False

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self._writable = False
        self._since = self._loop.time()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self._writable = True

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        reader = self._reader
        self._since = self._loop.time()
        try:
            if self._waiting:
                reader.receive(data)
                if reader.buffered_bytes > _MAX_BUFFERED_BYTES:
                    self._transport.pause_reading()
                return
            whole = reader.receive_whole(data)
            if whole is None:
                self._advance()
            elif len(whole[1]) > self._shared.max_body_bytes:
                raise self._too_large()
            else:
                self._hand_on(whole[0], bytes(whole[1]))
        except WireError as wrong:
            self._break_off(wrong.status, wrong.reason)

    def sweep(self, now_seconds: float) -> None:
        """Close where the client takes too long."""
        took = now_seconds - self._since
        if not self._writable:
            if took > SEND_SECONDS:
                self._transport.abort()
        elif self._waiting:
            return
        elif self._head is not None:
            if took > BODY_SECONDS:
                self._break_off(408, f"the body did not go on within {BODY_SECONDS:g} s")
        elif not self._reader.idle:
            if took > HEAD_SECONDS:
                self._break_off(408, f"the head was not whole within {HEAD_SECONDS:g} s")
        elif took > IDLE_SECONDS:
            self._transport.close()

    def close_if_idle(self) -> None:
        """Close between requests."""
        if not self._waiting and self._head is None and self._reader.idle:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _advance(self) -> None:
        """Read on, up to a request's end; where its reply comes at once, also what follows it. Raises WireError."""
        self._receiving = True
        try:
            while not self._waiting:
                event = self._reader.next_event()
                if event is NEED_DATA:
                    return
                if event is END:
                    self._end_of_request()
                elif isinstance(event, bytes):
                    self._body.append(event)
                    self._body_bytes += len(event)
                    if self._body_bytes > self._shared.max_body_bytes:
                        raise self._too_large()
                elif isinstance(event, RequestHead):
                    self._begin(event)
        finally:
            self._receiving = False

    def _begin(self, head: RequestHead) -> None:
        if head.body_length > self._shared.max_body_bytes:
            raise self._too_large()
        self._head, self._body, self._body_bytes = head, [], 0
        expectation = head.named.get(b"expect")
        if expectation is not None and head.minor == 1:
            if expectation.lower() != b"100-continue":
                raise WireError(417, "the only expectation that is met is 100-continue")
            if not self._reader.buffered_bytes:
                self._transport.write(_CONTINUE)

    def _end_of_request(self) -> None:
        head, body = self._head, self._body
        assert head is not None
        self._head, self._body = None, []
        self._reader.start_next()
        self._hand_on(head, body[0] if len(body) == 1 else b"".join(body))

    def _hand_on(self, head: RequestHead, body: bytes) -> None:
        self._waiting = True
        self._shared.crowd.waiting += 1
        self._closing = not head.keep_alive
        self._bodiless = head.method == b"HEAD"
        inference = self._shared.handle(head, body, self)
        if self._waiting:
            self._inference = inference

    def respond(self, reply: Reply) -> None:
        """See Recipient."""
        transport = self._transport
        self._inference = None
        self._stop_waiting()
        if transport.is_closing():
            return
        shared = self._shared
        closing = self._closing or shared.draining
        content = reply.content
        if reply.is_plain and not closing and not self._bodiless:
            transport.write(b"".join((shared.plain_start, str(len(content)).encode(), b"\r\n\r\n", content)))
        else:
            connection = b"Connection: close\r\n" if closing else b""
            start = shared.status_lines[reply.status]
            head = b"%b%b\r\nContent-Length: %d\r\n%b%b\r\n" % (start, reply.content_type, len(content), reply.fields, connection)
            transport.write(head if self._bodiless else head + content)
        if closing:
            transport.close()
        elif self._reader.buffered_bytes and not self._receiving:
            self._go_on()

    def _go_on(self) -> None:
        """Read what the client has sent behind the request that was answered."""
        self._transport.resume_reading()
        try:
            self._advance()
        except WireError as wrong:
            self._break_off(wrong.status, wrong.reason)

    def _break_off(self, status: int, text: str) -> None:
        """Answer what cannot be understood, and close: where the next request would begin is not known."""
        if not self._transport.is_closing():
            self._closing, self._bodiless = True, False
            self.respond(Reply(status, error(text)))

    def _abandon(self) -> None:
        if self._inference is not None:
            self._inference.abandoned = True
            self._inference = None
        self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._waiting:
            self._waiting = False
            self._shared.crowd.waiting -= 1

    def _too_large(self) -> WireError:
        return WireError(413, f"expected a body of at most {self._shared.max_body_bytes} bytes; the setting runtime.max_body has the limit")
