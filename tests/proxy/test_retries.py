"""RFC 9110 §9.2.2, RFC 9112 §9.3.1: what is sent again, and what never."""

from __future__ import annotations

import asyncio

import pytest

from records.exchange import ErrorKind

from .conftest import read_request

RETRIES = ("driftline_retries_total", "default", "upstream")


class Forgetful:
    """Answers the first request of each connection, and closes without a word on the next one."""

    def __init__(self, replies_per_connection: int = 1) -> None:
        self.seen: list[bytes] = []
        self._replies = replies_per_connection

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(self._replies):
            head, body = await read_request(reader)
            self.seen.append(head.split(b" ", 1)[0] + body)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await read_request(reader)


async def ask_twice(proxy, request: bytes) -> bytes:
    reader, writer = await proxy.connect()
    writer.write(request)
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\nok"), 5)
    writer.write(request)
    async with asyncio.timeout(5):
        return await reader.readuntil(b"\r\n\r\n")


@pytest.mark.parametrize("method", [b"GET", b"PUT", b"DELETE", b"OPTIONS"])
async def test_an_idempotent_request_is_sent_again_on_a_new_connection(bench, method):
    upstream = Forgetful()
    proxy = await bench.proxy(await bench.upstream(upstream))
    assert (await ask_twice(proxy, method + b" / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")).startswith(b"HTTP/1.1 200 ")
    assert upstream.seen == [method + b"hi"] * 2
    assert proxy.counters[RETRIES] == 1
    assert [exchange.error for exchange in await proxy.tap.recorded(2)] == [ErrorKind.NONE] * 2


async def test_a_post_is_not_sent_again(bench):
    upstream = Forgetful()
    proxy = await bench.proxy(await bench.upstream(upstream))
    assert (await ask_twice(proxy, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")).startswith(b"HTTP/1.1 502 ")
    assert upstream.seen == [b"POSThi"]
    assert proxy.counters[RETRIES] == 0


async def test_a_post_is_sent_again_where_the_route_says_that_its_requests_are_idempotent(bench):
    upstream = Forgetful()
    proxy = await bench.proxy(await bench.upstream(upstream), idempotent=True)
    assert (await ask_twice(proxy, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")).startswith(b"HTTP/1.1 200 ")
    assert upstream.seen == [b"POSThi"] * 2


async def test_a_request_on_a_fresh_connection_is_never_sent_again(bench):
    seen = []

    async def close(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))

    proxy = await bench.proxy(await bench.upstream(close))
    assert (await proxy.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).startswith(b"HTTP/1.1 502 ")
    assert len(seen) == 1


async def test_what_was_begun_to_be_answered_is_never_sent_again(bench):
    seen = []

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        seen.append(await read_request(reader))
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await writer.drain()

    proxy = await bench.proxy(await bench.upstream(half))
    assert (await ask_twice(proxy, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")).startswith(b"HTTP/1.1 103 ")
    exchanges = await proxy.tap.recorded(2)
    assert exchanges[1].error is ErrorKind.UPSTREAM_CLOSED
    assert len(seen) == 2


async def test_retries_have_a_budget(bench):
    upstream = Forgetful()
    proxy = await bench.proxy(await bench.upstream(upstream))
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    connections = [await proxy.connect() for _ in range(40)]
    for _ in range(2):
        for _, writer in connections:
            writer.write(request)
        replies = [await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) for reader, _ in connections]
        for (reader, _), reply in zip(connections, replies, strict=True):
            if reply.startswith(b"HTTP/1.1 200 "):
                await reader.readexactly(2)
    assert 10 <= proxy.counters[RETRIES] < 40
    assert sum(reply.startswith(b"HTTP/1.1 502 ") for reply in replies) == 40 - proxy.counters[RETRIES]
