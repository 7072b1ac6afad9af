"""What depends on when and how bytes arrive: heads in single bytes, replies before their request is whole, ends in the wrong place."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from records.exchange import ErrorKind

from . import strict
from .conftest import answering, read_request

POST = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"


def saying(*pieces: bytes, close: bool = True):
    """Return an upstream that reads a request, says this piece by piece, and closes or waits."""

    async def handle(reader, writer):
        await read_request(reader)
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.001)
        if not close:
            await reader.read()

    return handle


@pytest.mark.parametrize("request_bytes", [POST, CHUNKED])
async def test_a_request_split_at_every_byte_arrives_as_one(bench, request_bytes):
    seen = []

    async def handle(reader, writer):
        received = b""
        while piece := await reader.read(1000):
            received += piece
            with suppress(strict.IncompleteError):
                request, end = strict.read_request(received)
                seen.append(request)
                received = received[end:]
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes")

    proxy = await bench.proxy(await bench.upstream(handle))
    for place in range(1, len(request_bytes)):
        reader, writer = await proxy.connect()
        writer.write(request_bytes[:place])
        await asyncio.sleep(0.001)
        writer.write(request_bytes[place:])
        async with asyncio.timeout(5):
            assert (await reader.read()).endswith(b"yes")
        writer.close()
    assert len(seen) == len(request_bytes) - 1
    assert {(request.target, request.body, request.trailers) for request in seen} == {(seen[0].target, b"hello", seen[0].trailers)}
    assert seen[0].trailers == ((("x-sum", "1"),) if request_bytes is CHUNKED else ())


async def test_a_request_that_comes_byte_by_byte_holds_nobody_up(bench):
    proxy = await bench.proxy(await bench.upstream(answering(b"yes")))
    reader, writer = await proxy.connect()
    for byte in POST:
        writer.write(bytes([byte]))
        assert (await proxy.exchange(POST)).endswith(b"yes")
    assert (await reader.read()).endswith(b"yes")
    writer.close()


@pytest.mark.parametrize(
    ("smuggled", "arrive"),
    [
        (b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0),
        (b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 0),
        (b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", 0),
        (b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 0),
        (b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 0),
        (b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello", 0),
        (b"POST /a HTTP/1.1\r\nHost: a\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n", 0),
        (b"GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: evil\r\nX:yz\r\n", 1),
    ],
)
async def test_a_request_hidden_behind_an_ambiguous_one_never_reaches_the_upstream(bench, smuggled, arrive):
    seen = []
    proxy = await bench.proxy(await bench.upstream(answering(b"yes", seen=seen)))
    await proxy.exchange(smuggled + b"GET /smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert [head.split(b" ")[1] for head, _ in seen] == [b"/a", b"/smuggled"][: 2 * arrive]


async def test_the_refusal_of_a_pipelined_request_comes_after_the_reply_before_it(bench):
    seen = []
    proxy = await bench.proxy(await bench.upstream(answering(b"yes", seen=seen)))
    reply = await proxy.exchange(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost : a\r\n\r\nGET /c HTTP/1.1\r\nHost: a\r\n\r\n")
    assert [line for line in reply.split(b"\r\n") if b"HTTP/1.1" in line] == [b"HTTP/1.1 200 OK", b"yesHTTP/1.1 400 Bad Request"]
    assert len(seen) == 1


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_bytes_behind_a_reply_that_has_no_body_are_no_reply_to_the_next_request(bench, status):
    async def handle(reader, writer):
        head, _ = await read_request(reader)
        if b"/first" in head:
            writer.write(b"HTTP/1.1 %b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil" % status)
            await reader.read()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")

    proxy = await bench.proxy(await bench.upstream(handle))
    reader, writer = await proxy.connect()
    writer.write(b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
    assert status in await reader.readuntil(b"\r\n\r\n")
    writer.write(b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(4) == b"good"
    writer.close()


async def test_any_number_of_interim_replies_in_single_bytes_come_before_the_final_one(bench):
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
    reply = 3 * interim + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    proxy = await bench.proxy(await bench.upstream(saying(*(bytes([byte]) for byte in reply))))
    received = await proxy.exchange(POST)
    assert received.startswith(3 * interim + b"HTTP/1.1 200 OK\r\n")
    assert received.endswith(b"\r\n\r\nok")


@pytest.mark.parametrize("before", [b"HTTP/1.1 204 No Content\r\n", b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nHTTP/1.1 204 No Content\r\n"])
async def test_a_length_is_not_passed_on_where_there_is_never_content(bench, before):
    async def handle(reader, writer):
        await read_request(reader)
        writer.write(before + b"Content-Length: 5\r\n\r\n")
        await reader.read()

    proxy = await bench.proxy(await bench.upstream(handle))
    reply = await proxy.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert b"HTTP/1.1 204 No Content\r\n" in reply
    assert b"Content-Length" not in reply


async def test_a_client_of_http_1_0_is_spared_interim_replies(bench):
    proxy = await bench.proxy(await bench.upstream(saying(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")))
    assert (await proxy.exchange(b"GET / HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_an_upstream_of_http_1_0_is_answered_for_in_1_1_with_the_whole_body(bench):
    proxy = await bench.proxy(await bench.upstream(saying(b"HTTP/1.0 200 OK\r\n\r\nbe", b"gin ", b"end")))
    reply, _ = strict.read_reply(await proxy.exchange(POST), 0, "POST", ended=False)
    assert (reply.status, reply.minor, reply.body) == (200, 1, b"begin end")
    (exchange,) = await proxy.tap.recorded(1)
    assert (exchange.response.content, exchange.error) == (b"begin end", ErrorKind.NONE)


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 10\r\n\r\n12345", b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", b"Transfer-Encoding: chunked\r\n\r\na\r\n12345"]
)
async def test_a_truncated_reply_is_never_ended_cleanly(bench, framing):
    proxy = await bench.proxy(await bench.upstream(saying(b"HTTP/1.1 200 OK\r\n" + framing)))
    received = await proxy.exchange(POST)
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    with pytest.raises(strict.IncompleteError):
        strict.read_reply(received, 0, "POST", ended=True)
    (exchange,) = await proxy.tap.recorded(1)
    assert (exchange.status, exchange.error, exchange.response.content) == (200, ErrorKind.UPSTREAM_CLOSED, b"12345")


async def test_an_empty_line_before_a_status_line_is_a_bad_reply(bench):
    proxy = await bench.proxy(await bench.upstream(saying(b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", close=False)))
    assert (await proxy.exchange(POST)).startswith(b"HTTP/1.1 502 ")
    (exchange,) = await proxy.tap.recorded(1)
    assert exchange.error is ErrorKind.BAD_REPLY


async def test_a_reply_before_its_request_is_whole_reaches_the_client_and_ends_the_connection(bench):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nless")
        await reader.read()

    proxy = await bench.proxy(await bench.upstream(handle))
    reader, writer = await proxy.connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbegin")
    async with asyncio.timeout(5):
        received = await reader.read()
    writer.close()
    assert received.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close\r\n" in received
    assert received.endswith(b"less")
