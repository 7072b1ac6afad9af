"""Start everything: first what a user has already (two services), then Driftline by the commands that a user would type.

Files are named relative to the run's directory, in which every process works.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp
import numpy as np

from driftline.demo import measurements, models
from driftline.demo.measurements import Measurements, Rows
from driftline.demo.plan import Plan, make_plan
from driftline.demo.processes import DRIFTLINE, Child, child
from driftline.demo.screen import Screen
from driftline.demo.traffic import Traffic, measure_capacity
from driftline.demo.watch import Watch
from driftline.demo.webhook import Webhook
from driftline.demo.workspace import DATA

MODEL: Final = "tumour"
"""The model's name in URLs, records, metrics and alerts."""
_BASELINE: Final = "baseline.json"
_BASELINE_TABLE: Final = "baseline.parquet"
_BASELINE_ROWS: Final = 20_000
_BASELINE_SEED: Final = 1
_TRAFFIC_SEED: Final = 2


class Parts(NamedTuple):
    """What runs, and how to reach it."""

    directory: Path
    traffic: Traffic
    webhook: Webhook
    watch: Watch
    driftline: Child
    challenger_stats_url: str


async def start(stack: AsyncExitStack, directory: Path, duration_seconds: float, screen: Screen) -> Parts:
    """Start all parts in an empty directory; `stack` stops them, last first."""
    screen.step("training a model and its challenger")
    data = await asyncio.to_thread(_prepare, directory)
    screen.step("starting an inference service for each")
    service_url = await _start_service(stack, "served", directory)
    challenger_url = await _start_service(stack, "challenger", directory)
    plan = make_plan(duration_seconds, await measure_capacity(_infer_url(service_url), data.pool))
    screen.step("making the baseline: driftline baseline")
    await _make_baseline(directory)
    screen.step("putting Driftline in front: driftline up")
    webhook = await stack.enter_async_context(Webhook())
    options = ["--upstream", service_url, "--shadow", challenger_url, "--alert-webhook", webhook.url]
    driftline, proxy_url, admin_url = await _start_driftline(stack, directory, plan.window_rows, options)
    watch = Watch(await stack.enter_async_context(aiohttp.ClientSession()), admin_url)
    traffic = Traffic(plan, _rows(data, plan), proxy_url=_infer_url(proxy_url), service_url=_infer_url(service_url))
    return Parts(directory, traffic, webhook, watch, driftline, f"{challenger_url}/v2/models/{MODEL}/stats")


def _prepare(directory: Path) -> Measurements:
    """Write both models and the rows from which the baseline is made."""
    data = measurements.load()
    models.export_served(data, directory / _onnx("served"))
    models.export_challenger(data, directory / _onnx("challenger"))
    measurements.write_table(measurements.resample(data.pool, _BASELINE_ROWS, _BASELINE_SEED), data.names, directory / _BASELINE_TABLE)
    return data


def _rows(data: Measurements, plan: Plan) -> Rows:
    """Return the traffic's rows, shape [plan.requests, 30]: drawn as the baseline's were, but for the miscalibrated ones."""
    rows = measurements.resample(data.pool, plan.requests, _TRAFFIC_SEED)
    return np.concatenate([rows[: plan.drift_at], measurements.miscalibrate(rows[plan.drift_at :], data.names)])


async def _start_service(stack: AsyncExitStack, name: str, directory: Path) -> str:
    """Return the URL of a service for one of the models, in a process of its own."""
    command = [sys.executable, "-m", "driftline.demo.service", "--model", _onnx(name), "--name", MODEL]
    service = await stack.enter_async_context(child(name, command, directory))
    return (await service.says(r"(?m)^(http://\S+)$"))[1]


async def _make_baseline(directory: Path) -> None:
    command = [DRIFTLINE, "baseline", "--model", MODEL, "--from", _BASELINE_TABLE, "--out", _BASELINE]
    async with child("baseline", command, directory) as making:
        await making.succeed()


async def _start_driftline(stack: AsyncExitStack, directory: Path, window_rows: int, options: Sequence[str]) -> tuple[Child, str, str]:
    """Return the process, where its clients connect, and its admin address. It takes free ports, and says which when it is ready."""
    (directory / "driftline.yaml").write_text(f"drift:\n  window_rows: {window_rows}\n")
    command = [
        *(DRIFTLINE, "up", "--config", "driftline.yaml", "--data-dir", DATA, "--baseline", _BASELINE),
        *("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"),
        *options,
    ]
    driftline = await stack.enter_async_context(child("driftline", command, directory))
    said = await driftline.says(r"listening on (http://\S+) .*admin on (http://[^\s;]+)")
    return driftline, said[1], said[2]


def _infer_url(service_url: str) -> str:
    return f"{service_url}/v2/models/{MODEL}/infer"


def _onnx(name: str) -> str:
    return f"{name}.onnx"
