"""TLS for clients, as an operator sets it up."""

import asyncio
import ssl
import urllib.request
from pathlib import Path

import pytest

from tests.proxy.certificates import Authority, Pair

from .conftest import REPLY


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def settings_file(directory: Path, upstream: str, pair: Pair, client_ca: Path) -> Path:
    path = directory / "driftline.yaml"
    tls = f"{{certificate: {pair.certificate}, key: {pair.key}, client_ca: {client_ca}}}"
    path.write_text(f"proxy:\n  tls: {tls}\nroutes:\n- upstream: {upstream}\n")
    return path


async def test_clients_with_a_certificate_are_served_and_named_in_the_store(up, upstream, authority, tmp_path):
    server, client = authority.issue("server", "/CN=server", "IP:127.0.0.1"), authority.issue("client", "/CN=scoring")
    service = await up("--config", str(settings_file(tmp_path, upstream.url, server, authority.certificate)))
    url = service.url.replace("http", "https")
    stranger = ssl.create_default_context(cafile=authority.certificate)
    known = ssl.create_default_context(cafile=authority.certificate)
    known.load_cert_chain(*client)

    def ask(context: ssl.SSLContext) -> bytes:
        request = urllib.request.Request(url, data=b"{}", headers={"X-Request-Id": "mine"})
        with urllib.request.urlopen(request, context=context, timeout=10) as reply:
            return reply.read()

    assert await asyncio.to_thread(ask, known) == REPLY
    with pytest.raises(OSError):
        await asyncio.to_thread(ask, stranger)
    assert 'driftline_tls_handshakes_failed_total{reason="no_certificate"} 1.0' in await service.metrics()
    assert f"listening on {url} " in service.log.read_text()
    assert await service.stop() == 0
    assert await service.rows("request_id, principal") == [("mine", "scoring")]


def test_a_certificate_that_cannot_be_used_is_found_before_anything_starts(driftline, authority, tmp_path):
    late = authority.issue("late", "/CN=server", days=-1)
    config = str(settings_file(tmp_path, "http://127.0.0.1:9", late, authority.certificate))
    for command in (["config", "check", config], ["proxy", "--config", config]):
        finished = driftline(*command)
        assert finished.returncode == 2
        assert f"{late.certificate}: expected a certificate that is valid now, found one that has expired" in finished.stderr
