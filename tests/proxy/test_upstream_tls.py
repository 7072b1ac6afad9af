"""TLS to upstreams: whom the proxy trusts, what it shows, and what it does when the files change."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import uvloop

from config.settings import HealthSettings, UpstreamTlsSettings
from config.units import Seconds
from proxy.upstream_tls import client_context
from records.exchange import ErrorKind

from .certificates import Authority, Pair, encrypted
from .conftest import Bench, Proxy, answering, read_request

GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server(authority: Authority) -> Pair:
    return authority.issue("server", "/CN=server", "IP:127.0.0.1", "DNS:models.internal")


class Upstream:
    """Speaks TLS, each reply on a connection of its own."""

    def __init__(self, pair: Pair, client_ca: Path | None) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*pair)
        self.context.sni_callback = lambda _, name, __: self.asked_for.append(name)
        if client_ca:
            self.context.load_verify_locations(client_ca)
            self.context.verify_mode = ssl.CERT_REQUIRED
        self.asked_for: list[str | None] = []
        self.shown: list[str] = []
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        certificate = writer.get_extra_info("peercert")
        self.shown.append(dict(part[0] for part in certificate["subject"])["commonName"] if certificate else "")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()


@pytest.fixture
async def tls_upstream() -> AsyncIterator[Callable[..., Awaitable[Upstream]]]:
    async with AsyncExitStack() as stack:

        async def start(pair: Pair, client_ca: Path | None = None) -> Upstream:
            upstream = Upstream(pair, client_ca)
            serving = await asyncio.start_server(upstream.handle, "127.0.0.1", 0, ssl=upstream.context)
            stack.callback(serving.close)
            upstream.url = f"https://127.0.0.1:{serving.sockets[0].getsockname()[1]}"
            return upstream

        yield start


def tls(**settings: Path | str) -> dict[str, UpstreamTlsSettings]:
    return {"tls": UpstreamTlsSettings(**{name: str(value) for name, value in settings.items()})}


async def is_served(proxy: Proxy) -> bool:
    reply = await proxy.exchange(GET)
    assert reply[9:12] in {b"200", b"502"}
    return reply.startswith(b"HTTP/1.1 200 ")


async def until_served(proxy: Proxy, expected: bool) -> None:
    async with asyncio.timeout(10):
        while await is_served(proxy) is not expected:
            await asyncio.sleep(0.05)


async def test_an_upstream_is_trusted_for_its_authority(bench, authority, server, tls_upstream):
    upstream = await tls_upstream(server)
    assert await is_served(await bench.proxy(upstream.url, of_route=tls(ca=authority.certificate)))


async def test_an_upstream_whose_authority_is_unknown_is_a_502_that_says_why(bench, server, tls_upstream):
    proxy = await bench.proxy((await tls_upstream(server)).url)
    reply = await proxy.exchange(GET)
    assert reply.startswith(b"HTTP/1.1 502 ")
    assert b"certificate verify failed" in reply


async def test_an_upstream_with_another_name_is_refused_unless_that_is_the_name_to_expect(bench, authority, tls_upstream):
    upstream = await tls_upstream(authority.issue("other", "/CN=other", "DNS:models.internal"))
    assert not await is_served(await bench.proxy(upstream.url, of_route=tls(ca=authority.certificate)))
    assert await is_served(await bench.proxy(upstream.url, of_route=tls(ca=authority.certificate, server_name="models.internal")))
    assert upstream.asked_for[-1] == "models.internal"


async def test_a_certificate_is_shown_to_an_upstream_that_asks(bench, authority, server, tls_upstream):
    upstream = await tls_upstream(server, client_ca=authority.certificate)
    assert not await is_served(await bench.proxy(upstream.url, of_route=tls(ca=authority.certificate)))
    ours = authority.issue("proxy", "/CN=driftline")
    assert await is_served(await bench.proxy(upstream.url, of_route=tls(ca=authority.certificate, certificate=ours.certificate, key=ours.key)))
    assert upstream.shown == ["driftline"]


async def test_a_health_check_goes_the_same_way(bench, authority, server, tls_upstream):
    upstream = await tls_upstream(server)
    health = HealthSettings(path="/ready", interval=Seconds(0.1), timeout=Seconds(0.1))
    proxy = await bench.proxy(upstream.url, of_route={"health": health, **tls(ca=authority.certificate)})
    async with asyncio.timeout(10):
        while not upstream.shown:
            await asyncio.sleep(0.02)
    assert proxy.counters["driftline_endpoint_checks_failed_total", "default", "upstream", upstream.url.removeprefix("https://")] == 0


async def test_connections_are_kept(bench, authority, server):
    accepted = []

    async def handle(reader, writer):
        accepted.append(writer)
        await answering(b"ok")(reader, writer)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*server)
    serving = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    proxy = await bench.proxy(f"https://127.0.0.1:{serving.sockets[0].getsockname()[1]}", of_route=tls(ca=authority.certificate))
    for _ in range(3):
        assert await is_served(proxy)
    await asyncio.sleep(0.6)  # two ticks: the connection is looked at before it is lent, and what TLS sends by itself must not count
    assert await is_served(proxy)
    assert len(accepted) == 1
    serving.close()


async def test_changed_files_hold_for_new_connections(bench, authority, server, tls_upstream, tmp_path):
    (tmp_path / "new").mkdir()
    successor = Authority(tmp_path / "new", "successor")
    upstream = await tls_upstream(server, client_ca=authority.certificate)
    ours, ca = authority.issue("proxy", "/CN=before"), tmp_path / "ca.crt"
    ca.write_bytes(authority.certificate.read_bytes())
    proxy = await bench.proxy(upstream.url, of_route=tls(ca=ca, certificate=ours.certificate, key=ours.key))
    assert await is_served(proxy)
    authority.issue("renewed", "/CN=after").put_over(ours)
    async with asyncio.timeout(10):
        while upstream.shown[-1] != "after":
            assert await is_served(proxy)
    ca.write_bytes(successor.certificate.read_bytes())
    await until_served(proxy, False)
    ca.write_bytes(authority.certificate.read_bytes())
    await until_served(proxy, True)


async def test_a_broken_file_is_refused_and_the_old_one_stays(bench, authority, server, tls_upstream, tmp_path, caplog):
    upstream = await tls_upstream(server)
    ca = tmp_path / "ca.crt"
    ca.write_bytes(authority.certificate.read_bytes())
    proxy = await bench.proxy(upstream.url, of_route=tls(ca=ca))
    with caplog.at_level(logging.ERROR):
        ca.write_text("nothing")
        async with asyncio.timeout(10):
            while not caplog.messages:
                assert await is_served(proxy)
    assert caplog.messages == [
        f"the changed certificate is not taken, the old one stays: {ca}: expected certificates in PEM (route default, upstream: tls.ca), found none that can be read"
    ]
    assert await is_served(proxy)


@pytest.mark.parametrize("name", ["ca", "certificate", "key"])
def test_a_file_that_is_not_there_is_named(authority, name, tmp_path):
    ours = authority.issue("proxy", "/CN=driftline")
    files = {"ca": authority.certificate, "certificate": ours.certificate, "key": ours.key, name: tmp_path / "absent"}
    with pytest.raises(ValueError, match=rf"/absent: expected a file that can be read \(x\.{name}\), found: No such file or directory"):
        client_context(tls(**files)["tls"], "x")


def test_a_key_that_cannot_be_used_is_said(authority):
    ours, other = authority.issue("proxy", "/CN=driftline"), authority.issue("other", "/CN=other")
    with pytest.raises(ValueError, match=r"expected the key of .*proxy.crt, found another one; set x\.certificate and x\.key"):
        client_context(tls(certificate=ours.certificate, key=other.key)["tls"], "x")
    with pytest.raises(ValueError, match="expected a key without a password"):
        client_context(tls(certificate=ours.certificate, key=encrypted(ours).key)["tls"], "x")


def test_a_reply_that_only_the_close_ends_is_cut_off_where_the_upstream_does_not_say_that_it_ends(authority, server):
    """TLS says so by a `close_notify`: without one, whoever is between could have cut the reply short (RFC 8446 §6.1)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*server)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        await writer.drain()
        if b"/cut" in head:
            writer.transport.abort()
        writer.close()

    async def exchange_both() -> None:
        async with AsyncExitStack() as stack, await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context) as serving:
            url = f"https://127.0.0.1:{serving.sockets[0].getsockname()[1]}"
            proxy = await Bench(stack).proxy(url, of_route=tls(ca=authority.certificate))
            whole = await proxy.exchange(GET)
            broken = await proxy.exchange(GET.replace(b"GET /", b"GET /cut"))
            errors = [exchange.error for exchange in await proxy.tap.recorded(2)]
        assert whole.endswith(b"\r\n0\r\n\r\n")
        assert b"all of it" in broken
        assert not broken.endswith(b"0\r\n\r\n")
        assert errors == [ErrorKind.NONE, ErrorKind.UPSTREAM_CLOSED]

    uvloop.run(exchange_both())  # which workers use; asyncio's own loop does not tell the two ends apart
