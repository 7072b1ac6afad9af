"""An injected pod: both containers' commands as processes that see what a kubelet would show them, and a service beside them."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, web

from config.settings import InjectorSettings
from injection.operations import applied
from injection.patching import Injection, patch
from injection.pod import read_pod
from injection.settings_text import Base

from .programs import free_port

SETTINGS = "driftline.dev/settings"


class Node:
    """Runs the containers of a pod: its volumes are directories, and the image's entry point is this interpreter."""

    def __init__(self, pod: dict[str, Any], directory: Path) -> None:
        self.pod = pod
        self.directory = directory
        (directory / "data").mkdir()
        told = pod["metadata"]["annotations"][SETTINGS].replace("/var/lib/driftline", str(directory / "data"))
        (directory / "driftline.yaml").write_text(told)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        for container in self.pod["spec"]["initContainers"]:
            arguments = [each.replace("/etc/driftline/settings", str(self.directory)) for each in container["args"]]
            with (self.directory / f"{container['name']}.log").open("wb") as log:
                self.processes[container["name"]] = subprocess.Popen([sys.executable, "-m", "driftline", *arguments], stdout=log, stderr=log)

    def logs(self) -> str:
        return "".join(file.read_text() for file in self.directory.glob("*.log"))

    def stop(self) -> list[int]:
        """As the kubelet does: native sidecars in reverse."""
        statuses = []
        for process in reversed(self.processes.values()):
            process.terminate()
            statuses.append(process.wait(30))
        return statuses


async def answer(request: web.Request) -> web.Response:
    return web.json_response({"model_name": "fraud", "outputs": [], "path": request.path})


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    service, listen, admin = free_port(), free_port(), free_port()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", service).start()
    probe = {"httpGet": {"path": "/v2/health/ready", "port": "http"}}
    model = {"name": "model", "image": "fraud:3", "ports": [{"name": "http", "containerPort": service}], "readinessProbe": probe}
    made = {"metadata": {"annotations": {"driftline.dev/listen-port": str(listen)}}, "spec": {"containers": [model]}}
    # The number of the admin address is the first that is free in the pod; this machine has other things on it.
    pod = applied(made, patch(read_pod(made), Injection(InjectorSettings(), Base())).operations)
    pod["metadata"]["annotations"][SETTINGS] = pod["metadata"]["annotations"][SETTINGS].replace(":18081", f"127.0.0.1:{admin}")
    running = Node(pod, tmp_path)
    running.start()
    yield running
    for process in running.processes.values():
        process.kill()
        process.wait()
    await runner.cleanup()


async def ask(session: ClientSession, url: str, node: Node) -> Any:
    deadline = time.monotonic() + 40
    while True:
        with suppress(ClientError, OSError):
            async with session.get(url) as reply:
                if reply.status == 200:
                    return await reply.json(content_type=None)
        assert time.monotonic() < deadline, node.logs()
        assert all(process.poll() is None for process in node.processes.values()), node.logs()
        await asyncio.sleep(0.1)


async def test_the_services_port_leads_through_driftline_and_the_probe_past_it(node: Node) -> None:
    (model,) = node.pod["spec"]["containers"]
    (admin_line,) = [line for line in node.pod["metadata"]["annotations"][SETTINGS].splitlines() if line.startswith("admin: ")]
    admin = f"http://{admin_line.removeprefix('admin: ')}"
    found_by_name = next(port["containerPort"] for port in model["ports"] if port["name"] == "http")
    async with ClientSession() as session:
        for number in range(5):
            assert (await ask(session, f"http://127.0.0.1:{found_by_name}/v2/models/fraud?{number}", node))["path"] == "/v2/models/fraud"
        assert await ask(session, f"http://127.0.0.1:{model['readinessProbe']['httpGet']['port']}/v2/health/ready", node)
        await ask(session, f"{admin}/healthz", node)
        while (counts := (await ask(session, f"{admin}/api/v1/status", node))["counts"])["pending"] or not counts["captured"]:
            await asyncio.sleep(0.1)
    assert (counts["captured"], counts["stored"]) == (5, 5)
    assert await asyncio.to_thread(node.stop) == [0, 0]
