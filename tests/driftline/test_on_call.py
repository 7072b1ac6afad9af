"""From the record to the pager, all of it real: a service that drifts, Prometheus, Alertmanager, and the webhook of who is on call."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession

from alerts.prometheus.routes import routes_file
from alerts.prometheus.rules import rules_file
from config.load import load

from .programs import drifting_rows, free_port

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


async def test_drift_pages_who_is_on_call_and_its_end_is_told(tmp_path: Path, up, upstream, hook, programs) -> None:
    on_call, hook_url = hook
    config = tmp_path / "driftline.yaml"
    config.write_text(SETTINGS.format(upstream=upstream.url, hook=hook_url) + "  told_by: alertmanager\n")
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
                async with session.post(f"{service.url}/v2/models/fraud/infer", data=drifting_rows(generator, shift), headers=headers) as reply:
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
    async with session.get(f"{admin}/api/v1/models/fraud/windows?limit=500") as reply:
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


async def test_without_prometheus_the_monitor_tells_by_itself_and_hands_over(tmp_path: Path, up, upstream, hook, programs, driftline) -> None:
    on_call, hook_url = hook
    manager = free_port()
    config = tmp_path / "driftline.yaml"
    config.write_text(SETTINGS.format(upstream=upstream.url, hook=hook_url) + f'  alertmanagers: ["http://127.0.0.1:{manager}"]\n')
    await programs.alertmanager(manager, routes_file(load(None, {}, routes_needed=False)))
    service = await up("--config", str(config))
    generator = np.random.default_rng(1)
    async with ClientSession() as session:
        for number in range(40):
            headers = {"Content-Type": "application/json", "X-Request-Id": "r"}
            body = drifting_rows(generator, 0.0 if number < 20 else 1.0)
            async with session.post(f"{service.url}/v2/models/fraud/infer", data=body, headers=headers) as reply:
                assert reply.status == 200
        _, told = await on_call.told("ModelDataDrift", "firing", within_seconds=20)
        assert told["labels"]["team"] == "risk"
        async with asyncio.timeout(20):
            while not (known := await known_to(session, manager)):
                await asyncio.sleep(0.2)
    assert [(alert["labels"]["alertname"], alert["labels"]["team"], alert["status"]["state"]) for alert in known] == [("ModelDataDrift", "risk", "active")]
    tested = await asyncio.to_thread(driftline, "alerts", "test", "--config", str(config))
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert tested.stdout.splitlines() == [
        f"alertmanager http://127.0.0.1:{manager}: delivered",
        "on-call (page): delivered",
        "chat (page): delivered",
        "chat (ticket): delivered",
    ]
    await on_call.told("DriftlineTest", "resolved")


async def known_to(session: ClientSession, manager: int) -> list[dict[str, Any]]:
    async with session.get(f"http://127.0.0.1:{manager}/api/v2/alerts") as reply:
        found: list[dict[str, Any]] = await reply.json()
        return found


def test_a_test_says_who_was_not_reached_and_that_nobody_is_told(tmp_path: Path, driftline) -> None:
    alone = driftline("alerts", "test")
    assert (alone.returncode, alone.stdout) == (1, "")
    assert "nobody is told" in alone.stderr
    config = tmp_path / "driftline.yaml"
    config.write_text('alerts: {receivers: [{name: on-call, webhook: "http://127.0.0.1:9/hook"}, {name: pager, pagerduty: /no/such/file}]}\n')
    failed = driftline("alerts", "test", "--config", str(config))
    assert failed.returncode == 1
    assert "on-call (page): the webhook cannot be reached" in failed.stdout
    assert "pager (ticket): the secret of pager cannot be read" in failed.stdout
