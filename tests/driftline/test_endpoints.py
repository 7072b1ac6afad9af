"""Several endpoints and TLS to them, as an operator sets them up."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from tests.proxy.certificates import Authority

from .conftest import REPLY, REQUEST


class Replica:
    """A model that counts its requests."""

    def __init__(self) -> None:
        self.requests = 0
        self.runner = web.ServerRunner(web.Server(self._answer))

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        await request.read()
        self.requests += 1
        return web.Response(body=REPLY, content_type="application/json")


@pytest.fixture
async def replicas() -> AsyncIterator[list[Replica]]:
    started = [Replica(), Replica()]
    for replica in started:
        await replica.runner.setup()
    yield started
    for replica in started:
        await replica.runner.cleanup()


async def ask(url: str, times: int) -> None:
    async with ClientSession() as session:
        for _ in range(times):
            async with session.post(url, data=REQUEST) as reply:
                assert await reply.read() == REPLY


async def test_endpoints_share_the_requests_and_one_that_dies_takes_none_with_it(replicas, up, tmp_path):
    sites = [web.UnixSite(replica.runner, str(tmp_path / f"{number}.sock")) for number, replica in enumerate(replicas)]
    for site in sites:
        await site.start()
    names = [f"unix:{tmp_path}/{number}.sock" for number in range(2)]
    service = await up("--upstream", ",".join(names))
    await ask(service.url, 40)
    assert min(replica.requests for replica in replicas) > 0
    await replicas[1].runner.cleanup()
    await ask(service.url, 40)
    assert sum(replica.requests for replica in replicas) == 80
    page = await service.metrics()
    assert f'driftline_endpoint_ejections_total{{arm="upstream",endpoint="{names[1]}",reason="failures",route="default"}} 1.0' in page
    assert f"route default, upstream: {names[1]} gets no requests for 30 s: 5 failures in a row, the last: cannot connect" in service.log.read_text()
    assert await service.stop() == 0


async def test_an_upstream_is_spoken_tls_with(replicas, up, driftline, tmp_path):
    authority = Authority(tmp_path)
    ours = authority.issue("proxy", "/CN=driftline")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server", "/CN=server", "DNS:localhost"))
    context.load_verify_locations(authority.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    site = web.TCPSite(replicas[0].runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    config = tmp_path / "driftline.yaml"
    written = f"routes:\n- upstream: https://localhost:{port}\n  tls: {{ca: {authority.certificate}, certificate: {ours.certificate}, key: {ours.key}}}\n"
    config.write_text(written)
    service = await up("--config", str(config))
    await ask(service.url, 3)
    assert replicas[0].requests == 3
    assert await service.stop() == 0
    config.write_text(written.replace("authority.crt", "absent.crt"))
    for command in (["config", "check"], ["proxy", "--config"]):
        finished = driftline(*command, str(config))
        assert finished.returncode == 2
        assert "absent.crt: expected a file that can be read (route default, upstream: tls.ca), found: No such file or directory" in finished.stderr


@pytest.fixture(autouse=True)
def short_paths(tmp_path: Path) -> None:
    assert len(str(tmp_path)) < 90  # a unix socket's name has room for 107 bytes
