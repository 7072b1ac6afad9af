"""Real programs beside Driftline in a test: Prometheus, Alertmanager."""

import asyncio
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from aiohttp import ClientError, ClientSession


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
        log = self.directory / f"{Path(command[0]).name}.log"
        with log.open("wb") as output:
            process = await asyncio.to_thread(subprocess.Popen, command, stdout=output, stderr=output, cwd=self.directory)
        self._processes.append(process)
        deadline = time.monotonic() + 40
        while not await _answers(ready_url):
            assert time.monotonic() < deadline, log.read_text()
            assert process.poll() is None, log.read_text()
            await asyncio.sleep(0.1)

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
