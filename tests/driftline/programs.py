"""What stands beside Driftline in a test: Prometheus, Alertmanager, the webhook of who is on call, and traffic that drifts."""

import asyncio
import json
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from aiohttp import ClientError, ClientSession, web


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


class Programs:
    """Starts programs, and leaves nothing of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._processes: list[subprocess.Popen[bytes]] = []

    async def start(self, ready_url: str, *command: str) -> None:
        """Start a program, and return when its address answers."""
        process, log = await self.run(Path(command[0]).name, *command)
        deadline = time.monotonic() + 40
        while not await _answers(ready_url):
            assert time.monotonic() < deadline, log.read_text()
            assert process.poll() is None, log.read_text()
            await asyncio.sleep(0.1)

    async def run(self, name: str, *command: str) -> tuple[subprocess.Popen[bytes], Path]:
        """Start a program under a name of its own; return it, and the file with what it prints."""
        log = self.directory / f"{name}.log"
        with log.open("wb") as output:
            process = await asyncio.to_thread(subprocess.Popen, command, stdout=output, stderr=output, cwd=self.directory)
        self._processes.append(process)
        return process, log

    async def prometheus(self, port: int, scraped: int, rules: str, scrape_seconds: int, alertmanager: int = 0) -> None:
        """Start a Prometheus that scrapes one port of this machine, by rules as text."""
        (self.directory / "rules.yaml").write_text(rules)
        configuration: dict[str, Any] = {
            "global": {"scrape_interval": f"{scrape_seconds}s", "evaluation_interval": f"{scrape_seconds}s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{"job_name": "driftline", "static_configs": [{"targets": [f"127.0.0.1:{scraped}"]}]}],
        }
        if alertmanager:
            configuration["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]}
        (self.directory / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
        storage = self.directory / "prometheus"
        command = ("prometheus", "--config.file=prometheus.yaml", f"--storage.tsdb.path={storage}", f"--web.listen-address=127.0.0.1:{port}")
        await self.start(f"http://127.0.0.1:{port}/-/ready", *command)

    async def alertmanager(self, port: int, routes: str) -> None:
        """Start an Alertmanager by routes as text."""
        file, storage = self.directory / "alertmanager.yaml", self.directory / "alertmanager"
        file.write_text(routes)
        options = (f"--config.file={file}", f"--storage.path={storage}", f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=")
        await self.start(f"http://127.0.0.1:{port}/-/ready", "prometheus-alertmanager", *options)

    def kill(self) -> None:
        """End what was started."""
        for process in self._processes:
            process.kill()
            process.wait()


async def _answers(url: str) -> bool:
    with suppress(ClientError, OSError):
        async with ClientSession() as session, session.get(url) as reply:
            return reply.status == 200
    return False


class Hook:
    """Who is on call, and since when they know."""

    def __init__(self) -> None:
        self.messages: list[tuple[float, dict[str, Any]]] = []
        self.came = asyncio.Event()

    async def answer(self, request: web.Request) -> web.Response:
        self.messages.append((time.time(), await request.json()))
        self.came.set()
        return web.Response()

    async def told(self, name: str, status: str, within_seconds: float = 90) -> tuple[float, dict[str, Any]]:
        """Return when the first such alert came, and the alert."""
        async with asyncio.timeout(within_seconds):
            while True:
                for moment, message in self.messages:
                    for alert in message["alerts"]:
                        if (alert["labels"]["alertname"], alert["status"]) == (name, status):
                            return moment, alert
                self.came.clear()
                await self.came.wait()


def drifting_rows(generator: np.random.Generator, shift: float) -> bytes:
    table = generator.normal([shift, 0.0, 0.0], size=(200, 3))
    tensor = {"name": "x", "shape": [200, 3], "datatype": "FP64", "data": table.ravel().tolist()}
    return json.dumps({"inputs": [tensor]}).encode()
