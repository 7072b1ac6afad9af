"""Several endpoints behind one upstream: real servers that come, go, fail and hang."""

from __future__ import annotations

import asyncio
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from config.settings import EjectionSettings, HealthSettings
from config.units import Seconds, Share
from records.exchange import ErrorKind

from .conftest import Handler, Proxy, answering, read_request

GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
SOON = EjectionSettings(failures=3, time=0.6)


class Server:
    """An upstream that can be killed, with the connections it has, and started again at the same address."""

    def __init__(self, handler: Handler, host: str = "127.0.0.1", port: int = 0) -> None:
        self._handler = handler
        self._address = (host, port)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.connections = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._handle, *self._address)
        self._address = self._server.sockets[0].getsockname()

    def kill(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    @property
    def port(self) -> int:
        return self._address[1]

    @property
    def url(self) -> str:
        return f"http://{self._address[0]}:{self.port}"

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            await self._handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


StartServer = Callable[..., Awaitable[Server]]


@pytest.fixture
async def start() -> AsyncIterator[StartServer]:
    async with AsyncExitStack() as stack:

        async def start_server(handler: Handler, host: str = "127.0.0.1", port: int = 0) -> Server:
            server = Server(handler, host, port)
            await server.start()
            stack.callback(server.kill)
            return server

        yield start_server


def replying(status: bytes, body: bytes) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))

    return handle


async def bodies(proxy: Proxy, requests: int) -> Counter[bytes]:
    """Send requests one after the other; return how many replies had which body."""
    return Counter([(await proxy.exchange(GET)).partition(b"\r\n\r\n")[2] for _ in range(requests)])


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.02)


def counted(proxy: Proxy, metric: str, server: Server | str, *more: str) -> int:
    label = server if isinstance(server, str) else f"127.0.0.1:{server.port}"
    return proxy.counters[metric, "default", "upstream", label, *more]


async def test_requests_at_once_are_spread_evenly(bench, start):
    all_there, there = asyncio.Event(), 0

    async def hold(reader, writer):
        nonlocal there
        await read_request(reader)
        there += 1
        if there == 12:
            all_there.set()
        await all_there.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    servers = [await start(hold) for _ in range(3)]
    proxy = await bench.proxy(",".join(server.url for server in servers))
    replies = await asyncio.gather(*(proxy.exchange(GET) for _ in range(12)))
    assert all(reply.endswith(b"ok") for reply in replies)
    assert [server.connections for server in servers] == [4, 4, 4]


async def test_a_dead_endpoint_costs_no_request_and_is_ejected(bench, start, unused_tcp_port):
    living = await start(answering(b"ok"))
    dead = f"http://127.0.0.1:{unused_tcp_port}"
    proxy = await bench.proxy(f"{living.url},{dead}")
    assert await bodies(proxy, 40) == {b"ok": 40}
    assert counted(proxy, "driftline_endpoint_ejections_total", dead.removeprefix("http://"), "failures") == 1
    assert all(exchange.error is ErrorKind.NONE for exchange in await proxy.tap.recorded(40))


async def test_an_endpoint_that_does_not_answer_at_all_costs_time_but_no_request(bench, start):
    living = await start(answering(b"ok"))
    with socket.socket() as silent, socket.socket() as filling:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)  # one connection waits in the kernel, and packets of others are dropped
        filling.connect(silent.getsockname())
        silent_url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        proxy = await bench.proxy(f"{silent_url},{living.url}", connect_timeout=0.6, ejection=EjectionSettings(failures=2))
        assert await bodies(proxy, 20) == {b"ok": 20}
        assert counted(proxy, "driftline_endpoint_ejections_total", silent_url.removeprefix("http://"), "failures") == 1
        alone = await bench.proxy(silent_url, connect_timeout=0.3)
        reply = await alone.exchange(GET)
        assert reply.startswith(b"HTTP/1.1 504 ")
        assert b"took longer than 0.3 s" in reply


async def test_an_endpoint_that_is_much_slower_than_its_siblings_is_ejected(bench, start):
    replies = Counter()

    def taking(seconds: float) -> Handler:
        async def handle(reader, writer):
            while True:
                await read_request(reader)
                await asyncio.sleep(seconds)
                replies[seconds] += 1
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        return handle

    servers = [await start(taking(seconds)) for seconds in (0.011, 0.012, 0.15)]
    proxy = await bench.proxy(",".join(server.url for server in servers))
    (pool,) = proxy.pools
    pool.expire(pool.now + 0.001)  # a window begins

    async def client() -> None:
        reader, writer = await proxy.connect()
        while replies[0.15] < 60:
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await reader.readuntil(b"ok")
        writer.close()

    await asyncio.gather(*(client() for _ in range(24)))
    pool.expire(pool.now + 11.0)  # and ends
    assert [counted(proxy, "driftline_endpoint_ejections_total", server, "latency") for server in servers] == [0, 0, 1]


async def test_all_endpoints_dead_is_a_502_that_names_one(bench, unused_tcp_port_factory):
    ports = [unused_tcp_port_factory() for _ in range(3)]
    proxy = await bench.proxy(",".join(f"http://127.0.0.1:{port}" for port in ports))
    for _ in range(10):
        reply = await proxy.exchange(GET)
        assert reply.startswith(b"HTTP/1.1 502 ")
        assert any(f"cannot connect to 127.0.0.1:{port}".encode() in reply for port in ports)


async def test_an_endpoint_that_is_killed_and_restarted_gets_requests_again(bench, start):
    first, second = await start(answering(b"first")), await start(answering(b"second"))
    proxy = await bench.proxy(f"{first.url},{second.url}", ejection=SOON, slow_start=0.0)
    assert set(await bodies(proxy, 20)) == {b"first", b"second"}
    second.kill()
    assert await bodies(proxy, 20) == {b"first": 20}
    assert counted(proxy, "driftline_endpoint_ejections_total", second, "failures") == 1
    await second.start()

    async def is_used() -> bool:
        return b"second" in await bodies(proxy, 4)

    await eventually(is_used)


@pytest.mark.parametrize("status", [b"502 Bad Gateway", b"503 Service Unavailable", b"504 Gateway Timeout"])
async def test_an_endpoint_that_answers_that_it_cannot_is_ejected(bench, start, status):
    well, unwell = await start(answering(b"ok")), await start(replying(status, b"no"))
    proxy = await bench.proxy(f"{well.url},{unwell.url}", ejection=EjectionSettings(failures=3))
    assert (await bodies(proxy, 60))[b"no"] == 3
    assert counted(proxy, "driftline_endpoint_ejections_total", unwell, "failures") == 1


async def test_a_500_is_the_requests_fault_as_likely_as_the_endpoints(bench, start):
    well, unwell = await start(answering(b"ok")), await start(replying(b"500 Internal Server Error", b"no"))
    proxy = await bench.proxy(f"{well.url},{unwell.url}", ejection=EjectionSettings(failures=3))
    assert (await bodies(proxy, 60))[b"no"] > 10


async def test_an_endpoint_that_hangs_is_ejected(bench, start):
    async def hang(reader, writer):
        await read_request(reader)
        await reader.read()

    well, hung = await start(answering(b"ok")), await start(hang)
    proxy = await bench.proxy(f"{well.url},{hung.url}", ejection=EjectionSettings(failures=3), first_byte_timeout=0.2)
    replies = await asyncio.gather(*(proxy.exchange(GET) for _ in range(8)))
    assert sum(reply.startswith(b"HTTP/1.1 504 ") for reply in replies) >= 3
    assert counted(proxy, "driftline_endpoint_ejections_total", hung, "failures") == 1
    assert await bodies(proxy, 10) == {b"ok": 10}


async def test_an_endpoint_that_breaks_off_is_ejected(bench, start):
    async def break_off(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    well, unwell = await start(answering(b"ok")), await start(break_off)
    proxy = await bench.proxy(f"{well.url},{unwell.url}", ejection=EjectionSettings(failures=3))
    assert (await bodies(proxy, 60))[b"half"] <= 3
    assert counted(proxy, "driftline_endpoint_ejections_total", unwell, "failures") == 1


async def test_clients_that_leave_are_no_fault_of_the_endpoint(bench, start):
    asked = asyncio.Queue()

    async def hold(reader, writer):
        await read_request(reader)
        asked.put_nowait(None)
        await reader.read()

    servers = [await start(hold) for _ in range(2)]
    proxy = await bench.proxy(",".join(server.url for server in servers), ejection=EjectionSettings(failures=1))
    for _ in range(6):
        _, writer = await proxy.connect()
        writer.write(GET)
        await asked.get()
        writer.transport.abort()
    assert {exchange.error for exchange in await proxy.tap.recorded(6)} == {ErrorKind.CLIENT_LEFT}
    assert [counted(proxy, "driftline_endpoint_ejections_total", server, "failures") for server in servers] == [0, 0]


async def test_the_only_endpoint_is_never_left_out(bench, start):
    server = await start(replying(b"503 Service Unavailable", b"no"))
    proxy = await bench.proxy(server.url, ejection=EjectionSettings(failures=1))
    assert await bodies(proxy, 10) == {b"no": 10}
    assert counted(proxy, "driftline_endpoint_ejections_total", server, "failures") == 0


async def test_gauges_say_how_many_endpoints_there_are_and_serve(bench, start, unused_tcp_port):
    living = await start(answering(b"ok"))
    dead = f"127.0.0.1:{unused_tcp_port}"
    proxy = await bench.proxy(f"{living.url},http://{dead}")
    await bodies(proxy, 40)

    async def shown() -> bool:
        return [counted(proxy, "driftline_endpoints", label) for label in (living, dead)] == [1, 1]

    await eventually(shown)
    assert [counted(proxy, "driftline_endpoints_in_service", label) for label in (living, dead)] == [1, 0]


async def test_a_unix_socket_is_an_upstream(bench, tmp_path):
    path = tmp_path / "model.sock"
    server = await asyncio.start_unix_server(answering(b"from the socket"), path)
    proxy = await bench.proxy(f"unix:{path}")
    assert await bodies(proxy, 3) == {b"from the socket": 3}
    server.close()
    path.unlink()
    assert f"cannot connect to unix:{path}: No such file".encode() in await (await bench.proxy(f"unix:{path}")).exchange(GET)


class Patient:
    """An upstream with a page that says whether it is well."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.status: bytes | None = b"200 OK"  # None where it hangs
        self.checks: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, _ = await read_request(reader)
            if head.startswith(b"GET /ready "):
                self.checks.append(head)
                if self.status is None:
                    await reader.read()
                writer.write(b"HTTP/1.1 %b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % (self.status or b""))
                return
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(self._body), self._body))


CHECKED = {"health": HealthSettings(path="/ready", interval=Seconds(0.3), timeout=Seconds(0.2), healthy_after=2, unhealthy_after=2)}


@pytest.mark.parametrize("unwell", [b"503 Service Unavailable", b"404 Not Found", b"nonsense", None])
async def test_an_endpoint_that_fails_its_health_checks_gets_no_requests_until_it_passes_them(bench, start, unwell):
    first, second = Patient(b"first"), Patient(b"second")
    servers = [await start(first), await start(second)]
    proxy = await bench.proxy(",".join(server.url for server in servers), slow_start=0.0, of_route=CHECKED)
    assert set(await bodies(proxy, 20)) == {b"first", b"second"}
    second.status = unwell

    async def is_out() -> bool:
        return counted(proxy, "driftline_endpoints_in_service", servers[1]) == 0 < counted(proxy, "driftline_endpoints", servers[1])

    await eventually(is_out)
    assert await bodies(proxy, 20) == {b"first": 20}
    assert counted(proxy, "driftline_endpoint_checks_failed_total", servers[1]) >= 1
    assert counted(proxy, "driftline_endpoint_checks_failed_total", servers[0]) == 0
    second.status = b"204 No Content"

    async def is_used() -> bool:
        return b"second" in await bodies(proxy, 4)

    await eventually(is_used)


async def test_a_health_check_is_a_plain_get(bench, start):
    patient = Patient(b"")
    server = await start(patient)
    await bench.proxy(server.url, of_route=CHECKED)

    async def is_asked() -> bool:
        return bool(patient.checks)

    await eventually(is_asked)
    assert (
        patient.checks[0]
        == f"GET /ready HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUser-Agent: driftline\r\nAccept: */*\r\nConnection: close\r\n\r\n".encode()
    )


async def test_when_all_endpoints_fail_their_health_checks_all_get_requests(bench, start):
    patients = [Patient(b"first"), Patient(b"second")]
    servers = [await start(patient) for patient in patients]
    for patient in patients:
        patient.status = b"503 Service Unavailable"
    proxy = await bench.proxy(",".join(server.url for server in servers), of_route=CHECKED)

    async def are_out() -> bool:
        return all(counted(proxy, "driftline_endpoint_checks_failed_total", server) > 1 for server in servers)

    await eventually(are_out)
    assert [counted(proxy, "driftline_endpoints_in_service", server) for server in servers] == [0, 0]
    assert set(await bodies(proxy, 20)) == {b"first", b"second"}


async def test_a_unix_socket_is_checked_too(bench, tmp_path):
    path = tmp_path / "model.sock"
    patient = Patient(b"")
    server = await asyncio.start_unix_server(patient, path)
    proxy = await bench.proxy(f"unix:{path}", of_route=CHECKED)

    async def is_asked() -> bool:
        return bool(patient.checks)

    await eventually(is_asked)
    assert b"Host: localhost\r\n" in patient.checks[0]
    server.close()
    path.unlink()

    async def fails() -> bool:
        return counted(proxy, "driftline_endpoint_checks_failed_total", f"unix:{path}") > 0

    await eventually(fails)


class Names:
    """What names lead to, instead of what the system says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.addresses: list[str] | OSError = []
        self.asked = 0
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", self._answer)

    async def _answer(self, host: str, port: int, **hints) -> list[tuple]:
        self.asked += 1
        if isinstance(self.addresses, OSError):
            raise self.addresses
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self.addresses]

    async def asked_again(self) -> None:
        before = self.asked

        async def again() -> bool:
            return self.asked > before + 1

        await eventually(again)


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    return Names(monkeypatch)


async def test_each_address_of_a_name_is_an_endpoint(bench, start, names):
    first = await start(answering(b"2"), "127.0.0.2")
    await start(answering(b"3"), "127.0.0.3", first.port)
    names.addresses = ["127.0.0.2", "127.0.0.3"]
    proxy = await bench.proxy(f"http://models.example:{first.port}")
    assert set(await bodies(proxy, 20)) == {b"2", b"3"}

    async def shown() -> bool:
        return counted(proxy, "driftline_endpoints", f"models.example:{first.port}") == 2

    await eventually(shown)


async def test_names_are_looked_up_again_and_a_reply_from_an_address_that_is_gone_is_finished(bench, start, names):
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def hold(reader, writer):
        while True:
            head, _ = await read_request(reader)
            if b"/slow" in head:
                asked.set()
                await go_on.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold")

    old = await start(hold, "127.0.0.2")
    await start(answering(b"new"), "127.0.0.3", old.port)
    names.addresses = ["127.0.0.2"]
    proxy = await bench.proxy(f"http://models.example:{old.port}", resolve_interval=0.1)
    assert await bodies(proxy, 2) == {b"old": 2}
    slow = asyncio.create_task(proxy.exchange(GET.replace(b"/", b"/slow", 1)))
    await asked.wait()
    names.addresses = ["127.0.0.3"]
    await names.asked_again()
    assert await bodies(proxy, 4) == {b"new": 4}
    go_on.set()
    assert (await slow).endswith(b"old")

    async def closed() -> bool:
        return not old._writers

    await eventually(closed)


async def test_a_name_that_cannot_be_looked_up_any_more_keeps_its_addresses(bench, start, names):
    server = await start(answering(b"ok"), "127.0.0.2")
    names.addresses = ["127.0.0.2"]
    proxy = await bench.proxy(f"http://models.example:{server.port}", resolve_interval=0.1)
    assert await bodies(proxy, 2) == {b"ok": 2}
    names.addresses = socket.gaierror(-2, "Name or service not known")
    await names.asked_again()
    assert await bodies(proxy, 2) == {b"ok": 2}


async def test_a_name_that_leads_nowhere_is_a_502_that_says_so_until_it_does(bench, start, names):
    server = await start(answering(b"ok"), "127.0.0.2")
    names.addresses = socket.gaierror(-2, "Name or service not known")
    proxy = await bench.proxy(f"http://models.example:{server.port}")
    reply = await proxy.exchange(GET)
    assert reply.startswith(b"HTTP/1.1 502 ")
    assert b"cannot look up models.example: Name or service not known" in reply
    names.addresses = ["127.0.0.2"]
    assert await bodies(proxy, 1) == {b"ok": 1}


async def test_of_requests_that_wait_only_so_many_are_kept(bench, start):
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def hold(reader, writer):
        while True:
            await read_request(reader)
            asked.set()
            await go_on.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    server = await start(hold)
    proxy = await bench.proxy(server.url, max_upstream_connections=1, max_waiting=2)
    served = asyncio.create_task(proxy.exchange(GET))
    await asked.wait()
    waiting = [asyncio.create_task(proxy.exchange(GET)) for _ in range(5)]
    (exchange, *_) = await proxy.tap.recorded(3)
    assert (exchange.status, exchange.error) == (503, ErrorKind.QUEUE_FULL)
    go_on.set()
    replies = await asyncio.gather(served, *waiting)
    assert sorted(reply[9:12] for reply in replies) == [b"200", b"200", b"200", b"503", b"503", b"503"]
    assert all(b"\r\nRetry-After: 1\r\n" in reply for reply in replies if reply.startswith(b"HTTP/1.1 503 "))


async def test_who_waits_for_a_connection_too_long_is_answered_503(bench, start):
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def hold(reader, writer):
        while True:
            await read_request(reader)
            asked.set()
            await go_on.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    server = await start(hold)
    proxy = await bench.proxy(server.url, max_upstream_connections=1, connect_timeout=0.2)
    served = asyncio.create_task(proxy.exchange(GET))
    await asked.wait()
    reply = await proxy.exchange(GET)
    assert reply.startswith(b"HTTP/1.1 503 ")
    assert b"no connection to the upstream became free within 0.2 s" in reply
    (exchange,) = await proxy.tap.recorded(1)
    assert exchange.error is ErrorKind.QUEUE_TIMEOUT
    go_on.set()
    assert (await served).endswith(b"ok")


async def test_a_connection_that_the_upstream_closed_meanwhile_is_not_lent(bench, start):
    accepted = asyncio.Queue()

    async def keep(reader, writer):
        accepted.put_nowait(writer.get_extra_info("socket"))
        await answering(b"ok")(reader, writer)

    server = await start(keep)
    proxy = await bench.proxy(server.url)
    reader, writer = await proxy.connect()
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"  # would not be sent again
    slot = proxy.counters.slot("driftline_endpoints", "default", "upstream", f"127.0.0.1:{server.port}")

    async def ticked() -> bool:
        return proxy.counters.values[slot] == 1

    writer.write(post)
    assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
    for _ in range(3):
        upstream = await accepted.get()
        for _ in range(2):
            proxy.counters.values[slot] = 0
            await eventually(ticked)
        writer.write(post)  # is readable first
        upstream.shutdown(socket.SHUT_RDWR)
        async with asyncio.timeout(10):
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
    writer.close()


def moody(chance: random.Random) -> Handler:
    """Return an upstream that answers, fails, breaks off or hangs."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            mood = chance.random()
            await asyncio.sleep(0.02 * chance.random())
            if mood < 0.05:
                return  # without a word
            if mood < 0.1:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
                return
            if mood < 0.15:
                await asyncio.sleep(10)
            status = b"503 Service Unavailable" if mood < 0.25 else b"200 OK"
            writer.write(b"HTTP/1.1 %b\r\nContent-Length: 2\r\n\r\nok" % status)

    return handle


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_happens_to_endpoints_and_clients_every_request_is_answered_once_and_nothing_is_left(bench, start, seed):
    chance = random.Random(seed)
    servers = [await start(moody(chance)) for _ in range(3)]
    proxy = await bench.proxy(
        ",".join(server.url for server in servers),
        max_upstream_connections=4,
        max_waiting=4,
        connect_timeout=0.3,
        first_byte_timeout=0.2,
        upstream_idle=0.3,
        slow_start=0.2,
        ejection=EjectionSettings(failures=2, time=Seconds(0.1), max_share=Share(0.7)),
    )
    sent, over = 0, asyncio.Event()

    async def client() -> None:
        nonlocal sent
        while not over.is_set():
            reader, writer = await proxy.connect()
            writer.write(chance.choice([GET, GET.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\nx")]))
            sent += 1
            if chance.random() < 0.1:
                await asyncio.sleep(0.02 * chance.random())
                writer.transport.abort()
            else:
                async with asyncio.timeout(10):
                    assert (await reader.read()).startswith(b"HTTP/1.1 ")
                writer.close()

    clients = [asyncio.create_task(client()) for _ in range(24)]
    for _ in range(12):
        victim = chance.choice(servers)
        victim.kill()
        await asyncio.sleep(0.1)
        await victim.start()
        await asyncio.sleep(0.1 * chance.random())
    over.set()
    await asyncio.gather(*clients)
    (pool,) = proxy.pools

    async def is_quiet() -> bool:
        return not (pool._connecting or pool._queued or pool._tasks or any(endpoint.load for endpoint in pool.endpoints))

    await eventually(is_quiet)
    answered = len(proxy.tap.exchanges)
    assert sent - 0.2 * sent < answered <= sent  # who left before its request was read is no exchange
    kinds = {exchange.error for exchange in proxy.tap.exchanges}
    assert {ErrorKind.NONE, ErrorKind.CLIENT_LEFT, ErrorKind.UPSTREAM_CLOSED, ErrorKind.FIRST_BYTE_TIMEOUT} <= kinds


async def test_a_name_that_cannot_be_one_is_a_502_that_says_so(bench):
    proxy = await bench.proxy(f"http://{'a' * 64}.example:80")
    reply = await proxy.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 502 ")
    assert b"is empty or longer than 63 bytes" in reply


async def test_who_waits_for_one_endpoint_does_not_keep_others_from_another(bench, start):
    let_go = {b"one": asyncio.Event(), b"two": asyncio.Event()}

    def holding(name: bytes) -> Handler:
        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            await let_go[name].wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n%b" % name)
            writer.close()

        return hold

    one, two = await start(holding(b"one")), await start(holding(b"two"))
    proxy = await bench.proxy(f"{one.url},{two.url}", max_upstream_connections=1)
    held = [asyncio.ensure_future(proxy.exchange(GET)) for _ in range(2)]
    (pool,) = proxy.pools

    async def waiting(count: int) -> None:
        async with asyncio.timeout(10):
            while len(pool._queued) != count or sum(endpoint.load for endpoint in pool.endpoints) != 2:
                await asyncio.sleep(0.01)

    await waiting(0)
    first = asyncio.ensure_future(proxy.exchange(GET))
    await waiting(1)
    second = asyncio.ensure_future(proxy.exchange(GET))
    await waiting(2)
    next(iter(pool._queued.values())).tried.append(pool.endpoints[0])  # as if it could not be connected to a moment ago
    let_go[b"one"].set()
    async with asyncio.timeout(10):
        assert (await second).endswith(b"one")
    assert not first.done()
    let_go[b"two"].set()
    assert (await first).endswith(b"two")
    await asyncio.gather(*held)
