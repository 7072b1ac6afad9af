"""A worker between a client that sends any bytes and an upstream that reads strictly, all in one loop: thousands of examples are quick."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any

import uvloop

from .conftest import running
from .strict import IncompleteError, MalformedError, Request, read_request

_TURNS_UNTIL_QUIET = 40
"""Everything happens in this loop and on loopback sockets: what is going to happen happens within a few turns of it..."""

_DELIVERY_SECONDS = 0.001
"""...unless the kernel of a busy machine leaves a delivery to a thread of its own."""


class Recorder:
    """An upstream that keeps what it read: the n-th request of an example is answered with `n`, or with the example's script."""

    def __init__(self) -> None:
        self.connections: set[RecordingConnection] = set()
        self.begin()

    def begin(self, script: Sequence[bytes] = (), *, closes: bool = False) -> None:
        self.requests: list[Request] = []
        self.faults: list[str] = []
        self.script = script
        self.closes = closes
        self.events = 0

    def unread(self) -> bytes:
        """Return what lies on connections that are still open without being a request."""
        return b"".join(bytes(connection.buffer) for connection in self.connections)

    async def answer(self, transport: asyncio.WriteTransport, request: Request, number: int) -> None:
        if "/scripted" not in request.target:
            body = b"%d" % number
            transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), b"" if request.method == "HEAD" else body))
            return
        for piece in self.script:
            if transport.is_closing():
                return
            transport.write(piece)
            await turns(2)
            self.events += 1
        if self.closes:
            transport.close()


class RecordingConnection(asyncio.Protocol):
    """Reads one request after the other, strictly."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.buffer = bytearray()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._recorder.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._recorder.connections.discard(self)
        self._recorder.events += 1

    def data_received(self, data: bytes) -> None:
        recorder = self._recorder
        recorder.events += 1
        self.buffer += data
        try:
            while self.buffer:
                request, end = read_request(bytes(self.buffer))
                del self.buffer[:end]
                recorder.requests.append(request)
                self._answering = asyncio.get_running_loop().create_task(recorder.answer(self._transport, request, len(recorder.requests) - 1))
        except IncompleteError:
            pass
        except MalformedError as error:
            recorder.faults.append(f"{error}: {bytes(self.buffer)!r}")
            self._transport.abort()


class Client(asyncio.Protocol):
    """Keeps what it is answered."""

    def __init__(self) -> None:
        self.received = b""
        self.closed = False
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data

    def eof_received(self) -> bool:
        self.closed = True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.lost.set_result(None)

    async def send(self, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            if self.closed:
                return
            self.transport.write(piece)
            await turns(2)


class Between:
    """The three of them, for as long as a module's tests run."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._stack = AsyncExitStack()
        self.recorder = Recorder()
        self._loop.run_until_complete(self._start())

    async def _start(self) -> None:
        server = await asyncio.get_running_loop().create_server(lambda: RecordingConnection(self.recorder), "127.0.0.1", 0)
        self._stack.callback(server.close)
        self._proxy = await self._stack.enter_async_context(running(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", (), "/"))

    def close(self) -> None:
        self._loop.run_until_complete(self._stack.aclose())
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()

    def send(self, pieces: Sequence[bytes]) -> Client:
        """Send the pieces on a connection of their own, wait until nothing happens any more, and return the client, closed."""
        return self._loop.run_until_complete(self._send([pieces]))

    def send_in_turn(self, *requests: Sequence[bytes]) -> Client:
        """Likewise, each request once nothing happens any more after the one before."""
        return self._loop.run_until_complete(self._send(requests))

    async def _send(self, requests: Sequence[Sequence[bytes]]) -> Client:
        async with asyncio.timeout(20):
            _, client = await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", self._proxy.port)
            for pieces in requests:
                await client.send(pieces)
                await self._quiet(client)
            client.ended_by_proxy = client.closed
            client.transport.abort()
            await client.lost
            await self._quiet(client)
        self._proxy.tap.exchanges.clear()
        return client

    async def _quiet(self, client: Client) -> None:
        quiet, seen = 0, (-1, -1, False)
        while quiet <= _TURNS_UNTIL_QUIET:
            await asyncio.sleep(_DELIVERY_SECONDS if quiet == _TURNS_UNTIL_QUIET else 0)
            now = (self.recorder.events, len(client.received), client.closed)
            quiet = quiet + 1 if now == seen else 0
            seen = now


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def cut(data: bytes, positions: Sequence[int]) -> list[bytes]:
    """Cut the data at these places, each taken modulo its length."""
    edges = [0, *sorted({position % (len(data) + 1) for position in positions}), len(data)]
    return [data[first:last] for first, last in pairwise(edges) if first < last]
