"""Every query of every dashboard, on what a running service left in a real Prometheus and a real store: none fails, and no panel is empty."""

import asyncio
import json
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession, web

from alerts.prometheus.rules import rules_file
from config.load import load
from tests.proxy.certificates import Authority

from .conftest import DRIFTLINE
from .programs import free_port

pytestmark = [
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed: apt-get install prometheus"),
    pytest.mark.timeout(240),
]

SETTINGS = """
proxy: {{tls: {{certificate: "{certificate}", key: "{key}"}}}}
routes:
- {{name: fraud, path: /v2, model: fraud, version: "3", upstream: "{upstream}", health: {{path: /v2/health/ready, interval: 1s, timeout: 1s}},
   slo: {{latency: 250ms}}, shadows: [{{name: candidate, url: "{upstream}/candidate"}}]}}
- {{name: chat, path: /v1, upstream: "{upstream}"}}
- {{name: down, path: /down, upstream: "http://127.0.0.1:9"}}
drift: {{budget: 1 per 20 windows, window_rows: 200, window_min_rows: 100, baseline_rows: 1000}}
labels: {{baseline_rows: 500}}
"""
MAY_BE_EMPTY = {"Missing"}  # no row of the traffic below lacks a value
SCRAPE_SECONDS = 1
USAGE = {"prompt_tokens": 12, "completion_tokens": 34, "total_tokens": 46}


async def infer(request: web.Request) -> web.Response:
    asked = await request.json()
    rows = asked["inputs"][0]["shape"][0]
    shadow = request.path.startswith("/candidate")
    if shadow and asked.get("id") == "odd":
        return web.json_response({"error": "no"}, status=500)
    outputs = [{"name": "score", "shape": [rows], "datatype": "FP64", "data": [0.5 + 0.1 * shadow * (row % 2) for row in range(rows)]}]
    return web.json_response({"model_name": "fraud", "outputs": outputs})


async def chat(request: web.Request) -> web.StreamResponse:
    if not (await request.json()).get("stream"):
        return web.json_response({"object": "chat.completion", "model": "tiny", "choices": [{"message": {"content": "hi"}}], "usage": USAGE})
    reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await reply.prepare(request)
    for event in ({"model": "tiny", "choices": [{"delta": {"content": "h"}}]}, {"model": "tiny", "choices": [], "usage": USAGE}):
        await reply.write(b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n")
        await asyncio.sleep(0.01)
    await reply.write(b"data: [DONE]\n\n")
    return reply


async def healthy(_: web.Request) -> web.Response:
    return web.Response()


@pytest.fixture
async def models() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v2/models/fraud/infer", infer)
    app.router.add_post("/candidate/v2/models/fraud/infer", infer)
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_get("/v2/health/ready", healthy)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield "http://{}:{}".format(*runner.addresses[0])
    await runner.cleanup()


def table(generator: np.random.Generator, shift: float, identifier: str) -> dict[str, Any]:
    numbers = generator.normal([shift, 0.0], size=(100, 2)).ravel().tolist()
    cities = generator.choice(["Berlin", "Lyon", "Oslo"], size=100).tolist()
    return {
        "id": identifier,
        "inputs": [
            {"name": "amount", "shape": [100, 2], "datatype": "FP64", "data": numbers},
            {"name": "city", "shape": [100, 1], "datatype": "BYTES", "data": cities},
        ],
    }


def boards() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in sorted(Path("grafana/dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            if panel["type"] != "row":
                yield f"{file.stem}: {panel['title']}", panel


def promql(expr: str) -> str:
    for variable, value in {"$__rate_interval": "10s", "$__range": "1m", "$job": ".*", "$route": ".*", "$arm": ".*", "$model": ".*"}.items():
        expr = expr.replace(variable, value)
    return expr


def sql(query: str) -> str:
    query = re.sub(r"\$__timeFilter\((\w+)\)", r"(\1 > now() - INTERVAL 1 HOUR AND \1 <= now() + INTERVAL 1 MINUTE)", query)
    query = re.sub(r"\$__timeInterval\((\w+)\)", r"toStartOfInterval(toDateTime(\1), INTERVAL 1 SECOND)", query)
    feature = "city" if "AS value, count()" in query else "amount[0]"
    chosen = {"feature_model:sqlstring": "'fraud'", "feature:sqlstring": f"'{feature}'", "llm:sqlstring": "'tiny'"}
    chosen |= {"prompt_price:sqlstring": "'3'", "completion_price:sqlstring": "'15'", "model:regex": ".*", "route:regex": ".*"}
    for name, value in chosen.items():
        query = query.replace(f"${{{name}}}", value)
    return query


async def test_no_query_fails_and_no_panel_is_empty(tmp_path: Path, up, models: str, programs) -> None:
    pair = Authority(tmp_path).issue("served", "/CN=localhost")
    config = tmp_path / "driftline.yaml"
    config.write_text(SETTINGS.format(upstream=models, certificate=pair.certificate, key=pair.key))
    service = await up("--config", str(config), "--alert-webhook", f"{models}/nobody")
    prometheus = free_port()
    await programs.prometheus(prometheus, service.admin_port, rules_file(load(config)), SCRAPE_SECONDS)
    await traffic(service)
    await service.settled_counts()
    await asyncio.sleep(4 * SCRAPE_SECONDS)
    empty, failed = [], []
    while not await selected(service, "SELECT name FROM alerts", "the alert", failed):  # results are stored when features are
        await asyncio.sleep(0.5)
    async with ClientSession() as session:
        for name, panel in boards():
            found = 0
            for target in panel["targets"]:
                if "expr" in target:
                    parameters = {"query": promql(target["expr"]), "time": str(time.time())}
                    async with session.get(f"http://127.0.0.1:{prometheus}/api/v1/query", params=parameters) as reply:
                        answer = await reply.json()
                    rows = answer["data"]["result"] if answer["status"] == "success" else failed.append(f"{name}: {answer['error']}") or []
                else:
                    rows = await selected(service, sql(target["rawSql"]), name, failed)
                found += len(rows)
            if not found:
                empty.append(name)
    assert failed == []
    assert {name.partition(": ")[2] for name in empty} <= MAY_BE_EMPTY, empty


async def selected(service: Any, query: str, name: str, failed: list[str]) -> list[str]:
    command = [str(DRIFTLINE), "sql", "--data-dir", str(service.data_dir), "--format", "JSONEachRow", query]
    finished = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
    if finished.returncode:
        failed.append(f"{name}: {finished.stderr}")
    return finished.stdout.splitlines()


async def traffic(service: Any) -> None:
    """Send what drifts, fails, streams and is labelled."""
    generator = np.random.default_rng(1)
    base = service.url.replace("http://", "https://")
    async with ClientSession() as session:

        async def post(path: str, body: dict[str, Any], **headers: str) -> None:
            async with session.post(base + path, json=body, headers=headers, ssl=False) as reply:
                await reply.read()

        for number in range(60):
            shift = 0.0 if number < 20 else 1.5
            await post("/v2/models/fraud/infer", table(generator, shift, "odd" if number % 10 == 9 else "even"), **{"X-Request-Id": f"r{number}"})
            await post("/v1/chat/completions", {"model": "tiny", "messages": [], "stream": bool(number % 2)})
            await post("/down", {})
            await asyncio.sleep(0.1)
        await post("/v2/models/fraud/nothing", {"odd": True})
        await service.settled_counts()
        labels = [{"request_id": f"r{number}", "row": row, "label": 0.5} for number in range(60) for row in range(20)]
        async with session.post(f"{service.admin}/api/v1/labels", json=labels) as reply:
            assert reply.status < 300, await reply.text()
