"""Other proxies that stay in front and send Driftline copies: nginx's configuration with the real nginx, Envoy's as far as it is YAML."""

import asyncio
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import ClientSession, web

from tests.driftline.programs import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


class Model:
    """Says its name, and counts what it was asked, by request id."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = free_port()
        self.seen: Counter[str] = Counter()
        self.bodies: list[bytes] = []

    async def start(self, stack: AsyncExitStack) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", self.port).start()

    async def _answer(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.seen[request.headers["X-Request-Id"]] += 1
        return web.json_response({"model": self.name, "path": request.path_qs})


def start(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


@pytest.fixture
async def fronted(tmp_path: Path) -> AsyncIterator[tuple[str, Model, Model, subprocess.Popen[bytes]]]:
    """The address of nginx, the service behind it, the candidate behind Driftline, and Driftline."""
    assert NGINX is not None
    service, candidate, front, driftline = Model("service"), Model("candidate"), free_port(), free_port()
    text = (DEPLOY / "nginx/mirror.conf").read_text()
    for old, new in ((":9000", service.port), (":8080", driftline), (":8000", front)):
        assert text.count(old) == 1
        text = text.replace(old, f":{new}")
    text = text.replace("100ms;", "20s;").replace("2s;", "20s;")  # on a busy machine a copy may take longer than it should anywhere else
    main = f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}} http {{ access_log off; client_body_buffer_size 1m; "
    main += "".join(f"{kind}_temp_path {tmp_path}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (tmp_path / "nginx.conf").write_text(main + text + "}\n")
    async with AsyncExitStack() as stack:
        await service.start(stack)
        await candidate.start(stack)
        proxy = [sys.executable, "-m", "driftline", "proxy", "--listen", f"127.0.0.1:{driftline}", "--upstream", f"http://127.0.0.1:{candidate.port}"]
        processes = [start(*proxy, "--spool", str(tmp_path / "spool")), start(NGINX, "-c", str(tmp_path / "nginx.conf"))]
        for process in processes:
            stack.callback(process.wait)
            stack.callback(process.kill)
        for port in (driftline, front):
            await listening(port)
        yield f"http://127.0.0.1:{front}", service, candidate, processes[0]
        processes[1].terminate()
        processes[1].wait()


async def listening(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def ask(url: str, body: bytes) -> Any:
    async with ClientSession() as session, session.post(f"{url}/v2/models/fraud/infer?x=1", data=body) as reply:
        return await reply.json()


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed: apt-get install nginx")
async def test_the_service_answers_the_candidate_gets_a_copy_and_a_dead_driftline_harms_nobody(fronted: Any) -> None:
    url, service, candidate, driftline = fronted
    for number in range(5):
        assert await ask(url, b"x" * number * 100_000) == {"model": "service", "path": "/v2/models/fraud/infer?x=1"}
    async with asyncio.timeout(40):
        while candidate.seen != service.seen:
            await asyncio.sleep(0.05)
    assert sorted(candidate.bodies) == sorted(service.bodies)
    driftline.kill()
    driftline.wait()
    assert (await ask(url, b"later"))["model"] == "service"


def test_envoys_configuration_names_clusters_that_it_has() -> None:
    found = yaml.safe_load((DEPLOY / "envoy/mirror.yaml").read_text())["static_resources"]
    clusters = {cluster["name"] for cluster in found["clusters"]}
    (chain,) = found["listeners"][0]["filter_chains"]
    (route,) = chain["filters"][0]["typed_config"]["route_config"]["virtual_hosts"][0]["routes"]
    assert {route["route"]["cluster"], *(policy["cluster"] for policy in route["route"]["request_mirror_policies"])} == clusters
