"""A worker in the test's own event loop, between raw sockets, with a tap that remembers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from config.addresses import Url
from config.settings import ProxySettings, RouteSettings, ShadowSettings
from proxy.context import Context
from proxy.tracing import Tracing
from proxy.worker import Worker
from records.exchange import Exchange
from records.outcome import Outcome
from records.ports import Gate

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class RememberingTap:
    """Implements `records.ports.Tap`."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.outcomes: list[tuple[int, Outcome]] = []
        self.on_append: Callable[[], None] = lambda: None
        self.wants_records = True
        self.left_out: list[bytes] = []

    def leaves_out(self, route: str, exchange_id: bytes) -> bool:
        if not self.wants_records:
            self.left_out.append(exchange_id)
        return not self.wants_records

    def append(self, exchange: Exchange) -> int:
        self.on_append()
        self.exchanges.append(exchange)
        return len(self.exchanges)

    def amend(self, sequence: int, outcome: Outcome) -> None:
        self.outcomes.append((sequence, outcome))

    async def recorded(self, count: int) -> list[Exchange]:
        async with asyncio.timeout(10):
            while len(self.exchanges) < count:
                await asyncio.sleep(0.005)
        assert len(self.exchanges) == count
        return self.exchanges


class PlainCounters:
    """Implements `records.ports.Counters`."""

    def __init__(self) -> None:
        self.names: dict[tuple[str, ...], int] = {}
        self.values = memoryview(bytearray(8 * 1000)).cast("Q")

    def slot(self, metric: str, *labels: str) -> int:
        return self.names.setdefault((metric, *labels), len(self.names))

    def __getitem__(self, name: tuple[str, ...]) -> int:
        return self.values[self.names[name]] if name in self.names else 0


class Proxy:
    """A running worker, and how to talk to it."""

    def __init__(self, port: int, tap: RememberingTap, counters: PlainCounters, stop: asyncio.Event, served: asyncio.Task, context: Context) -> None:
        self.port = port
        self.tap = tap
        self.counters = counters
        self.stop = stop
        self.served = served
        self.pools = context.pools
        self.connections = context.connections
        self._clients: list[asyncio.StreamWriter] = []

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._clients.append(writer)
        return reader, writer

    def close_clients(self) -> None:
        for writer in self._clients:
            if not writer.is_closing():
                writer.transport.abort()

    async def exchange(self, request: bytes) -> bytes:
        """Send a request that closes its connection, and return all that comes back."""
        reader, writer = await self.connect()
        writer.write(request)
        async with asyncio.timeout(10):
            reply = await reader.read()
        writer.close()
        return reply


class Bench:
    """Makes upstreams and proxies for one test, and takes them down."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def upstream(self, handler: Handler) -> str:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await handler(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        self._stack.callback(server.close)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def proxy(self, upstream: str, shadows: tuple[ShadowSettings, ...] = (), path: str = "/", **settings) -> Proxy:
        return await self._stack.enter_async_context(running(upstream, shadows, path, **settings))


@asynccontextmanager
async def running(
    upstream: str,
    shadows: tuple[ShadowSettings, ...],
    path: str,
    *,
    idempotent: bool = False,
    of_route: dict | None = None,
    gate: Gate | None = None,
    tracing: Tracing | None = None,
    **settings,
) -> AsyncIterator[Proxy]:
    tap, counters, stop = RememberingTap(), PlainCounters(), asyncio.Event()
    route = RouteSettings(upstream=tuple(map(Url.parse, upstream.split(","))), shadows=shadows, path=path, idempotent=idempotent, **(of_route or {}))
    worker = Worker(ProxySettings(**{"grace": 1.0, **settings}), [route], tap, counters, gate=gate, tracing=tracing)
    listening = socket.create_server(("127.0.0.1", 0))
    served = asyncio.get_running_loop().create_task(worker.serve(listening, stop))
    proxy = Proxy(listening.getsockname()[1], tap, counters, stop, served, worker._context)
    try:
        yield proxy
    finally:
        proxy.close_clients()
        stop.set()
        await served


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        yield Bench(stack)


async def fill(proxy: Proxy, writer: asyncio.StreamWriter, piece: bytes) -> None:
    """Send pieces, little by little, until the proxy holds one of which the kernel takes no more, as the client reads nothing."""
    while not any(connection.transport.get_write_buffer_size() for connection in proxy.connections):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.002)


async def gone(proxy: Proxy) -> None:
    """Wait until no client is connected any more."""
    async with asyncio.timeout(5):
        while proxy.connections:
            await asyncio.sleep(0.01)


async def deaf_client(proxy: Proxy, request: bytes) -> socket.socket:
    """Send a request, and read nothing of its reply until the socket is read from."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", proxy.port))
    client.send(request)
    return client


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return the head and the body of a request with a Content-Length, or with chunks as they came."""
    head = await reader.readuntil(b"\r\n\r\n")
    lowered = head.lower()
    if b"transfer-encoding: chunked" in lowered:
        return head, await reader.readuntil(b"0\r\n\r\n")
    length = next((int(line[15:]) for line in lowered.split(b"\r\n") if line.startswith(b"content-length:")), 0)
    return head, await reader.readexactly(length)


def answering(body: bytes, *, head: bytes = b"", seen: list[tuple[bytes, bytes]] | None = None) -> Handler:
    """Return an upstream that answers every request alike, on connections that it keeps."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_request(reader)
            if seen is not None:
                seen.append(request)
            writer.write(b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body))

    return handle
