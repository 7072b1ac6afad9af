"""Every wait ends: who is waited for, how long, what the client is answered, and what the record says."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import pytest

from records.exchange import ErrorKind
from records.metrics import Metric

from .conftest import answering, deaf_client, fill, gone, read_request

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def all_of(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(5):
        return await reader.read()


@pytest.mark.parametrize("begun", [b"G", b"GET / HTTP/1.1\r\nHost: a\r\n", b"\r\n\r\nGET / HT"])
async def test_a_head_that_is_not_ended_in_time_is_a_408_on_record(bench, begun):
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), head_timeout=0.2)
    reader, writer = await proxy.connect()
    writer.write(begun)
    assert (await all_of(reader)).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    (exchange,) = await proxy.tap.recorded(1)
    assert (exchange.status, exchange.error) == (408, ErrorKind.HEAD_TIMEOUT)


async def test_the_time_for_a_head_is_not_prolonged_by_a_client_that_drips(bench):
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), head_timeout=0.3)
    reader, writer = await proxy.connect()

    async def drip() -> None:
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n")
        while True:
            writer.write(b"X-A: b\r\n")
            await asyncio.sleep(0.02)

    dripping = asyncio.get_running_loop().create_task(drip())
    with suppress(ConnectionError):  # who still sends may be reset before it has read its answer
        assert (await all_of(reader)).startswith(b"HTTP/1.1 408 ")
    dripping.cancel()
    (exchange,) = await proxy.tap.recorded(1)
    assert exchange.error is ErrorKind.HEAD_TIMEOUT


async def test_a_connection_without_a_request_is_closed_without_a_word(bench):
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), client_idle=0.2)
    reader, writer = await proxy.connect()
    assert await all_of(reader) == b""
    reader, writer = await proxy.connect()
    writer.write(GET)
    assert (await all_of(reader)).endswith(b"ok")
    assert len(await proxy.tap.recorded(1)) == 1


async def test_a_client_that_sends_only_empty_lines_is_idle(bench):
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), client_idle=0.3)
    reader, writer = await proxy.connect()

    async def drip() -> None:
        while True:
            writer.write(b"\r\n")
            await asyncio.sleep(0.05)

    dripping = asyncio.get_running_loop().create_task(drip())
    with suppress(ConnectionResetError):  # what it sent meanwhile was not read
        assert await all_of(reader) == b""
    dripping.cancel()


async def test_a_body_that_stops_coming_is_a_408_on_record(bench):
    cancelled = asyncio.Event()

    async def take(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()
        cancelled.set()

    proxy = await bench.proxy(await bench.upstream(take), body_timeout=0.2)
    reader, writer = await proxy.connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
    assert (await all_of(reader)).startswith(b"HTTP/1.1 408 ")
    (exchange,) = await proxy.tap.recorded(1)
    assert (exchange.status, exchange.error, exchange.request.size_bytes) == (408, ErrorKind.BODY_TIMEOUT, 5)
    async with asyncio.timeout(5):
        await cancelled.wait()


async def test_a_reply_that_goes_silent_is_cut_off_and_never_ended_cleanly(bench):
    async def falter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await reader.read()

    proxy = await bench.proxy(await bench.upstream(falter), reply_idle_timeout=0.2, first_byte_timeout=9)
    reader, writer = await proxy.connect()
    writer.write(GET)
    reply = await _until_cut(reader)
    assert b"3\r\nabc\r\n" in reply
    assert b"0\r\n\r\n" not in reply
    (exchange,) = await proxy.tap.recorded(1)
    assert (exchange.status, exchange.error, exchange.response.content) == (200, ErrorKind.REPLY_IDLE_TIMEOUT, b"abc")
    assert proxy.counters[Metric.REPLIES_CUT.metric_name, "default", "upstream", "served"] == 1


async def test_a_client_of_http_1_0_sees_a_reply_that_was_cut_off_by_the_reset(bench):
    async def falter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await reader.read()

    proxy = await bench.proxy(await bench.upstream(falter), reply_idle_timeout=0.2)
    reader, writer = await proxy.connect()
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert (await asyncio.wait_for(reader.readuntil(b"abc"), 5)).startswith(b"HTTP/1.1 200 ")
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 5)


async def test_a_whole_exchange_may_be_limited_even_where_it_never_goes_silent(bench):
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1\r\nx\r\n")
            await asyncio.sleep(0.02)

    proxy = await bench.proxy(await bench.upstream(trickle), total_timeout=0.3)
    reader, writer = await proxy.connect()
    writer.write(GET)
    assert b"0\r\n\r\n" not in await _until_cut(reader)
    (exchange,) = await proxy.tap.recorded(1)
    assert exchange.error is ErrorKind.TOTAL_TIMEOUT


async def test_a_client_that_takes_nothing_of_its_reply_is_cut_off_and_its_upstream_with_it(bench):
    left = asyncio.Event()

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"10000\r\n" + bytes(65536) + b"\r\n")
                await writer.drain()
        finally:
            left.set()

    proxy = await bench.proxy(await bench.upstream(pour), send_timeout=0.3)
    _, writer = await proxy.connect()
    writer.transport.pause_reading()
    writer.write(GET)
    (exchange,) = await proxy.tap.recorded(1)
    assert exchange.error is ErrorKind.SEND_TIMEOUT
    async with asyncio.timeout(5):
        await left.wait()


async def test_the_tail_that_a_client_does_not_take_in_time_is_an_outcome(bench):
    proxy = await bench.proxy(await bench.upstream(answering(bytes(8_000_000))), send_timeout=0.3)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", proxy.port))
        client.send(GET)
        (exchange,) = await proxy.tap.recorded(1)
        async with asyncio.timeout(5):
            while exchange.error is ErrorKind.NONE and not proxy.tap.outcomes:
                await asyncio.sleep(0.01)
    # Whether the last piece was on its way or still to come depends on the kernel's buffers; it is said either way.
    assert [exchange.error, *(outcome.error for _, outcome in proxy.tap.outcomes)][-1] is ErrorKind.SEND_TIMEOUT


@pytest.mark.parametrize("request_", [GET, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"])
async def test_a_client_that_never_takes_a_little_of_its_reply_is_cut_off_too(bench, request_):
    """So little that the proxy goes on as if it was taken."""
    proxies = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await fill(proxies[0], writer, b"2000\r\n" + bytes(8192) + b"\r\n")
        writer.write(b"0\r\n\r\n")
        await reader.read()

    proxies.append(await bench.proxy(await bench.upstream(handle), send_timeout=0.3, client_idle=0.3))
    with await deaf_client(proxies[0], request_):
        await proxies[0].tap.recorded(1)
        await gone(proxies[0])


async def _until_cut(reader: asyncio.StreamReader) -> bytes:
    received = b""
    try:
        async with asyncio.timeout(5):
            while piece := await reader.read(65536):
                received += piece
    except ConnectionResetError:
        pass
    return received


async def test_what_goes_wrong_in_one_round_does_not_end_the_time_outs(bench, caplog):
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), head_timeout=0.2)
    values, proxy.counters.values = proxy.counters.values, None
    async with asyncio.timeout(5):
        while "a periodic task failed" not in caplog.text:
            await asyncio.sleep(0.01)
    proxy.counters.values = values
    reader, writer = await proxy.connect()
    writer.write(b"GET / HTTP/1.1\r\n")
    assert (await all_of(reader)).startswith(b"HTTP/1.1 408 ")
