"""TLS for clients: who is spoken with, what is recorded of them, and certificates that change."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from config.settings import TlsSettings
from proxy import worker
from proxy.tls import server_context

from .certificates import Authority, Pair, encrypted
from .conftest import answering

REQUEST = b"GET / HTTP/1.1\r\nHost: model\r\nConnection: close\r\n\r\n"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server(authority: Authority) -> Pair:
    return authority.issue("server", "/CN=server", "IP:127.0.0.1")


def settings(pair: Pair, client_ca: Path | str = "") -> TlsSettings:
    return TlsSettings(certificate=str(pair.certificate), key=str(pair.key), client_ca=str(client_ca))


def trusting(authority: Authority, shown: Pair | None = None) -> ssl.SSLContext:
    """Return what a client uses that trusts this authority, and shows this certificate where it is asked for one."""
    context = ssl.create_default_context(cafile=authority.certificate)
    if shown is not None:
        context.load_cert_chain(*shown)
    return context


async def exchange(proxy, context: ssl.SSLContext, request: bytes = REQUEST) -> bytes:
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, ssl=context)
        writer.write(request)
        reply = await reader.read()
        writer.close()
    return reply


async def refused(proxy, context: ssl.SSLContext) -> bool:
    """Return whether a client gets nothing; how it is told depends on when it looks."""
    try:
        return await exchange(proxy, context) == b""
    except OSError:
        return True


async def counted(proxy, reason: str) -> None:
    """Wait until a handshake that failed for this reason is counted."""
    async with asyncio.timeout(10):
        while not proxy.counters["driftline_tls_handshakes_failed_total", reason]:
            await asyncio.sleep(0.005)


async def test_a_client_is_served_by_tls_and_the_upstream_knows_it(bench, authority, server):
    seen = []
    proxy = await bench.proxy(await bench.upstream(answering(b"yes", seen=seen)), tls=settings(server))
    assert (await exchange(proxy, trusting(authority))).endswith(b"\r\n\r\nyes")
    assert b"\r\nX-Forwarded-Proto: https\r\n" in seen[0][0]
    assert (await proxy.tap.recorded(1))[0].principal == ""


async def test_the_same_request_by_tls_and_by_plain_http_is_told_apart(bench, authority, server):
    seen = []
    upstream = await bench.upstream(answering(b"yes", seen=seen))
    plain, secure = await bench.proxy(upstream), await bench.proxy(upstream, tls=settings(server))
    for _ in range(2):
        await plain.exchange(REQUEST)
        await exchange(secure, trusting(authority))
    assert [b"X-Forwarded-Proto: https\r\n" in head for head, _ in seen] == [False, True, False, True]


async def test_a_large_body_passes_both_ways_by_tls(bench, authority, server):
    body = bytes(range(256)) * 20_000
    seen = []
    proxy = await bench.proxy(await bench.upstream(answering(body, seen=seen)), tls=settings(server))
    request = b"POST / HTTP/1.1\r\nHost: model\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    assert (await exchange(proxy, trusting(authority), request)).endswith(body)
    assert seen[0][1] == body


async def test_a_client_that_is_answered_early_by_tls_can_still_read_its_answer(bench, authority, server):
    """There is no half-close by TLS: closing would reset the connection under a client that still sends."""
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), max_body=1000, tls=settings(server))

    def send_all_then_read() -> bytes:
        with (
            socket.create_connection(("127.0.0.1", proxy.port)) as connection,
            trusting(authority).wrap_socket(connection, server_hostname="127.0.0.1") as client,
        ):
            client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n" + bytes(5_000_000))
            return client.recv(1000)

    assert (await asyncio.to_thread(send_all_then_read)).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("subject", "alternatives", "principal"),
    [("/C=AQ/CN=scoring", ["DNS:a.example"], "scoring"), ("/O=Example", ["URI:spiffe://example/scoring"], "spiffe://example/scoring")],
    ids=["common name", "alternative name"],
)
async def test_a_client_with_a_certificate_is_recorded_by_its_name(bench, authority, server, subject, alternatives, principal):
    client = authority.issue("client", subject, *alternatives)
    proxy = await bench.proxy(await bench.upstream(answering(b"yes")), tls=settings(server, authority.certificate))
    assert (await exchange(proxy, trusting(authority, client))).endswith(b"yes")
    assert (await proxy.tap.recorded(1))[0].principal == principal


async def test_a_client_without_a_certificate_is_refused_where_one_is_asked_for(bench, authority, server):
    proxy = await bench.proxy(await bench.upstream(answering(b"yes")), tls=settings(server, authority.certificate))
    assert await refused(proxy, trusting(authority))
    await counted(proxy, "no_certificate")
    assert proxy.tap.exchanges == []


@pytest.mark.parametrize("days", [1, -1], ids=["of another authority", "out of time"])
async def test_a_client_with_a_bad_certificate_is_refused(bench, authority, server, tmp_path, days):
    signing = Authority(tmp_path, "other") if days > 0 else authority
    proxy = await bench.proxy(await bench.upstream(answering(b"yes")), tls=settings(server, authority.certificate))
    assert await refused(proxy, trusting(authority, signing.issue("client", "/CN=client", days=days)))
    await counted(proxy, "bad_certificate")
    assert proxy.tap.exchanges == []


async def test_a_client_that_speaks_no_tls_is_counted_and_others_are_served(bench, authority, server):
    proxy = await bench.proxy(await bench.upstream(answering(b"yes")), tls=settings(server))
    assert not (await proxy.exchange(REQUEST)).startswith(b"HTTP/")
    await counted(proxy, "protocol")
    assert (await exchange(proxy, trusting(authority))).endswith(b"yes")


async def test_a_client_that_begins_no_handshake_is_let_go(bench, server):
    proxy = await bench.proxy(await bench.upstream(answering(b"yes")), tls=settings(server), head_timeout=0.2)
    reader, writer = await proxy.connect()
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()
    await counted(proxy, "timeout")


async def serial(proxy, authority: Authority) -> str:
    """Return the serial number of the certificate that a new connection is shown."""
    _, writer = await asyncio.open_connection("127.0.0.1", proxy.port, ssl=trusting(authority))
    shown = writer.get_extra_info("peercert")["serialNumber"]
    writer.close()
    return shown


async def test_a_renewed_certificate_is_shown_to_new_connections_and_old_ones_go_on(bench, authority, server, monkeypatch):
    monkeypatch.setattr(worker, "_FILES_SECONDS", 0.01)
    proxy = await bench.proxy(await bench.upstream(answering(b"yes")), tls=settings(server))
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, ssl=trusting(authority))
    before = await serial(proxy, authority)
    authority.issue("renewed", "/CN=server", "IP:127.0.0.1").put_over(server)
    async with asyncio.timeout(10):
        while await serial(proxy, authority) == before:
            await asyncio.sleep(0.01)
        writer.write(REQUEST)
        assert (await reader.read()).endswith(b"yes")
    writer.close()


async def test_a_broken_certificate_is_refused_and_the_old_one_stays(bench, authority, server, monkeypatch, caplog):
    monkeypatch.setattr(worker, "_FILES_SECONDS", 0.01)
    proxy = await bench.proxy(await bench.upstream(answering(b"yes")), tls=settings(server))
    before = await serial(proxy, authority)
    server.certificate.write_text("broken")
    async with asyncio.timeout(10):
        while "the changed certificate is not taken" not in caplog.text:
            await asyncio.sleep(0.01)
    assert str(server.certificate) in caplog.text
    assert await serial(proxy, authority) == before


def test_a_file_that_is_not_there_is_named(server, tmp_path):
    for absent, pair in (("absent.crt", Pair(tmp_path / "absent.crt", server.key)), ("absent.key", Pair(server.certificate, tmp_path / "absent.key"))):
        with pytest.raises(ValueError, match=f"{absent}: expected a file that can be read .*No such file"):
            server_context(settings(pair))
    with pytest.raises(ValueError, match=r"absent\.ca: expected a file that can be read .*No such file"):
        server_context(settings(server, tmp_path / "absent.ca"))


def test_a_key_of_another_certificate_is_said(authority, server):
    other = authority.issue("other", "/CN=other")
    with pytest.raises(ValueError, match=r"other\.key: expected the key of .*server\.crt, found another one"):
        server_context(settings(Pair(server.certificate, other.key)))


def test_a_key_with_a_password_is_said(server):
    with pytest.raises(ValueError, match="expected a key without a password"):
        server_context(settings(encrypted(server)))


def test_a_certificate_out_of_time_is_said(authority):
    with pytest.raises(ValueError, match=r"late\.crt: expected a certificate that is valid now, found one that has expired"):
        server_context(settings(authority.issue("late", "/CN=server", days=-1)))


def test_what_is_no_certificate_is_said(server, tmp_path):
    (tmp_path / "text").write_text("text")
    with pytest.raises(ValueError, match="expected a certificate and its private key in PEM"):
        server_context(settings(Pair(tmp_path / "text", server.key)))
    with pytest.raises(ValueError, match=r"text: expected certificates in PEM \(proxy.tls.client_ca\)"):
        server_context(settings(server, tmp_path / "text"))
