"""One connection to a target: requests out, replies in, one at a time."""

from __future__ import annotations

import asyncio
from time import perf_counter_ns
from typing import TYPE_CHECKING, Final, cast

from http1.reader import END, NEED_DATA, Content, WireError
from http1.reply import ReplyHead, ReplyReader
from records.exchange import ErrorKind

if TYPE_CHECKING:
    from proxy.endpoint import Endpoint
    from proxy.tunnel import Tunnel


_UPSTREAMS_FAULT: Final = frozenset({ErrorKind.FIRST_BYTE_TIMEOUT, ErrorKind.REPLY_IDLE_TIMEOUT, ErrorKind.TOTAL_TIMEOUT, ErrorKind.TOO_SLOW})
"""Why an exchange can be given up, where that says something about the upstream."""


_FINISH_SECONDS: Final = 5.0
"""How long an upstream may take for the last of what an upgraded connection's client has sent."""


class Receiver:
    """Who waits for a reply: what the client gets, or a shadow's that nobody gets. A base class, so that calls to it compile to direct ones."""

    upgrade = False
    """It asked for another protocol, so that a 101 may come."""

    def connected(self, connection: UpstreamConnection, connect_ns: int) -> None:
        """A connection is at this receiver's disposal. `connect_ns` is 0 where an idle one was used again."""
        raise NotImplementedError

    def whole_reply(self, head: ReplyHead, body: Content) -> None:
        """Head, body and end of a final reply in one; the connection is no longer this receiver's."""
        raise NotImplementedError

    def reply_head(self, head: ReplyHead) -> None:
        """A reply's head came, interim or final."""
        raise NotImplementedError

    def reply_body(self, piece: bytes) -> None:
        """A piece of its body came."""
        raise NotImplementedError

    def reply_end(self, trailers: bytes) -> None:
        """It is whole, with these trailer lines; the connection is no longer this receiver's."""
        raise NotImplementedError

    def reply_pause(self) -> None:
        """All that was received so far has been said."""
        raise NotImplementedError

    def switched(self, head: ReplyHead, connection: UpstreamConnection) -> Tunnel:
        """The upstream took the upgrade that was asked for (101); return what passes bytes from now on. The connection is no longer this receiver's."""
        raise NotImplementedError

    def failed(self, kind: ErrorKind, reason: str) -> None:
        """There will be no (whole) reply; the connection, if there was one, is closed."""
        raise NotImplementedError

    def request_may_flow(self, flowing: bool) -> None:
        """The connection's send buffer is full, or has room again."""
        raise NotImplementedError


class UpstreamConnection:
    """Belongs to a pool while idle, to a receiver from `lend` until the reply is whole, and to a tunnel after a 101; an `asyncio.Protocol` by its methods."""

    __slots__ = (
        "_first_byte_ns",
        "_keep_alive",
        "_lent_ns",
        "_reader",
        "_receiver",
        "_said_end",
        "_status",
        "_tunnel",
        "endpoint",
        "idle_since",
        "request_done",
        "transport",
    )

    transport: asyncio.Transport
    idle_since: float
    """The loop's time when it was last given back."""
    request_done: bool
    """The receiver has sent its whole request; until then the connection cannot serve another one."""

    def __init__(self, endpoint: Endpoint, max_head_bytes: int) -> None:
        self.endpoint = endpoint
        self._reader = ReplyReader(max_head_bytes)
        self._receiver: Receiver | None = None
        self._keep_alive = True
        self._said_end = False
        self._tunnel: Tunnel | None = None
        self._lent_ns = 0  # where nobody wants to know how the reply was
        self._first_byte_ns = 0
        self._status = 0
        self.request_done = True
        self.idle_since = 0.0

    def lend(self, receiver: Receiver, method: bytes) -> None:
        """The next reply is this receiver's, in answer to this method."""
        self._receiver = receiver
        self.request_done = False
        self._reader.bodiless = method == b"HEAD"
        self._lent_ns = perf_counter_ns() if self.endpoint.watched else 0

    def close(self) -> None:
        """Give up the connection and whatever was going on."""
        self._receiver = None
        self._tunnel = None
        self.transport.abort()

    def give_up(self, kind: ErrorKind) -> None:
        """Close, and tell why where the upstream is to blame."""
        if self._lent_ns and kind in _UPSTREAMS_FAULT:
            self.endpoint.failed(kind)
        self.close()

    def finish(self) -> None:
        """Close once what was written is sent, within a time; nothing more is received."""
        self._tunnel = None
        self.transport.close()
        if self.transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(_FINISH_SECONDS, self.transport.abort)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's transports are no subclasses
        self.endpoint.opened()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        receiver = self._receiver
        reader = self._reader
        if receiver is None:
            if self._tunnel is not None:
                self._tunnel.upstream_sent(data)
            else:
                self.close()  # nobody asked: what comes now could be taken for the next request's reply
            return
        try:
            whole = reader.receive_whole(data)
            if whole is None:
                self._take_events(receiver)
            else:
                self._take_whole(receiver, whole[0], whole[1])
        except WireError as error:
            self._fail(ErrorKind.BAD_REPLY, error.reason)

    def _take_events(self, receiver: Receiver) -> None:
        while (event := self._reader.next_event()) is not NEED_DATA:
            if isinstance(event, bytes):
                receiver.reply_body(event)
            elif event is END:
                self._reply_end()
                return
            elif isinstance(event, ReplyHead):
                if event.status == 101:
                    self._switch(receiver, event)
                    return
                self._note(event)
                receiver.reply_head(event)
            if self._receiver is not receiver:
                return  # it gave the connection up meanwhile
        receiver.reply_pause()

    def _take_whole(self, receiver: Receiver, head: ReplyHead, body: Content) -> None:
        """Take the short way where one read holds one reply."""
        self._receiver = None
        if self._lent_ns:
            self.endpoint.replied(head.status, perf_counter_ns() - self._lent_ns)
        if head.keep_alive and self.request_done:
            self.endpoint.give_back(self)
        else:
            self.transport.abort()
        receiver.whole_reply(head, body)

    def _switch(self, receiver: Receiver, head: ReplyHead) -> None:
        """RFC 9110 §15.2.2: from here on the bytes are another protocol's."""
        if not receiver.upgrade:
            raise WireError(502, "the upstream switched protocols unasked")
        self._receiver = None
        self._tunnel = tunnel = receiver.switched(head, self)
        rest = self._reader.take_rest()
        if rest:
            tunnel.upstream_sent(rest)

    def eof_received(self) -> bool:
        """See asyncio.Protocol. Ends a reply that only the close delimits. With TLS, uvloop calls it for a `close_notify` alone (RFC 8446 §6.1)."""
        self._said_end = True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self.endpoint.lost(self)
        if self._tunnel is not None:
            self._tunnel.upstream_left()
        if self._receiver is None:
            return
        try:
            if exc is None and self._said_end and self._reader.receive_eof() is END:
                self._keep_alive = False
                self._reply_end()
                return
        except WireError:
            pass
        self._fail(ErrorKind.UPSTREAM_CLOSED, "the upstream closed the connection before its reply was whole")

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        if self._receiver is not None:
            self._receiver.request_may_flow(False)
        elif self._tunnel is not None:
            self._tunnel.upstream_takes(False)

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        if self._receiver is not None:
            self._receiver.request_may_flow(True)
        elif self._tunnel is not None:
            self._tunnel.upstream_takes(True)

    def _note(self, head: ReplyHead) -> None:
        self._keep_alive = head.keep_alive
        if self._lent_ns and not head.interim:
            self._status = head.status
            self._first_byte_ns = perf_counter_ns() - self._lent_ns

    def _reply_end(self) -> None:
        receiver, self._receiver = self._receiver, None
        trailers = self._reader.trailers
        if self._lent_ns:
            self.endpoint.replied(self._status, self._first_byte_ns)
        # Bytes behind the reply answer nothing that was asked: they could be taken for the next request's reply.
        if not self._reader.start_next() and self._keep_alive and self.request_done:
            self.endpoint.give_back(self)
        else:
            self.transport.abort()
        assert receiver is not None
        receiver.reply_end(trailers)

    def _fail(self, kind: ErrorKind, reason: str) -> None:
        receiver, self._receiver = self._receiver, None
        if self._lent_ns:
            self.endpoint.failed(kind)
        self.transport.abort()
        assert receiver is not None
        receiver.failed(kind, reason)
