"""What the compose file starts, as processes of this machine: its settings, rules and routes, the sample service, its traffic, and who is on call.

Not ClickHouse and Grafana, which need their images: the store is the embedded one.
"""

import asyncio
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import ClientSession

from .programs import free_port

pytestmark = [
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed: apt-get install prometheus"),
    pytest.mark.skipif(shutil.which("prometheus-alertmanager") is None, reason="Alertmanager is not installed: apt-get install prometheus-alertmanager"),
    pytest.mark.timeout(240),
]

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy/compose"


async def test_who_is_on_call_is_told_when_the_sample_drifts(tmp_path: Path, up, programs) -> None:
    sample, hook, prometheus, manager = (free_port() for _ in range(4))
    _, told = await programs.run("hook", sys.executable, str(COMPOSE / "hook.py"), "--port", str(hook))
    await programs.run("sample", sys.executable, str(ROOT / "examples/service.py"), "--port", str(sample))
    settings = yaml.safe_load((COMPOSE / "driftline.yaml").read_text().replace("sample:9000", f"127.0.0.1:{sample}"))
    del settings["store"]
    settings["drift"] |= {"window_rows": 200, "baseline_rows": 1_000}  # a fifth, so that it takes seconds
    (tmp_path / "driftline.yaml").write_text(yaml.safe_dump(settings))
    service = await up("--config", str(tmp_path / "driftline.yaml"))
    await programs.alertmanager(manager, (COMPOSE / "alertmanager.yaml").read_text().replace("hook:9095", f"127.0.0.1:{hook}"))
    shutil.copy(COMPOSE / "driftline.rules.yaml", tmp_path)
    scraped = (COMPOSE / "prometheus.yaml").read_text().replace("10s", "1s")
    scraped = scraped.replace("driftline:8081", f"127.0.0.1:{service.admin_port}").replace("alertmanager:9093", f"127.0.0.1:{manager}")
    (tmp_path / "prometheus.yaml").write_text(scraped)
    listen = f"--web.listen-address=127.0.0.1:{prometheus}"
    await programs.start(f"http://127.0.0.1:{prometheus}/-/ready", "prometheus", "--config.file=prometheus.yaml", "--storage.tsdb.path=kept", listen)

    traffic = [sys.executable, str(ROOT / "examples/traffic.py"), service.url, "--per-second", "500"]
    async with ClientSession() as session, asyncio.timeout(120):
        usual, _ = await programs.run("traffic", *traffic)
        while not (known := await model(session, service.admin)) or known["windows"] < 1:
            await asyncio.sleep(0.2)
        assert known["state"] == "ok"
        usual.kill()
        await programs.run("longer", *traffic, "--drift-after", "0")
        while "firing page iris" not in (printed := told.read_text()):
            assert "firing" not in printed
            await asyncio.sleep(0.2)


async def model(session: ClientSession, admin: str) -> dict[str, Any] | None:
    async with session.get(f"{admin}/api/v1/models") as reply:
        return next((known for known in (await reply.json())["models"] if known["model"] == "iris"), None)
