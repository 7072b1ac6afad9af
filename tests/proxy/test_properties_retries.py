"""Arbitrary upstreams that close whenever they like: what may not be repeated is not, and every request has one end."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import Bench
from .strict import IncompleteError, read_reply, read_request

KEEP, CLOSE, CLOSE_SILENTLY, CLOSE_WITHIN_REPLY, RESET, SAY_CLOSE = range(6)
IDEMPOTENT = ("GET", "PUT", "DELETE")

moves = st.lists(st.sampled_from([KEEP, KEEP, CLOSE, CLOSE_SILENTLY, CLOSE_WITHIN_REPLY, RESET, SAY_CLOSE]), max_size=12)
asked = st.lists(st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]), min_size=1, max_size=8)


class Unreliable(asyncio.Protocol):
    """Takes the next move at every request, whatever its connection."""

    def __init__(self, moves, seen) -> None:
        self.moves = moves
        self.seen = seen

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        try:
            request, end = read_request(self.received)
        except IncompleteError:
            return
        self.received = self.received[end:]
        self.seen.append(request.target)
        move = self.moves.pop() if self.moves else KEEP
        if move in {CLOSE_WITHIN_REPLY, CLOSE, KEEP, SAY_CLOSE}:
            reply = b"HTTP/1.1 200 OK\r\n%bContent-Length: 4\r\n\r\nfine" % (b"Connection: close\r\n" if move == SAY_CLOSE else b"")
            self.transport.write(reply[:-2] if move == CLOSE_WITHIN_REPLY else reply)
        if move == RESET:
            self.transport.abort()
        elif move not in {KEEP, SAY_CLOSE}:
            self.transport.close()


class Service:
    """One loop, one proxy and one upstream for all examples."""

    def __init__(self) -> None:
        self.loop = uvloop.new_event_loop()
        self.stack = AsyncExitStack()
        self.moves: list[int] = []
        self.seen: list[str] = []
        self.loop.run_until_complete(self._start())

    async def _start(self) -> None:
        server = await self.loop.create_server(lambda: Unreliable(self.moves, self.seen), "127.0.0.1", 0)
        self.stack.callback(server.close)
        self.proxy = await Bench(self.stack).proxy(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    def close(self) -> None:
        self.loop.run_until_complete(self.stack.aclose())
        self.loop.run_until_complete(asyncio.sleep(0.01))
        self.loop.close()

    def ask(self, methods: list[str], moves: list[int]) -> list[int]:
        """Send one request after the other; return their statuses, 0 where the reply was cut off."""
        self.moves[:] = reversed(moves)
        self.seen.clear()
        return self.loop.run_until_complete(self._ask(methods))

    async def _ask(self, methods: list[str]) -> list[int]:
        statuses = []
        reader, writer = await self.proxy.connect()
        for number, method in enumerate(methods):
            writer.write(b"%b /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx" % (method.encode(), number))
            received = b""
            async with asyncio.timeout(10):
                while (status := whole(received)) is None and (piece := await reader.read(65536)):
                    received += piece
            statuses.append(status or 0)
            if status is None:
                writer.close()
                reader, writer = await self.proxy.connect()
        writer.close()
        return statuses


def whole(received: bytes) -> int | None:
    try:
        return read_reply(received, 0, "GET", ended=False)[0].status
    except IncompleteError:
        return None


@pytest.fixture(scope="module")
def service():
    running = Service()
    yield running
    running.close()


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(methods=asked, moves=moves)
def test_every_request_ends_once_and_only_what_may_be_repeated_is_sent_twice(service, methods, moves):
    statuses = service.ask(methods, moves)
    exchanges = [(int(exchange.path[1:]), exchange.status, str(exchange.error)) for exchange in service.proxy.tap.exchanges]
    service.proxy.tap.exchanges.clear()
    assert set(statuses) <= {200, 502, 0}
    for number, (method, status) in enumerate(zip(methods, statuses, strict=True)):
        times = service.seen.count(f"/{number}")
        assert times <= (2 if method in IDEMPOTENT else 1)
        if status == 200:
            assert times >= 1
    assert [number for number, _, _ in exchanges] == list(range(len(methods)))
    for (_, on_record, error), status in zip(exchanges, statuses, strict=True):
        assert on_record == (status or 200)
        assert (error == "") == (status == 200)
