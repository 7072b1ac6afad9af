"""What passes, what is changed on the way, and what is put on record: through real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time

import pytest

from config.addresses import Url
from config.redaction import Place
from config.settings import ShadowSettings
from records.exchange import ErrorKind, Role

from .conftest import answering, deaf_client, fill, gone, read_request

POST = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: service\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{'a':1}"


def shadow(url: str, **settings) -> ShadowSettings:
    return ShadowSettings(url=(Url.parse(url),), name="candidate", **settings)


async def test_a_request_and_its_reply_pass_and_are_on_record(bench):
    seen = []
    proxy = await bench.proxy(await bench.upstream(answering(b"yes", head=b"Content-Type: text/plain\r\n", seen=seen)))
    reply = await proxy.exchange(POST)
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == b"yes"
    (exchange,) = await proxy.tap.recorded(1)
    assert (exchange.role, exchange.status, exchange.error, exchange.path) == (Role.SERVED, 200, ErrorKind.NONE, "/v2/models/m/infer")
    assert (exchange.request.content, exchange.request.content_type) == (b"{'a':1}", "application/json")
    assert (exchange.response.content, exchange.response.content_type) == (b"yes", "text/plain")
    assert 0 <= exchange.queue_ns <= exchange.first_byte_ns <= exchange.total_ns
    assert f"X-Request-Id: {exchange.request_id}".encode() in seen[0][0]
    assert f"X-Request-Id: {exchange.request_id}".encode() in head


async def test_a_record_has_each_field_in_its_place(bench):
    upstream = await bench.upstream(answering(b"yes"))
    proxy = await bench.proxy(upstream, (shadow(upstream),))
    await proxy.exchange(POST)
    for exchange in await proxy.tap.recorded(2):
        served = exchange.role is Role.SERVED
        assert (len(exchange.exchange_id), exchange.exchange_id.hex()) == (16, exchange.request_id)
        assert (exchange.route, exchange.arm) == ("default", "upstream" if served else "candidate")
        assert (exchange.method, exchange.path, exchange.model, exchange.version) == ("POST", "/v2/models/m/infer", "", "")
        assert abs(exchange.started_at_ns - time.time_ns()) < 60e9
        assert 0 < exchange.connect_ns <= exchange.queue_ns <= exchange.first_byte_ns <= exchange.total_ns < 60e9
        assert (exchange.status, exchange.error, exchange.client) == (200, ErrorKind.NONE, "127.0.0.1" if served else "")
        assert (exchange.principal, exchange.trace_id, exchange.span_id, exchange.sampling_rate) == ("", "", "", 1.0)
        assert (exchange.request.content, exchange.request.size_bytes, exchange.response.content) == (b"{'a':1}" if served else b"", 7, b"yes")


async def test_the_callers_request_id_and_trace_are_kept(bench):
    seen = []
    proxy = await bench.proxy(await bench.upstream(answering(b"", seen=seen)))
    trace = b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"
    await proxy.exchange(POST.replace(b"\r\n", b"\r\nX-Request-Id: order-7\r\n" + trace, 1))
    (exchange,) = await proxy.tap.recorded(1)
    assert exchange.request_id == "order-7"
    assert (exchange.trace_id, exchange.span_id) == ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
    assert seen[0][0].count(b"X-Request-Id: order-7\r\n") == 1
    assert trace in seen[0][0]


async def test_fields_of_one_hop_end_here_and_ours_are_added(bench):
    seen = []
    proxy = await bench.proxy(await bench.upstream(answering(b"", head=b"Keep-Alive: timeout=5\r\nX-Model: 3\r\n", seen=seen)))
    fields = b"\r\nConnection: close, X-Private, Host, X-Forwarded-For\r\nX-Private: 1\r\nTE: trailers\r\nUpgrade: h2c\r\nVia: 1.0 front\r\nX-Forwarded-For: 10.0.0.1\r\nX-Kept: 1\r\n"
    reply = await proxy.exchange(POST.replace(b"\r\nConnection: close\r\n", fields, 1))
    sent = seen[0][0]
    for dropped in (b"X-Private", b"TE:", b"Upgrade", b"Connection"):
        assert dropped not in sent
    for there in (
        b"Host: service\r\n",
        b"Via: 1.0 front, 1.1 driftline\r\n",
        b"X-Forwarded-For: 10.0.0.1, 127.0.0.1\r\n",
        b"X-Kept: 1\r\n",
        b"X-Forwarded-Proto: http\r\n",
    ):
        assert there in sent
    assert b"Keep-Alive" not in reply
    assert b"X-Model: 3\r\n" in reply


@pytest.mark.parametrize(
    ("given", "sent_on"), [(b"Forwarded: for=1.2.3.4;proto=https\r\n", b"Forwarded: for=1.2.3.4;proto=https, for=127.0.0.1\r\n"), (b"", b"")]
)
async def test_forwarded_is_extended_where_it_is_used(bench, given, sent_on):
    seen = []
    proxy = await bench.proxy(await bench.upstream(answering(b"ok", seen=seen)))
    await proxy.exchange(b"GET / HTTP/1.1\r\nHost: a\r\n" + given + b"Connection: close, forwarded\r\n\r\n")
    assert [line + b"\r\n" for line in seen[0][0].split(b"\r\n") if line.startswith(b"Forwarded:")] == ([sent_on] if sent_on else [])


async def test_the_events_of_a_stream_are_on_record_with_the_time_of_each_piece(bench):
    async def stream(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for event in (b"data: 1\n\n", b"data: 22\n\n", b"data: 333\n\n"):
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await asyncio.sleep(0.1)
        writer.write(b"0\r\n\r\n")

    proxy = await bench.proxy(await bench.upstream(stream))
    await proxy.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    (exchange,) = await proxy.tap.recorded(1)
    assert exchange.response.content == b"data: 1\n\ndata: 22\n\ndata: 333\n\n"
    assert exchange.response.chunk_ends == (9, 19, 30)
    first, second, third = exchange.response.chunk_ns
    assert exchange.first_byte_ns <= first
    assert second - first > 50e6
    assert third - second > 50e6
    assert third <= exchange.total_ns


async def test_connections_are_kept_on_both_sides(bench):
    connections = []

    async def handle(reader, writer):
        connections.append(writer)
        await answering(b"ok")(reader, writer)

    proxy = await bench.proxy(await bench.upstream(handle))
    reader, writer = await proxy.connect()
    for _ in range(5):
        writer.write(POST.replace(b"Connection: close\r\n", b""))
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(2) == b"ok"
    writer.close()
    assert len(connections) == 1


async def test_pipelined_requests_are_answered_in_order(bench):
    async def handle(reader, writer):
        while True:
            head, _ = await read_request(reader)
            await asyncio.sleep(0.02 if b"/first" in head else 0)
            path = head.split(b" ")[1]
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

    proxy = await bench.proxy(await bench.upstream(handle))
    requests = b"".join(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in (b"/first", b"/second", b"/third"))
    reader, writer = await proxy.connect()
    writer.write(requests)
    answered = [(await reader.readuntil(b"\r\n\r\n"), await reader.readexactly(length))[1] for length in (6, 7, 6)]
    writer.close()
    assert answered == [b"/first", b"/second", b"/third"]


async def test_chunked_bodies_pass_both_ways_without_their_extensions(bench):
    seen = []

    async def handle(reader, writer):
        seen.append(await read_request(reader))
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;secret=1\r\nabc\r\n0\r\n\r\n")

    proxy = await bench.proxy(await bench.upstream(handle))
    reply = await proxy.exchange(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n0\r\n\r\n")
    assert seen[0][1] == b"2\r\nhi\r\n0\r\n\r\n"
    assert reply.endswith(b"3\r\nabc\r\n0\r\n\r\n")
    assert reply.count(b"Transfer-Encoding: chunked") == 1
    (exchange,) = await proxy.tap.recorded(1)
    assert (exchange.request.content, exchange.response.content) == (b"hi", b"abc")


async def test_a_client_of_http_1_0_gets_a_chunked_reply_ended_by_the_connection(bench):
    async def handle(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")

    proxy = await bench.proxy(await bench.upstream(handle))
    reply = await proxy.exchange(b"GET / HTTP/1.0\r\n\r\n")
    assert reply.endswith(b"\r\n\r\nabc")
    assert b"chunked" not in reply


async def test_a_streaming_reply_is_passed_on_as_it_comes(bench):
    more = asyncio.Event()

    async def handle(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await more.wait()
        writer.write(b"4\r\nlast\r\n0\r\n\r\n")

    proxy = await bench.proxy(await bench.upstream(handle))
    reader, writer = await proxy.connect()
    writer.write(POST)
    async with asyncio.timeout(5):
        assert b"first" in await reader.readuntil(b"first\r\n")
        assert not proxy.tap.exchanges
        more.set()
        await reader.readuntil(b"0\r\n\r\n")
    writer.close()
    assert (await proxy.tap.recorded(1))[0].response.content == b"firstlast"


async def test_the_record_is_in_the_tap_before_the_clients_last_byte(bench):
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")))
    reader, writer = await proxy.connect()
    received_by_then = []
    proxy.tap.on_append = lambda: received_by_then.append(bytes(reader._buffer))
    writer.write(POST)
    await reader.read()
    writer.close()
    assert received_by_then == [b""]


async def test_long_bodies_pass_whole_and_are_kept_truncated(bench):
    body = bytes(range(256)) * 4096
    proxy = await bench.proxy(await bench.upstream(answering(body)), capture=1000)
    request = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    reply = await proxy.exchange(request + body)
    assert reply.endswith(body)
    (exchange,) = await proxy.tap.recorded(1)
    for kept in (exchange.request, exchange.response):
        assert (kept.content, kept.size_bytes, kept.truncated) == (body[:1000], len(body), True)


async def test_a_slow_client_does_not_make_the_proxy_hold_the_reply(bench):
    sent = 0

    async def handle(reader, writer):
        nonlocal sent
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n")
        for _ in range(2000):
            writer.write(bytes(100_000))
            sent += 100_000
            await writer.drain()

    proxy = await bench.proxy(await bench.upstream(handle))
    _, writer = await proxy.connect()
    writer.transport.pause_reading()
    writer.write(POST)
    before = -1
    while before != sent:
        before = sent
        await asyncio.sleep(0.3)
    writer.transport.abort()
    assert sent < 50_000_000
    (exchange,) = await proxy.tap.recorded(1)
    assert exchange.error is ErrorKind.CLIENT_LEFT
    assert exchange.response.size_bytes < 50_000_000


async def test_the_tail_that_a_client_never_took_follows_as_an_outcome(bench):
    # Larger than what a socket's buffers take, smaller than what the upstream waits to hand over.
    body = bytes(6_000_000)
    proxy = await bench.proxy(await bench.upstream(answering(body)))
    _, writer = await proxy.connect()
    writer.transport.pause_reading()
    writer.write(POST)
    (exchange,) = (await proxy.tap.recorded(1)) if await _within(2, lambda: proxy.tap.exchanges) else (None,)
    if exchange is None:  # the kernel took less: the client left before the end, and the record says so itself
        writer.transport.abort()
        (exchange,) = await proxy.tap.recorded(1)
        assert exchange.error is ErrorKind.CLIENT_LEFT
        return
    writer.transport.abort()
    assert await _within(5, lambda: proxy.tap.outcomes)
    ((sequence, outcome),) = proxy.tap.outcomes
    assert (sequence, outcome.exchange_id, outcome.error) == (1, exchange.exchange_id, ErrorKind.CLIENT_LEFT)


async def _within(seconds, condition):
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        return False
    return True


async def test_an_upstream_that_cannot_be_reached_is_a_502_with_a_reason_and_a_record(bench, unused_tcp_port):
    proxy = await bench.proxy(f"http://127.0.0.1:{unused_tcp_port}")
    reply = await proxy.exchange(POST)
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    answer = json.loads(body)
    assert f"cannot connect to 127.0.0.1:{unused_tcp_port}" in answer["error"]
    (exchange,) = await proxy.tap.recorded(1)
    assert (exchange.status, exchange.error, exchange.request_id) == (502, ErrorKind.CONNECT_FAILED, answer["request_id"])


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"", ErrorKind.UPSTREAM_CLOSED),
        (b"HTTP/1.1 200 OK\r\nContent-Le", ErrorKind.UPSTREAM_CLOSED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n", ErrorKind.BAD_REPLY),
        (b"SSH-2.0-OpenSSH\r\n\r\n", ErrorKind.BAD_REPLY),
    ],
)
async def test_a_reply_that_is_none_is_a_502(bench, reply, kind):
    async def handle(reader, writer):
        await read_request(reader)
        writer.write(reply)

    proxy = await bench.proxy(await bench.upstream(handle))
    assert (await proxy.exchange(POST)).startswith(b"HTTP/1.1 502 ")
    assert (await proxy.tap.recorded(1))[0].error is kind


async def test_a_reply_that_breaks_off_is_never_ended_cleanly(bench):
    async def handle(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")

    proxy = await bench.proxy(await bench.upstream(handle))
    reader, writer = await proxy.connect()
    writer.write(POST)
    try:
        received = await reader.read()
    except ConnectionError:
        received = b""
    writer.close()
    assert b"0\r\n\r\n" not in received
    assert (await proxy.tap.recorded(1))[0].error is ErrorKind.UPSTREAM_CLOSED


async def test_an_upstream_that_stays_silent_is_a_504(bench):
    async def handle(reader, writer):
        await read_request(reader)
        await asyncio.sleep(30)

    proxy = await bench.proxy(await bench.upstream(handle), first_byte_timeout=0.2)
    assert (await proxy.exchange(POST)).startswith(b"HTTP/1.1 504 ")
    assert (await proxy.tap.recorded(1))[0].error is ErrorKind.FIRST_BYTE_TIMEOUT


async def test_a_client_that_leaves_cancels_its_request_and_is_on_record(bench):
    arrived, cancelled = asyncio.Event(), asyncio.Event()

    async def handle(reader, writer):
        await read_request(reader)
        arrived.set()
        assert await reader.read() == b""
        cancelled.set()

    proxy = await bench.proxy(await bench.upstream(handle))
    _, writer = await proxy.connect()
    writer.write(POST)
    await arrived.wait()
    writer.close()
    async with asyncio.timeout(5):
        await cancelled.wait()
    (exchange,) = await proxy.tap.recorded(1)
    assert (exchange.error, exchange.status) == (ErrorKind.CLIENT_LEFT, 0)


async def test_a_malformed_request_is_answered_recorded_and_its_connection_closed(bench):
    seen = []
    proxy = await bench.proxy(await bench.upstream(answering(b"", seen=seen)))
    reply = await proxy.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert reply.count(b"HTTP/1.1") == 1
    (exchange,) = await proxy.tap.recorded(1)
    assert (exchange.error, exchange.status) == (ErrorKind.BAD_REQUEST, 400)
    assert not seen


async def test_a_path_without_a_route_is_a_404_and_on_record(bench):
    proxy = await bench.proxy(await bench.upstream(answering(b"")), path="/v2")
    assert (await proxy.exchange(POST.replace(b"/v2/", b"/v3/"))).startswith(b"HTTP/1.1 404 ")
    assert (await proxy.tap.recorded(1))[0].error is ErrorKind.NO_ROUTE


async def test_an_interim_reply_is_passed_on_before_the_final_one(bench):
    async def handle(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    proxy = await bench.proxy(await bench.upstream(handle))
    reply = await proxy.exchange(POST)
    assert reply.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n")


async def test_a_client_that_expects_100_continue_gets_it_from_the_upstream(bench):
    async def handle(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Expect: 100-continue" in head
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await reader.readexactly(2) == b"hi"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    proxy = await bench.proxy(await bench.upstream(handle))
    reader, writer = await proxy.connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"hi")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
    writer.close()


async def test_bytes_that_an_upstream_sends_unasked_are_never_a_reply(bench):
    connections = []

    async def handle(reader, writer):
        connections.append(writer)
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        await reader.read()

    proxy = await bench.proxy(await bench.upstream(handle))
    reader, writer = await proxy.connect()
    for _ in range(2):
        writer.write(POST.replace(b"Connection: close\r\n", b""))
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(2) == b"ok"
    writer.close()
    assert len(connections) == 2


async def test_a_stopping_worker_finishes_what_is_in_flight(bench):
    arrived, answer = asyncio.Event(), asyncio.Event()

    async def handle(reader, writer):
        await read_request(reader)
        arrived.set()
        await answer.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()

    proxy = await bench.proxy(await bench.upstream(handle), grace=5.0)
    idle_reader, idle_writer = await proxy.connect()
    reader, writer = await proxy.connect()
    writer.write(POST.replace(b"Connection: close\r\n", b""))
    await arrived.wait()
    proxy.stop.set()
    assert await idle_reader.read() == b""
    answer.set()
    reply = await reader.read()
    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close\r\n" in reply
    idle_writer.close()
    writer.close()
    await proxy.served


async def test_a_stopping_worker_waits_for_the_rest_of_a_head(bench):
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), grace=5.0)
    idle_reader, _ = await proxy.connect()
    reader, writer = await proxy.connect()
    writer.write(POST[:20])
    await writer.drain()
    proxy.stop.set()
    assert await asyncio.wait_for(idle_reader.read(), 5) == b""
    writer.write(POST[20:])
    reply = await asyncio.wait_for(reader.read(), 5)
    assert b"\r\nConnection: close\r\n" in reply
    assert reply.endswith(b"ok")


async def test_what_outlasts_the_grace_period_is_broken_off_and_on_record(bench):
    arrived = asyncio.Event()

    async def handle(reader, writer):
        await read_request(reader)
        arrived.set()
        await reader.read()

    proxy = await bench.proxy(await bench.upstream(handle), grace=0.2)
    task = asyncio.create_task(proxy.exchange(POST))
    await arrived.wait()
    proxy.stop.set()
    assert (await task).startswith(b"HTTP/1.1 503 ")
    assert (await proxy.tap.recorded(1))[0].error is ErrorKind.SHUTDOWN


async def test_a_reply_of_which_a_stopping_worker_could_not_send_all_never_looks_whole(bench):
    proxies = []
    chunk = b"2000\r\n" + bytes(8192) + b"\r\n"

    async def handle(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await fill(proxies[0], writer, chunk)
        await reader.read()

    proxies.append(await bench.proxy(await bench.upstream(handle), grace=0.3))
    (proxy,) = proxies
    with await deaf_client(proxy, b"GET / HTTP/1.0\r\n\r\n") as client:
        async with asyncio.timeout(10):
            while not any(connection.writing_paused for connection in proxy.connections):
                await asyncio.sleep(0.01)
        proxy.stop.set()
        await proxy.served
        assert (await proxy.tap.recorded(1))[0].error is ErrorKind.SHUTDOWN
        with pytest.raises(ConnectionResetError):
            _read_all(client)


def _read_all(client):
    while client.recv(65536):
        pass


async def test_a_reply_that_comes_before_the_request_was_taken_leaves_the_connection_usable(bench):
    async def handle(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly")
        await asyncio.sleep(0.3)
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0]))

    proxy = await bench.proxy(await bench.upstream(handle))
    reader, writer = await proxy.connect()
    for _ in range(2):
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n" + bytes(8_000_000))
        async with asyncio.timeout(10):
            answered = await reader.readuntil(b"early")
        if b"Connection: close" in answered:  # the request was still on its way when the reply came
            writer.close()
            reader, writer = await proxy.connect()
    writer.close()
    assert [exchange.status for exchange in await proxy.tap.recorded(2)] == [200, 200]


async def test_requests_beyond_the_connection_limit_wait_their_turn(bench):
    at_once = most = 0

    async def handle(reader, writer):
        nonlocal at_once, most
        while True:
            await read_request(reader)
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.01)
            at_once -= 1
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    proxy = await bench.proxy(await bench.upstream(handle), max_upstream_connections=2)
    replies = await asyncio.gather(*(proxy.exchange(POST) for _ in range(10)))
    assert all(reply.endswith(b"ok") for reply in replies)
    assert most == 2


async def test_requests_are_counted_by_status_and_duration(bench):
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")))
    for _ in range(3):
        await proxy.exchange(POST)
    assert proxy.counters["driftline_http_requests_total", "default", "upstream", "served", "200"] == 3
    buckets = [
        count
        for name, slot in proxy.counters.names.items()
        if name[:2] == ("driftline_http_request_duration_seconds_bucket", "default") and (count := proxy.counters.values[slot])
    ]
    assert sum(buckets) == 3


async def test_a_connection_that_ended_its_reply_by_closing_is_not_lent_to_who_waits(bench):
    async def handle(reader, writer):
        await read_request(reader)
        await asyncio.sleep(0.02)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nok")

    proxy = await bench.proxy(await bench.upstream(handle), max_upstream_connections=1)
    replies = await asyncio.gather(*(proxy.exchange(POST) for _ in range(3)))
    assert all(reply.startswith(b"HTTP/1.1 200 OK\r\n") for reply in replies)


def get(path):
    return b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path


async def test_a_pipelined_request_that_came_with_the_reply_before_it_is_sent_once(bench):
    shadow_seen = []
    arrived, answer = asyncio.Event(), asyncio.Event()

    async def handle(reader, writer):
        await read_request(reader)
        arrived.set()
        await answer.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        client.write(get(b"/third"))  # in the same turn of the loop: the proxy finds both at once
        await read_request(reader)
        await asyncio.sleep(0.1)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await answering(b"last")(reader, writer)

    candidate = shadow(await bench.upstream(answering(b"", seen=shadow_seen)))
    proxy = await bench.proxy(await bench.upstream(handle), (candidate,))
    reader, client = await proxy.connect()
    client.write(get(b"/first") + get(b"/second"))
    await arrived.wait()
    answer.set()
    async with asyncio.timeout(5):
        await reader.readuntil(b"last")
    client.close()
    assert await _within(2, lambda: len(shadow_seen) >= 3)
    await asyncio.sleep(0.1)
    assert [head.split(b" ")[1] for head, _ in shadow_seen] == [b"/first", b"/second", b"/third"]


async def test_pipelined_requests_wait_until_the_client_takes_its_replies(bench):
    body = bytes(200_000)
    seen = []
    proxy = await bench.proxy(await bench.upstream(answering(body, seen=seen)))
    reader, writer = await proxy.connect()
    writer.transport.pause_reading()
    writer.write(get(b"/") * 300)
    before = -1
    while before != len(seen):
        before = len(seen)
        await asyncio.sleep(0.3)
    assert before < 150
    writer.transport.resume_reading()
    async with asyncio.timeout(10):
        for _ in range(300):
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(body))
    writer.close()
    assert {exchange.error for exchange in await proxy.tap.recorded(300)} == {ErrorKind.NONE}


async def test_the_time_for_a_reply_begins_when_the_request_is_whole(bench):
    async def handle(reader, writer):
        await read_request(reader)
        await asyncio.sleep(0.4)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    proxy = await bench.proxy(await bench.upstream(handle), first_byte_timeout=0.8)
    reader, writer = await proxy.connect()
    writer.write(POST[:-1])
    await asyncio.sleep(1)
    writer.write(POST[-1:])
    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()


async def test_an_upstream_that_stops_taking_a_long_request_is_given_up(bench):
    async def handle(reader, writer):
        await asyncio.sleep(30)

    proxy = await bench.proxy(await bench.upstream(handle), first_byte_timeout=0.3)
    _, writer = await proxy.connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n" + bytes(19_000_000))
    (exchange,) = await proxy.tap.recorded(1)
    writer.transport.abort()
    assert (exchange.status, exchange.error) == (504, ErrorKind.FIRST_BYTE_TIMEOUT)


async def test_fields_without_which_bodies_cannot_be_read_are_recorded_and_credentials_are_not(bench):
    upstream = await bench.upstream(answering(b"{}", head=b"Inference-Header-Content-Length: 2\r\nSet-Cookie: a=1\r\n"))
    proxy = await bench.proxy(upstream, of_route={"subject": Place.parse("header:X-Customer")})
    fields = b"\r\nConnection: close\r\nSeldon-Model: m\r\nAuthorization: Bearer x\r\nCookie: b=2\r\nX-Customer: ada\r\n"
    reply = await proxy.exchange(POST.replace(b"\r\nConnection: close\r\n", fields, 1))
    assert reply.startswith(b"HTTP/1.1 200 ")
    (record,) = await proxy.tap.recorded(1)
    assert record.request.fields == {"seldon-model": "m", "x-customer": "ada"}
    assert record.response.fields == {"inference-header-content-length": "2"}


async def test_a_client_that_never_took_the_little_that_was_left_of_its_reply_is_on_record(bench):
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await fill(proxy, writer, b"800\r\n" + bytes(2048) + b"\r\n")
        writer.write(b"0\r\n\r\n")
        await asyncio.sleep(0.2)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()

    proxy = await bench.proxy(await bench.upstream(handle))
    client = await deaf_client(proxy, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    (exchange,) = await proxy.tap.recorded(1)
    await gone(proxy)
    assert ErrorKind.CLIENT_LEFT in {exchange.error, *(outcome.error for _, outcome in proxy.tap.outcomes)}
