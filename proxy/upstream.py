"""One connection to a target: requests out, replies in, one at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, cast

from proxy.wire.reader import END, NEED_DATA, WireError
from proxy.wire.reply import ReplyHead, ReplyReader
from records.exchange import ErrorKind

if TYPE_CHECKING:
    from proxy.pool import Pool


class Receiver(Protocol):
    """Who waits for a reply: what the client gets, or a shadow's that nobody gets."""

    def connected(self, connection: UpstreamConnection, connect_ns: int) -> None:
        """A connection is at this receiver's disposal. `connect_ns` is 0 where an idle one was used again."""

    def reply_head(self, head: ReplyHead) -> None:
        """A reply's head came, interim or final."""

    def reply_body(self, piece: bytes) -> None:
        """A piece of its body came."""

    def reply_end(self) -> None:
        """It is whole; the connection is no longer this receiver's."""

    def reply_pause(self) -> None:
        """All that was received so far has been said."""

    def failed(self, kind: ErrorKind, reason: str) -> None:
        """There will be no (whole) reply; the connection, if there was one, is closed."""

    def request_may_flow(self, flowing: bool) -> None:
        """The connection's send buffer is full, or has room again."""


class UpstreamConnection(asyncio.Protocol):
    """Belongs to a pool while idle, and to a receiver from `lend` until the reply is whole."""

    __slots__ = ("_keep_alive", "_pool", "_reader", "_receiver", "idle_since", "request_done", "transport")

    transport: asyncio.Transport
    idle_since: float
    """The loop's time when it was last given back."""
    request_done: bool
    """The receiver has sent its whole request; until then the connection cannot serve another one."""

    def __init__(self, pool: Pool, max_head_bytes: int) -> None:
        self._pool = pool
        self._reader = ReplyReader(max_head_bytes)
        self._receiver: Receiver | None = None
        self._keep_alive = True
        self.request_done = True
        self.idle_since = 0.0

    def lend(self, receiver: Receiver, method: bytes) -> None:
        """The next reply is this receiver's, in answer to this method."""
        self._receiver = receiver
        self.request_done = False
        self._reader.bodiless = method == b"HEAD"

    def close(self) -> None:
        """Give up the connection and whatever was going on."""
        self._receiver = None
        self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's transports are no subclasses
        self._pool.opened()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        receiver = self._receiver
        reader = self._reader
        if receiver is None:
            self.close()  # nobody asked: what comes now could be taken for the next request's reply
            return
        try:
            whole = reader.receive_whole(data)
            if whole is not None:
                self._take_whole(receiver, *whole)
                return
            while (event := reader.next_event()) is not NEED_DATA:
                if isinstance(event, bytes):
                    receiver.reply_body(event)
                elif event is END:
                    self._reply_end()
                    return
                elif isinstance(event, ReplyHead):
                    self._keep_alive = event.keep_alive
                    receiver.reply_head(event)
                if self._receiver is not receiver:
                    return  # it gave the connection up meanwhile
        except WireError as error:
            self._fail(ErrorKind.BAD_REPLY, error.reason)
        else:
            receiver.reply_pause()

    def _take_whole(self, receiver: Receiver, head: ReplyHead, body: bytes) -> None:
        """Take the short way where one read holds one reply."""
        self._keep_alive = head.keep_alive
        receiver.reply_head(head)
        if body:
            receiver.reply_body(body)
        self._reply_end()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._pool.lost(self)
        if self._receiver is None:
            return
        try:
            if exc is None and self._reader.receive_eof() is END:
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

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        if self._receiver is not None:
            self._receiver.request_may_flow(True)

    def _reply_end(self) -> None:
        receiver, self._receiver = self._receiver, None
        # Bytes behind the reply answer nothing that was asked: they could be taken for the next request's reply.
        if not self._reader.start_next() and self._keep_alive and self.request_done:
            self._pool.give_back(self)
        else:
            self.transport.abort()
        assert receiver is not None
        receiver.reply_end()

    def _fail(self, kind: ErrorKind, reason: str) -> None:
        receiver, self._receiver = self._receiver, None
        self.transport.abort()
        assert receiver is not None
        receiver.failed(kind, reason)
