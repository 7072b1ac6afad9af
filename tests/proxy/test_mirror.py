"""What shadows get, what becomes of the rest, and what a bad shadow costs: through real sockets."""

from __future__ import annotations

import asyncio
import itertools
import resource
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.addresses import Url
from config.selection import Condition, Key
from config.settings import ShadowSettings
from config.units import Bytes, Seconds, Share
from records.exchange import ErrorKind, Exchange, Role
from records.metrics import SkipReason

from .conftest import Bench, Handler, Proxy, answering, read_request, running

POST = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: service\r\nConnection: close\r\nContent-Length: 7\r\n\r\n{'a':1}"
PIECE = bytes(100_000)
MEGABYTE = 1_000_000


def shadow(url: str, **settings) -> ShadowSettings:
    return ShadowSettings(url=(Url.parse(url),), name="candidate", **settings)


def upload_head(size: int) -> bytes:
    return b"POST /upload HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size


def counted(proxy: Proxy) -> dict[str, int]:
    """Return what became of the requests that were due, without what is 0."""
    names = {"due": "driftline_mirror_due_total", "mirrored": "driftline_mirrored_total"}
    counts = {word: proxy.counters[name, "default", "candidate"] for word, name in names.items()}
    counts |= {reason.value: proxy.counters["driftline_mirror_skipped_total", "default", "candidate", reason.value] for reason in SkipReason}
    return {word: count for word, count in counts.items() if count}


async def settled(proxy: Proxy) -> dict[str, int]:
    """Return the counts once no copy is in flight any more."""
    async with asyncio.timeout(10):
        while (counts := counted(proxy)).get("due", 0) != sum(count for word, count in counts.items() if word != "due"):
            await asyncio.sleep(0.005)
    return counts


def of_shadow(proxy: Proxy) -> list[Exchange]:
    return [exchange for exchange in proxy.tap.exchanges if exchange.role is Role.SHADOW]


def of_client(proxy: Proxy) -> list[Exchange]:
    return [exchange for exchange in proxy.tap.exchanges if exchange.role is Role.SERVED]


async def take_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read one upload, and answer with its size."""
    head = await reader.readuntil(b"\r\n\r\n")
    left = size = int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0])
    while left:
        left -= len(await reader.read(min(left, MEGABYTE)) or b"x" * left)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n%010d" % size)
    await writer.drain()


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take the connection and nothing else."""
    writer.transport.pause_reading()
    await asyncio.sleep(60)


# What a shadow gets.


async def test_a_shadow_gets_the_same_request_and_its_reply_is_recorded_not_returned(bench):
    served, shadowed = [], []
    upstream = await bench.upstream(answering(b"served", seen=served))
    candidate = await bench.upstream(answering(b"shadow", seen=shadowed))
    proxy = await bench.proxy(upstream, (shadow(candidate),))
    assert (await proxy.exchange(POST)).endswith(b"served")
    exchanges = await proxy.tap.recorded(2)
    by_role = {exchange.role: exchange for exchange in exchanges}
    assert by_role[Role.SERVED].exchange_id == by_role[Role.SHADOW].exchange_id
    assert (by_role[Role.SHADOW].arm, by_role[Role.SHADOW].response.content) == ("candidate", b"shadow")
    assert (by_role[Role.SHADOW].request.content, by_role[Role.SHADOW].request.size_bytes) == (b"", 7)
    assert served == shadowed
    assert await settled(proxy) == {"due": 1, "mirrored": 1}


@pytest.mark.parametrize("size", [7, MEGABYTE])
async def test_where_no_records_are_wanted_everything_is_mirrored_and_counted_all_the_same(bench, size):
    proxy = await bench.proxy(await bench.upstream(take_all), (shadow(await bench.upstream(take_all)),))
    proxy.tap.wants_records = False
    reply = await proxy.exchange(upload_head(size) + bytes(size))
    assert reply.endswith(b"%010d" % size)
    assert await settled(proxy) == {"due": 1, "mirrored": 1}
    assert proxy.tap.exchanges == []
    assert len(proxy.tap.left_out) == 2
    assert len(set(proxy.tap.left_out)) == 1, "what was served and the shadow's reply are one exchange"
    for arm, role in (("upstream", "served"), ("candidate", "shadow")):
        assert proxy.counters["driftline_http_requests_total", "default", arm, role, "200"] == 1


async def test_what_no_record_is_wanted_of_passes_unchanged_however_it_comes_and_ends(bench):
    async def stream(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n7\r\ndata: 1\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.write(b"0\r\n\r\n")

    proxy = await bench.proxy(await bench.upstream(stream))
    proxy.tap.wants_records = False
    reply = await proxy.exchange(POST)
    assert reply.endswith(b"7\r\ndata: 1\r\n0\r\n\r\n")
    assert (proxy.tap.exchanges, proxy.tap.outcomes, len(proxy.tap.left_out)) == ([], [], 1)


async def test_a_shadow_gets_a_chunked_request_as_it_goes_to_the_upstream(bench):
    served, shadowed = [], []
    proxy = await bench.proxy(await bench.upstream(answering(b"", seen=served)), (shadow(await bench.upstream(answering(b"", seen=shadowed))),))
    await proxy.exchange(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x\r\nbc\r\n0\r\n\r\n")
    await proxy.tap.recorded(2)
    assert shadowed == served
    assert shadowed[0][1] == b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_shadow_gets_each_piece_of_a_request_as_it_passes(bench, chunked):
    received = asyncio.Queue()

    async def handle(reader, writer):
        received.put_nowait(await reader.readuntil(b"\r\n\r\n"))
        for size in (9, 10, 5) if chunked else (4, 5):
            received.put_nowait(await reader.readexactly(size))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    proxy = await bench.proxy(await bench.upstream(answering(b"served")), (shadow(await bench.upstream(handle)),))
    reader, writer = await proxy.connect()
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 9"
    pieces = (b"4\r\nlong\r\n", b"5\r\nwords\r\n", b"0\r\n\r\n") if chunked else (b"long", b"words")
    async with asyncio.timeout(5):
        for piece in (b"POST / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % framing, *pieces):
            writer.write(piece)
            taken = await received.get()
            assert taken == piece or taken.startswith(b"POST / HTTP/1.1\r\n")
        await reader.readuntil(b"served")
    writer.close()
    assert await settled(proxy) == {"due": 1, "mirrored": 1}
    (exchange,) = of_shadow(proxy)
    assert (exchange.error, exchange.request.size_bytes, exchange.response.content) == (ErrorKind.NONE, 9, b"ok")


async def test_a_share_of_nothing_mirrors_nothing_and_nothing_is_due(bench):
    shadowed = []
    candidate = shadow(await bench.upstream(answering(b"", seen=shadowed)), share=Share(0))
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), (candidate,))
    await proxy.exchange(POST)
    await proxy.tap.recorded(1)
    assert (shadowed, counted(proxy)) == ([], {})


async def test_only_requests_with_the_fields_value_are_mirrored(bench):
    shadowed = []
    candidate = shadow(await bench.upstream(answering(b"", seen=shadowed)), when=Condition.parse("X-Canary=yes"))
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), (candidate,))
    for field in (b"", b"\r\nX-Canary: no", b"\r\nx-canary: yes"):
        await proxy.exchange(POST.replace(b"\r\n", field + b"\r\n", 1))
    assert await settled(proxy) == {"due": 1, "mirrored": 1}
    assert b"x-canary: yes\r\n" in shadowed[0][0]


async def test_requests_of_one_session_are_mirrored_all_or_none(bench):
    shadowed = []
    candidate = shadow(await bench.upstream(answering(b"", seen=shadowed)), share=Share(0.5), key=Key.parse("?session"))
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), (candidate,))
    for path in itertools.chain.from_iterable([b"/infer?a=b&session=%d" % number for number in range(20)] for _ in range(3)):
        await proxy.exchange(POST.replace(b"/v2/models/m/infer", path))
    await settled(proxy)
    times = {path: [head.split(b" ")[1] for head, _ in shadowed].count(path) for head, _ in shadowed for path in [head.split(b" ")[1]]}
    assert set(times.values()) == {3}
    assert 3 <= len(times) <= 17


async def test_a_request_for_a_websocket_is_not_mirrored_and_counted(bench):
    shadowed = []
    proxy = await bench.proxy(await bench.upstream(answering(b"declined")), (shadow(await bench.upstream(answering(b"", seen=shadowed))),))
    reader, writer = await proxy.connect()
    writer.write(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    async with asyncio.timeout(5):
        await reader.readuntil(b"declined")
    writer.close()
    assert await settled(proxy) == {"due": 1, "upgrade": 1}
    assert not shadowed


async def test_a_shadow_gets_a_request_that_the_upstream_could_not_be_asked(bench, unused_tcp_port):
    shadowed = []
    proxy = await bench.proxy(f"http://127.0.0.1:{unused_tcp_port}", (shadow(await bench.upstream(answering(b"ok", seen=shadowed))),))
    assert (await proxy.exchange(POST)).startswith(b"HTTP/1.1 502 ")
    assert await settled(proxy) == {"due": 1, "mirrored": 1}
    assert len(shadowed) == 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=3000), max_size=6), st.booleans(), st.lists(st.integers(0, 20_000), max_size=5), st.booleans())
def test_however_a_request_arrives_its_shadow_gets_what_its_upstream_gets(chunks, chunked, cuts, upstream_is_slow):
    body = b"".join(chunks)
    if chunked:
        framed = b"".join(b"%x;x=y\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks if chunk) + b"0\r\nX-Sum: 1\r\n\r\n"
        request = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + framed
    else:
        request = upload_head(len(body)) + body
    places = [0, *sorted(cut % len(request) for cut in cuts), len(request)]
    received = asyncio.run(_received_by_both([request[start:end] for start, end in itertools.pairwise(places)], upstream_is_slow))
    assert len(received) == 2
    assert received[0] == received[1]
    assert received[0].endswith(b"0\r\nX-Sum: 1\r\n\r\n" if chunked else body)


async def _received_by_both(pieces: Sequence[bytes], upstream_is_slow: bool) -> list[bytes]:
    """Send a request in these pieces; return all that the upstream and the shadow received, with the request line."""
    received = []

    async def handle(reader, writer):
        taken = await reader.readuntil(b"\r\n\r\n")
        lowered = taken.lower()
        if b"transfer-encoding: chunked" in lowered:
            taken += await reader.readuntil(b"X-Sum: 1\r\n\r\n")
        else:
            taken += await reader.readexactly(int(lowered.partition(b"content-length: ")[2].split(b"\r")[0]))
        received.append(taken)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async def handle_late(reader, writer):
        await asyncio.sleep(0.01)
        await handle(reader, writer)

    async with AsyncExitStack() as stack:
        bench = Bench(stack)
        candidate = shadow(await bench.upstream(handle))
        proxy = await bench.proxy(await bench.upstream(handle_late if upstream_is_slow else handle), (candidate,))
        reader, writer = await proxy.connect()
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.001)
        async with asyncio.timeout(5):
            assert (await reader.read()).endswith(b"ok")
        writer.close()
        assert await settled(proxy) == {"due": 1, "mirrored": 1}
    return received


# What a bad shadow costs.


async def test_a_dead_shadow_costs_the_client_nothing_and_is_counted(bench, unused_tcp_port):
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), (shadow(f"http://127.0.0.1:{unused_tcp_port}"),))
    assert (await proxy.exchange(POST)).endswith(b"ok")
    exchanges = await proxy.tap.recorded(2)
    assert {exchange.error for exchange in exchanges} == {ErrorKind.NONE, ErrorKind.CONNECT_FAILED}
    assert proxy.counters["driftline_exchange_errors_total", "default", "candidate", "shadow", "connect_failed"] == 1
    assert await settled(proxy) == {"due": 1, "failed": 1}


async def test_a_shadow_that_keeps_failing_is_left_alone(bench):
    connections = 0

    async def close(reader, writer):
        nonlocal connections
        connections += 1

    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), (shadow(await bench.upstream(close)),))
    for number in range(8):
        assert (await proxy.exchange(POST)).endswith(b"ok")
        async with asyncio.timeout(5):
            while len(of_shadow(proxy)) < min(number + 1, 5):
                await asyncio.sleep(0.005)
    counts = await settled(proxy)
    assert (counts["due"], counts["circuit_open"], connections) == (8, 3, 5)
    assert proxy.counters["driftline_mirror_circuits_open", "default", "candidate"] == 1


async def test_a_shadow_that_was_left_alone_is_asked_again_and_gets_everything_once_it_answers(bench):
    healthy = False

    async def handle(reader, writer):
        if healthy:
            await answering(b"ok")(reader, writer)

    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), (shadow(await bench.upstream(handle)),))
    while proxy.counters["driftline_mirror_circuits_open", "default", "candidate"] == 0:
        await proxy.exchange(POST)
    healthy = True
    async with asyncio.timeout(5):
        while proxy.counters["driftline_mirror_circuits_open", "default", "candidate"] == 1:
            await proxy.exchange(POST)
            await asyncio.sleep(0.02)
    before = await settled(proxy)
    for _ in range(5):
        await proxy.exchange(POST)
    after = await settled(proxy)
    assert after["mirrored"] == before["mirrored"] + 5


async def test_a_hanging_shadow_holds_no_more_than_its_limit_and_is_given_up(bench):
    async def read_and_hang(reader, writer):
        await reader.read()

    candidate = shadow(await bench.upstream(read_and_hang), max_in_flight=2, timeout=Seconds(0.3))
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), (candidate,))
    for _ in range(5):
        assert (await proxy.exchange(POST)).endswith(b"ok")
    assert await settled(proxy) == {"due": 5, "mirrored": 2, "busy": 3}
    assert [exchange.error for exchange in of_shadow(proxy)] == [ErrorKind.TOTAL_TIMEOUT] * 2


async def test_a_copy_that_ended_makes_room_for_the_next_one(bench):
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), (shadow(await bench.upstream(answering(b"ok")), max_in_flight=1),))
    for number in range(1, 6):
        await proxy.exchange(POST)
        assert await settled(proxy) == {"due": number, "mirrored": number}


async def test_the_time_for_a_shadows_reply_begins_when_it_was_sent_the_whole_request(bench):
    async def think(reader, writer):
        await read_request(reader)
        await asyncio.sleep(0.5)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    candidate = shadow(await bench.upstream(think), timeout=Seconds(0.9))
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), (candidate,))
    reader, writer = await proxy.connect()
    writer.write(POST[:-1])
    await asyncio.sleep(1)
    writer.write(POST[-1:])
    await reader.read()
    writer.close()
    assert await settled(proxy) == {"due": 1, "mirrored": 1}
    assert [exchange.error for exchange in of_shadow(proxy)] == [ErrorKind.NONE]


async def test_a_shadow_that_replies_without_end_is_given_up_and_its_reply_kept_up_to_the_limit(bench):
    async def endless(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"%x\r\n%b\r\n" % (len(PIECE), PIECE))
            await writer.drain()
            await asyncio.sleep(0.001)

    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), (shadow(await bench.upstream(endless), timeout=Seconds(0.3)),), capture=Bytes(1000))
    assert (await proxy.exchange(POST)).endswith(b"ok")
    await settled(proxy)
    (exchange,) = of_shadow(proxy)
    assert (exchange.error, exchange.status, len(exchange.response.content), exchange.response.truncated) == (ErrorKind.TOTAL_TIMEOUT, 200, 1000, True)
    assert exchange.response.size_bytes > 1000


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"", ErrorKind.UPSTREAM_CLOSED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", ErrorKind.UPSTREAM_CLOSED),
        (b"SSH-2.0-OpenSSH\r\n\r\n", ErrorKind.BAD_REPLY),
    ],
)
async def test_a_shadow_that_breaks_its_reply_costs_the_client_nothing_and_is_on_record(bench, reply, kind):
    async def handle(reader, writer):
        await read_request(reader)
        writer.write(reply)

    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), (shadow(await bench.upstream(handle)),))
    assert (await proxy.exchange(POST)).endswith(b"ok")
    assert await settled(proxy) == {"due": 1, "mirrored": 1}
    assert [exchange.error for exchange in of_shadow(proxy)] == [kind]


async def test_a_shadow_that_answers_before_it_has_the_request_is_on_record_and_the_rest_not_sent(bench):
    async def refuse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")

    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), (shadow(await bench.upstream(refuse)),))
    reader, writer = await proxy.connect()
    writer.write(POST[:-3])
    async with asyncio.timeout(5):
        while not of_shadow(proxy):
            await asyncio.sleep(0.005)
        writer.write(POST[-3:])
        assert (await reader.read()).endswith(b"ok")
    writer.close()
    assert await settled(proxy) == {"due": 1, "answered_early": 1}
    assert [(exchange.status, exchange.error) for exchange in of_shadow(proxy)] == [(413, ErrorKind.NONE)]


async def test_a_client_that_leaves_in_the_middle_of_its_request_ends_the_copy(bench):
    arrived, ended = asyncio.Event(), asyncio.Event()

    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        try:
            while await reader.read(1000):
                pass
        finally:
            ended.set()

    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), (shadow(await bench.upstream(handle)),))
    _, writer = await proxy.connect()
    writer.write(POST[:-3])
    async with asyncio.timeout(5):
        await arrived.wait()
        writer.transport.abort()
        await ended.wait()
    assert await settled(proxy) == {"due": 1, "incomplete": 1}
    assert [exchange.error for exchange in of_shadow(proxy)] == [ErrorKind.INCOMPLETE]
    assert proxy.counters["driftline_mirror_circuits_open", "default", "candidate"] == 0


async def test_a_copy_that_outlasts_the_grace_period_is_broken_off_and_on_record(bench):
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), (shadow(await bench.upstream(hang)),), grace=Seconds(0.2))
    assert (await proxy.exchange(POST)).endswith(b"ok")
    proxy.stop.set()
    await proxy.served
    assert counted(proxy) == {"due": 1, "mirrored": 1}
    assert [exchange.error for exchange in of_shadow(proxy)] == [ErrorKind.SHUTDOWN]


# Large requests.


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


async def upload(proxy: Proxy, size: int) -> tuple[bytes, int]:
    """Upload so many bytes; return the reply and by how much this process (client, proxy, upstream and shadow) grew at most meanwhile."""
    before = most = resident_bytes()
    reader, writer = await proxy.connect()
    writer.write(upload_head(size))
    async with asyncio.timeout(60):
        for _ in range(size // len(PIECE)):
            writer.write(PIECE)
            await writer.drain()
            most = max(most, resident_bytes())
        reply = await reader.read()
    writer.close()
    return reply, most - before


async def test_a_large_upload_is_mirrored_whole_in_bounded_memory(bench):
    proxy = await bench.proxy(await bench.upstream(take_all), (shadow(await bench.upstream(take_all)),))
    reply, grown = await upload(proxy, 200 * MEGABYTE)
    assert reply.endswith(b"\r\n\r\n0200000000")
    assert await settled(proxy) == {"due": 1, "mirrored": 1}
    (exchange,) = of_shadow(proxy)
    assert (exchange.error, exchange.request.size_bytes, exchange.response.content) == (ErrorKind.NONE, 200 * MEGABYTE, b"0200000000")
    assert grown < 50 * MEGABYTE


async def test_a_hung_shadow_neither_holds_up_a_large_upload_nor_makes_the_proxy_hold_it(bench):
    proxy = await bench.proxy(await bench.upstream(take_all), (shadow(await bench.upstream(hang)),))
    reply, grown = await upload(proxy, 200 * MEGABYTE)
    assert reply.endswith(b"\r\n\r\n0200000000")
    assert await settled(proxy) == {"due": 1, "too_slow": 1}
    (exchange,) = of_shadow(proxy)
    assert exchange.error is ErrorKind.TOO_SLOW
    assert exchange.request.size_bytes < 50 * MEGABYTE
    assert grown < 50 * MEGABYTE


async def test_a_request_that_a_hung_shadow_took_in_part_is_given_up_in_time_and_not_counted_as_mirrored(bench):
    candidate = shadow(await bench.upstream(hang), max_buffer=Bytes.parse("32 MiB"), timeout=Seconds(0.3))
    proxy = await bench.proxy(await bench.upstream(take_all), (candidate,))
    reply, _ = await upload(proxy, 16 * MEGABYTE)  # more than a socket's buffers hold
    assert reply.endswith(b"0016000000")
    assert await settled(proxy) == {"due": 1, "failed": 1}
    assert [exchange.error for exchange in of_shadow(proxy)] == [ErrorKind.TOTAL_TIMEOUT]


async def test_a_large_upload_to_a_hung_shadow_is_given_up_and_a_small_one_beside_it_is_not(bench):
    proxy = await bench.proxy(await bench.upstream(take_all), (shadow(await bench.upstream(hang), max_buffer=Bytes.parse("1 MiB"), timeout=Seconds(1)),))
    _, small = await proxy.connect()
    small.write(upload_head(2 * len(PIECE)) + PIECE)
    reply, _ = await upload(proxy, 20 * MEGABYTE)
    assert reply.endswith(b"0020000000")
    assert counted(proxy) == {"due": 2, "too_slow": 1}
    assert [exchange.path for exchange in of_shadow(proxy)] == ["/upload"]
    small.write(PIECE)
    await settled(proxy)
    small.close()
    assert {exchange.error for exchange in of_shadow(proxy)} == {ErrorKind.TOO_SLOW, ErrorKind.TOTAL_TIMEOUT}


# Whatever a shadow does, each request that is due is counted once.


async def refuse_connections(reader, writer):
    writer.transport.abort()


async def close_midway(reader, writer):
    await reader.read(10)


async def talk_garbage(reader, writer):
    await read_request(reader)
    writer.write(b"\x00\xff" * 20)


async def answer_early(reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    await reader.read(1)


async def read_slowly(reader, writer):
    for _ in range(20):
        await reader.read(20_000)
        await asyncio.sleep(0.01)


async def answer(reader, writer):
    await answering(b"ok")(reader, writer)


async def ask_whole(proxy: Proxy) -> None:
    assert (await proxy.exchange(POST)).endswith(b"ok")


async def ask_in_pieces(proxy: Proxy) -> None:
    reader, writer = await proxy.connect()
    for piece in (POST[:20], POST[20:-5], POST[-5:-2], POST[-2:]):
        writer.write(piece)
        await asyncio.sleep(0.001)
    assert (await reader.read()).endswith(b"ok")
    writer.close()


async def ask_much(proxy: Proxy) -> None:
    reader, writer = await proxy.connect()
    writer.write(upload_head(50 * len(PIECE)) + 50 * PIECE)
    assert (await reader.read()).endswith(b"ok")
    writer.close()


async def ask_and_leave(proxy: Proxy) -> None:
    _, writer = await proxy.connect()
    writer.write(POST[:-3])
    await asyncio.sleep(0.01)
    writer.transport.abort()


SHADOWS = (answer, hang, refuse_connections, close_midway, talk_garbage, answer_early, read_slowly)
CLIENTS = (ask_whole, ask_in_pieces, ask_much, ask_and_leave)


async def counts_of(behaviours: Sequence[Handler], clients: Sequence, at_once: int) -> tuple[dict[str, int], list[Exchange], list[Exchange]]:
    """Let clients ask, some at once, while the shadow behaves another way on every connection; return the counts and what is on record."""
    turn = itertools.cycle(behaviours)

    async def misbehave(reader, writer):
        await next(turn)(reader, writer)

    async with AsyncExitStack() as stack:
        bench = Bench(stack)
        candidate = shadow(await bench.upstream(misbehave), timeout=Seconds(0.1), max_in_flight=3, max_buffer=Bytes.parse("1 MiB"))
        proxy = await stack.enter_async_context(running(await bench.upstream(answering(b"ok")), (candidate,), "/"))
        for first in range(0, len(clients), at_once):
            async with asyncio.timeout(10):
                await asyncio.gather(*(ask(proxy) for ask in clients[first : first + at_once]))
        async with asyncio.timeout(5):
            while len(of_client(proxy)) < len(clients):
                await asyncio.sleep(0.005)
        return await settled(proxy), of_client(proxy), of_shadow(proxy)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(SHADOWS), min_size=1, max_size=4),
    st.lists(st.sampled_from(CLIENTS), min_size=1, max_size=12),
    st.integers(1, 6),
)
def test_whatever_a_shadow_does_each_request_that_is_due_is_mirrored_or_skipped_for_one_reason_and_served(behaviours, clients, at_once):
    counts, served, shadowed = asyncio.run(counts_of(behaviours, clients, at_once))
    never_begun = counts.get("busy", 0) + counts.get("circuit_open", 0)
    assert counts["due"] == len(clients)
    assert sum(counts.values()) == 2 * len(clients)
    assert len(shadowed) == len(clients) - never_begun
    assert [exchange.error for exchange in served].count(ErrorKind.CLIENT_LEFT) == clients.count(ask_and_leave)
    assert [exchange.status for exchange in served].count(200) == len(clients) - clients.count(ask_and_leave)
