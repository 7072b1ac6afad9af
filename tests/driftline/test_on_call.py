"""From the record to the pager, all of it real: a service that drifts, Prometheus, Alertmanager, and the webhook of who is on call."""

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession, web

from alerts.prometheus.routes import routes_file
from alerts.prometheus.rules import rules_file
from config.load import load

from .programs import free_port

pytestmark = [
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed: apt-get install prometheus"),
    pytest.mark.skipif(shutil.which("prometheus-alertmanager") is None, reason="Alertmanager is not installed: apt-get install prometheus-alertmanager"),
    pytest.mark.timeout(240),
]

SETTINGS = """
routes: [{{name: fraud, model: fraud, team: risk, upstream: "{upstream}"}}]
drift: {{budget: 1 per 50 windows, window_rows: 200, window_min_rows: 100, baseline_rows: 2000}}
alerts:
  receivers: [{{name: on-call, team: risk, severity: page, webhook: "{hook}"}}, {{name: chat, webhook: "{hook}/tickets"}}]
  runbook_base: https://example.com/runbooks
  grafana: https://grafana.example.com
"""
SCRAPE_SECONDS = 2


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


@pytest.fixture
async def hook() -> AsyncIterator[tuple[Hook, str]]:
    hook = Hook()
    app = web.Application()
    app.router.add_post("/{path:.*}", hook.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    _, port = runner.addresses[0]
    yield hook, f"http://127.0.0.1:{port}/hook"
    await runner.cleanup()


def rows(generator: np.random.Generator, shift: float) -> bytes:
    table = generator.normal([shift, 0.0, 0.0], size=(200, 3))
    tensor = {"name": "x", "shape": [200, 3], "datatype": "FP64", "data": table.ravel().tolist()}
    return json.dumps({"inputs": [tensor]}).encode()


async def test_drift_pages_who_is_on_call_and_its_end_is_told(tmp_path: Path, up, upstream, hook, programs) -> None:
    on_call, hook_url = hook
    config = tmp_path / "driftline.yaml"
    config.write_text(SETTINGS.format(upstream=upstream.url, hook=hook_url))
    settings = load(config)
    service = await up("--config", str(config))
    manager = free_port()
    await programs.alertmanager(manager, routes_file(settings))
    await programs.prometheus(free_port(), service.admin_port, rules_file(settings), SCRAPE_SECONDS, manager)
    generator = np.random.default_rng(1)

    async with ClientSession() as session:

        async def send(count: int, shift: float) -> None:
            for _ in range(count):
                headers = {"Content-Type": "application/json", "X-Request-Id": "r"}
                async with session.post(f"{service.url}/v2/models/fraud/infer", data=rows(generator, shift), headers=headers) as reply:
                    assert reply.status == 200

        await send(20, 0.0)
        await asyncio.sleep(3 * SCRAPE_SECONDS)
        assert not on_call.messages, "nobody is told while nothing drifts"
        sending = asyncio.create_task(keep_sending(send, 1.0))
        paged_at, alert = await on_call.told("ModelDataDrift", "firing")
        sending.cancel()
        windows = await verdicts(session, service.admin)
        passed_at = min(window["closed_at"] for window in windows if window["state"] == "firing")
        # From the close of the window whose evidence passed to the page, through a scrape, an evaluation and a group's wait.
        assert paged_at - datetime.fromisoformat(passed_at).replace(tzinfo=UTC).timestamp() < 30
        assert alert["labels"] | {"instance": ""} == {
            "alertname": "ModelDataDrift", "severity": "page", "job": "driftline", "model": "fraud", "route": "fraud", "team": "risk", "instance": ""
        }  # fmt: skip
        assert alert["annotations"]["runbook_url"] == "https://example.com/runbooks#modeldatadrift"
        assert alert["annotations"]["dashboard_url"] == "https://grafana.example.com/d/driftline-model?var-model=fraud"
        assert "x_0 " in alert["annotations"]["description"] or "x[0] " in alert["annotations"]["description"], alert
        sending = asyncio.create_task(keep_sending(send, 0.0))
        await on_call.told("ModelDataDrift", "resolved", within_seconds=150)
        sending.cancel()


async def keep_sending(send: Callable[[int, float], Awaitable[None]], shift: float) -> None:
    while True:
        await send(1, shift)
        await asyncio.sleep(0.3)


async def verdicts(session: ClientSession, admin: str) -> list[dict[str, Any]]:
    async with session.get(f"{admin}/api/v1/models/fraud/windows") as reply:
        return (await reply.json())["windows"]


async def test_what_follows_from_a_fault_is_not_told_beside_it(tmp_path: Path, hook, programs) -> None:
    on_call, hook_url = hook
    config = tmp_path / "driftline.yaml"
    config.write_text(SETTINGS.format(upstream="http://127.0.0.1:9", hook=hook_url))
    port = free_port()
    await programs.alertmanager(port, routes_file(load(config)))
    about = {"job": "driftline", "team": "risk"}
    firing = [
        {"alertname": "UpstreamUnreachable", "severity": "page", "route": "fraud", **about},
        {"alertname": "ModelDataDrift", "severity": "page", "route": "fraud", "model": "fraud", **about},
        {"alertname": "ModelDataDrift", "severity": "page", "route": "other", "model": "other", **about},
        {"alertname": "ErrorBudgetBurning", "severity": "page", "route": "other", "slo": "latency", **about},
        {"alertname": "ErrorBudgetBurning", "severity": "ticket", "route": "other", "slo": "latency", **about},
    ]
    async with ClientSession() as session:
        alerts = [{"labels": labels, "annotations": {"summary": labels["alertname"]}} for labels in firing]
        async with session.post(f"http://127.0.0.1:{port}/api/v2/alerts", json=alerts) as reply:
            assert reply.status == 200, await reply.text()
        async with session.get(f"http://127.0.0.1:{port}/api/v2/alerts") as reply:
            silenced = {
                (alert["labels"]["alertname"], alert["labels"]["route"], alert["labels"]["severity"])
                for alert in await reply.json()
                if alert["status"]["inhibitedBy"]
            }
    await on_call.told("UpstreamUnreachable", "firing")
    _, drift = await on_call.told("ModelDataDrift", "firing")
    assert drift["labels"]["route"] == "other"
    await on_call.told("ErrorBudgetBurning", "firing")
    told = {
        (alert["labels"]["alertname"], alert["labels"]["route"], alert["labels"]["severity"]) for _, message in on_call.messages for alert in message["alerts"]
    }
    assert told == {("UpstreamUnreachable", "fraud", "page"), ("ModelDataDrift", "other", "page"), ("ErrorBudgetBurning", "other", "page")}
    assert silenced <= {("ModelDataDrift", "fraud", "page"), ("ErrorBudgetBurning", "other", "ticket")}
