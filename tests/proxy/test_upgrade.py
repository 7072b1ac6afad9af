"""WebSocket and other upgrades: what is tunnelled, what is declined, and what is on record."""

from __future__ import annotations

import asyncio

import pytest

from records.exchange import ErrorKind

from .conftest import answering, fill, gone

ASK = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
TAKE = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"


class Echo:
    """Takes the upgrade and sends back what comes."""

    def __init__(self, greeting: bytes = b"") -> None:
        self.head = b""
        self.greeting = greeting
        self.ended = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.head = await reader.readuntil(b"\r\n\r\n")
        writer.write(TAKE + self.greeting)
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        finally:
            self.ended.set()


async def upgraded(proxy, early: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await proxy.connect()
    writer.write(ASK + early)
    async with asyncio.timeout(5):
        head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert head.count(b"Connection: Upgrade\r\n") == 1
    assert head.count(b"Upgrade: websocket\r\n") == 1
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
    return reader, writer


async def test_bytes_pass_both_ways_and_are_counted_in_the_outcome(bench):
    echo = Echo()
    proxy = await bench.proxy(await bench.upstream(echo))
    reader, writer = await upgraded(proxy)
    assert b"Connection: Upgrade\r\nUpgrade: websocket\r\n" in echo.head
    assert b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" in echo.head
    for message in (b"one", b"two" * 10_000):
        writer.write(message)
        assert await asyncio.wait_for(reader.readexactly(len(message)), 5) == message
    (exchange,) = await proxy.tap.recorded(1)
    assert (exchange.status, exchange.error) == (101, ErrorKind.NONE)
    writer.close()
    await asyncio.wait_for(echo.ended.wait(), 5)
    async with asyncio.timeout(5):
        while not proxy.tap.outcomes:
            await asyncio.sleep(0.01)
    ((sequence, outcome),) = proxy.tap.outcomes
    assert (sequence, outcome.exchange_id, outcome.error) == (1, exchange.exchange_id, ErrorKind.NONE)
    assert (outcome.received_bytes, outcome.sent_bytes) == (30_003, 30_003)
    assert outcome.total_ns > exchange.total_ns


async def test_bytes_that_come_with_either_head_are_not_lost(bench):
    echo = Echo(greeting=b"hello")
    proxy = await bench.proxy(await bench.upstream(echo))
    reader, _ = await upgraded(proxy, early=b"early")
    assert await asyncio.wait_for(reader.readexactly(10), 5) == b"helloearly"


async def test_an_interim_reply_that_comes_with_the_101_is_not_lost(bench):
    async def hint_and_take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + TAKE + b"hello")
        await reader.read()

    proxy = await bench.proxy(await bench.upstream(hint_and_take))
    reader, writer = await proxy.connect()
    writer.write(ASK)
    got = await asyncio.wait_for(reader.readuntil(b"hello"), 5)
    assert got.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 101 ")


async def test_an_upstream_that_closes_ends_the_clients_connection(bench):
    async def greet_and_leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(TAKE + b"bye")

    proxy = await bench.proxy(await bench.upstream(greet_and_leave))
    reader, _ = await upgraded(proxy)
    assert await asyncio.wait_for(reader.read(), 5) == b"bye"
    assert proxy.tap.outcomes[0][1].sent_bytes == 3


async def test_an_upgrade_that_is_declined_is_an_ordinary_exchange(bench):
    proxy = await bench.proxy(await bench.upstream(answering(b"no")))
    reader, writer = await proxy.connect()
    for _ in range(2):
        writer.write(ASK)
        assert (await asyncio.wait_for(reader.readuntil(b"no"), 5)).startswith(b"HTTP/1.1 200 OK\r\n")
    assert [exchange.status for exchange in await proxy.tap.recorded(2)] == [200, 200]


@pytest.mark.parametrize(
    "request_",
    [
        ASK.replace(b"Upgrade: websocket", b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk"),
        ASK.replace(b"Connection: Upgrade", b"Connection: keep-alive"),
        ASK.replace(b"HTTP/1.1", b"HTTP/1.0"),
        ASK.replace(b"Host: a", b"Host: a\r\nContent-Length: 2") + b"{}",
    ],
    ids=["h2c", "not-in-connection", "http-1.0", "with-a-body"],
)
async def test_other_upgrades_are_not_asked_for(bench, request_):
    seen = []
    proxy = await bench.proxy(await bench.upstream(answering(b"plain", seen=seen)))
    reader, writer = await proxy.connect()
    writer.write(request_)
    assert (await asyncio.wait_for(reader.readuntil(b"plain"), 5)).startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"upgrade" not in seen[0][0].lower()


async def test_a_101_that_nobody_asked_for_is_a_502(bench):
    async def switch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(TAKE)

    proxy = await bench.proxy(await bench.upstream(switch))
    assert (await proxy.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).startswith(b"HTTP/1.1 502 ")
    assert (await proxy.tap.recorded(1))[0].error is ErrorKind.BAD_REPLY


async def test_a_silent_tunnel_is_closed_after_its_time(bench):
    proxy = await bench.proxy(await bench.upstream(Echo()), tunnel_idle_timeout=0.3)
    reader, _ = await upgraded(proxy)
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), 5)
    assert proxy.tap.outcomes[0][1].error is ErrorKind.TUNNEL_IDLE_TIMEOUT


async def test_a_client_that_reads_slowly_slows_the_upstream_and_not_the_proxy(bench):
    poured = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal poured
        await reader.readuntil(b"\r\n\r\n")
        writer.write(TAKE)
        while True:
            writer.write(bytes(100_000))
            await writer.drain()
            poured += 100_000

    proxy = await bench.proxy(await bench.upstream(pour))
    reader, writer = await upgraded(proxy)
    writer.transport.pause_reading()
    await asyncio.sleep(0.5)
    stalled = poured
    await asyncio.sleep(0.5)
    assert poured == stalled
    writer.transport.resume_reading()
    await asyncio.wait_for(reader.readexactly(stalled), 5)


async def test_a_client_that_never_takes_what_an_upstream_sent_is_cut_off(bench):
    proxies = []

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(TAKE)
        await fill(proxies[0], writer, bytes(8192))

    proxies.append(await bench.proxy(await bench.upstream(pour), send_timeout=0.3))
    (proxy,) = proxies
    _, writer = await upgraded(proxy)
    writer.transport.pause_reading()
    await gone(proxy)
    assert [outcome.error for _, outcome in proxy.tap.outcomes] == [ErrorKind.SEND_TIMEOUT]


async def test_an_upstream_that_never_takes_what_a_client_sent_before_it_left_holds_no_connection(bench):
    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()
        writer.write(TAKE)
        await proxy.served

    proxy = await bench.proxy(await bench.upstream(ignore))
    _, writer = await upgraded(proxy)
    (client,) = proxy.connections
    to_upstream = client._tunnel._connection.transport
    while not to_upstream.get_write_buffer_size():
        writer.write(bytes(8192))
        await asyncio.sleep(0.002)
    writer.transport.abort()
    (endpoint,) = proxy.pools[0].endpoints
    async with asyncio.timeout(10):
        while endpoint.load:
            await asyncio.sleep(0.01)


async def test_a_stopping_worker_ends_its_tunnels_within_the_grace_period(bench):
    proxy = await bench.proxy(await bench.upstream(Echo()), grace=0.3)
    reader, _ = await upgraded(proxy)
    proxy.stop.set()
    await asyncio.wait_for(proxy.served, 5)
    assert proxy.tap.outcomes[0][1].error is ErrorKind.SHUTDOWN
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), 5)
