"""What is more than a worker can take is said so at once, and costs little."""

from __future__ import annotations

import asyncio

from records.exchange import ErrorKind

from .conftest import answering

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def test_requests_over_the_limit_are_a_503_that_says_when_to_come_back(bench):
    proxy = await bench.proxy(await bench.upstream(hang), max_in_flight=2)
    for _ in range(2):
        _, writer = await proxy.connect()
        writer.write(GET)
    await asyncio.sleep(0.1)  # both are on their way
    reply = await proxy.exchange(GET)
    assert reply.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nRetry-After: 1\r\n" in reply
    assert proxy.tap.exchanges[0].error is ErrorKind.OVERLOADED


async def test_a_request_that_ended_makes_room_for_another(bench):
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), max_in_flight=1)
    reader, writer = await proxy.connect()
    for _ in range(3):
        writer.write(GET)
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")


async def test_connections_over_the_limit_are_answered_503_and_counted(bench):
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), max_connections=1)
    reader, writer = await proxy.connect()
    writer.write(GET)
    assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
    refused = await proxy.exchange(GET)
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 1\r\n" in refused
    assert proxy.counters["driftline_client_connections_refused_total",] == 1
    writer.write(GET)
    assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")


async def test_bytes_that_wait_for_a_connection_are_limited(bench):
    proxy = await bench.proxy(await bench.upstream(hang), max_upstream_connections=1, max_pending=1000)
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + bytes(1000)
    _, first = await proxy.connect()
    first.write(post)
    await asyncio.sleep(0.1)  # it has the only connection
    _, second = await proxy.connect()
    second.write(post)
    await asyncio.sleep(0.1)  # its bytes wait
    assert (await proxy.exchange(post)).startswith(b"HTTP/1.1 503 ")
    second.close()
    await proxy.tap.recorded(2)
    third_reader, third = await proxy.connect()
    third.write(post)  # there is room again: it waits
    await asyncio.sleep(0.1)
    assert len(proxy.tap.exchanges) == 2
    assert not third_reader.at_eof()


async def test_a_body_over_the_limit_is_a_413_whether_announced_or_not(bench):
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), max_body=10)
    announced = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n"
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n8\r\n12345678\r\n0\r\n\r\n"
    at_the_limit = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 10\r\n\r\n1234567890"
    assert (await proxy.exchange(announced)).startswith(b"HTTP/1.1 413 ")
    assert (await proxy.exchange(chunked)).startswith(b"HTTP/1.1 413 ")
    assert (await proxy.exchange(at_the_limit)).startswith(b"HTTP/1.1 200 ")


async def test_a_client_that_is_answered_early_can_still_read_its_answer(bench):
    """Closing on unread bytes would reset the connection and with it the reply."""
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), max_body=1000)
    reader, writer = await proxy.connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n")
    for _ in range(50):
        writer.write(bytes(100_000))
        await writer.drain()
    assert (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 413 ")


async def test_an_upstream_that_answers_early_is_heard_while_the_client_still_sends(bench):
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
        await writer.drain()
        await reader.read()

    proxy = await bench.proxy(await bench.upstream(refuse))
    reader, writer = await proxy.connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n" + bytes(1000))
    await asyncio.sleep(0.1)
    for _ in range(20):
        writer.write(bytes(100_000))
        await writer.drain()
    reply = await asyncio.wait_for(reader.read(), 5)
    assert reply.startswith(b"HTTP/1.1 413 ")
    assert reply.endswith(b"big")
    assert b"\r\nConnection: close\r\n" in reply
    (exchange,) = await proxy.tap.recorded(1)
    assert (exchange.status, exchange.error) == (413, ErrorKind.NONE)


async def test_a_chunked_requests_trailers_pass_but_not_those_that_frame_or_authenticate(bench):
    bodies = []
    trailers = b"X-Checksum: 1\r\nContent-Length: 3\r\nAuthorization: x\r\n"

    async def record(upstream_reader: asyncio.StreamReader, upstream_writer: asyncio.StreamWriter) -> None:
        await upstream_reader.readuntil(b"\r\n\r\n")
        bodies.append(await upstream_reader.readuntil(b"\r\n\r\n"))
        upstream_writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Cost: 7\r\nSet-Cookie: a=b\r\n\r\n")

    proxy = await bench.proxy(await bench.upstream(record))
    reader, writer = await proxy.connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n" + trailers + b"\r\n")
    reply = await asyncio.wait_for(reader.readuntil(b"X-Cost: 7\r\n\r\n"), 5)
    assert reply.endswith(b"\r\n\r\n2\r\nok\r\n0\r\nX-Cost: 7\r\n\r\n")
    assert bodies == [b"2\r\nhi\r\n0\r\nX-Checksum: 1\r\n\r\n"]


async def test_requests_in_flight_are_let_go_when_their_client_leaves(bench):
    proxy = await bench.proxy(await bench.upstream(hang), max_in_flight=1)
    for _ in range(3):
        _, writer = await proxy.connect()
        writer.write(GET)
        await asyncio.sleep(0.05)
        writer.close()
    exchanges = await proxy.tap.recorded(3)
    assert {exchange.error for exchange in exchanges} == {ErrorKind.CLIENT_LEFT}


async def test_request_bytes_are_read_only_as_fast_as_the_upstream_takes_them(bench):
    taken = 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.3)
        while taken < 20_000_000:
            taken += len(await reader.read(1_000_000))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    proxy = await bench.proxy(await bench.upstream(slow))
    reader, writer = await proxy.connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n")
    for _ in range(200):
        writer.write(bytes(100_000))
        await writer.drain()
    assert (await asyncio.wait_for(reader.readuntil(b"ok"), 10)).startswith(b"HTTP/1.1 200 ")
    assert (await proxy.tap.recorded(1))[0].request.size_bytes == 20_000_000


async def test_a_client_that_leaves_while_its_request_is_not_read_is_noticed(bench):
    """Nothing of a connection that is not read from is told by the event loop."""

    async def take_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(30)

    proxy = await bench.proxy(await bench.upstream(take_nothing))
    _, writer = await proxy.connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
    async with asyncio.timeout(10):
        while not any(connection.reading_paused for connection in proxy.connections):
            writer.write(bytes(100_000))
            await asyncio.sleep(0.005)
    writer.transport.abort()
    (exchange,) = await proxy.tap.recorded(1)
    assert exchange.error is ErrorKind.CLIENT_LEFT
