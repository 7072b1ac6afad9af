"""From the close of the window whose evidence passes the budget to the page at the webhook: `python -m bench.page_time`.

Nothing is simulated: `driftline up`, Prometheus and Alertmanager run with the rules and routes that Driftline makes, at the intervals of
`deploy/compose/prometheus.yaml`. Each model is an alert of its own, and begins to drift at a random moment, so at any phase of scrapes and evaluations.
Ends with status 1 if a page came later than promised.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import yaml
from aiohttp import ClientError, ClientSession, web

from alerts.prometheus.routes import routes_file
from alerts.prometheus.rules import rules_file
from bench.processes import CORES, BenchmarkError, exit_on_sigterm, free_port, running
from bench.report import machine_sentence, markdown_table, write_json
from config.load import load
from console.api import WINDOWS_AT_MOST

PROMISED_SECONDS = 30.0
_INTERVALS = Path(__file__).parents[1] / "deploy/compose/prometheus.yaml"
_ROWS = 200
_BASELINE_REQUESTS = 10
_PAUSE_SECONDS = 0.3
_PATIENCE_SECONDS = 180.0
_REPLY = b'{"model_name":"m","outputs":[{"name":"y","shape":[1],"datatype":"FP64","data":[0.5]}]}'


class Paged(msgspec.Struct, frozen=True):
    """What one model's page took since the window closed."""

    fired_seconds: float
    """Until the evaluation of Prometheus in which the alert began to fire."""
    paged_seconds: float
    """Until the webhook had the page."""


class Figures(msgspec.Struct, frozen=True):
    """All that was measured."""

    interval_seconds: float
    """Between two scrapes, and between two evaluations."""
    pages: list[Paged]


class Hook:
    """Who is on call."""

    def __init__(self) -> None:
        self.told: dict[str, asyncio.Future[tuple[float, datetime]]] = {}
        """By model: when the page came, and since when Prometheus has the alert firing."""

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Take a message in the form of Alertmanager's webhook."""
        now = time.time()
        for alert in (await request.json())["alerts"]:
            told = self.told.get(alert["labels"].get("model", ""))
            if told and not told.done() and (alert["labels"]["alertname"], alert["status"]) == ("ModelDataDrift", "firing"):
                told.set_result((now, datetime.fromisoformat(alert["startsAt"])))
        return web.Response()


async def measure(directory: Path, models: int) -> Figures:
    """Let each of the models drift once."""
    intervals = yaml.safe_load(_INTERVALS.read_text())["global"]
    names = [f"m{number}" for number in range(models)]
    hook = Hook()
    async with _served(_model) as upstream, _served(hook.answer) as pager, ClientSession() as session:
        with ExitStack() as stack:
            url, admin = _start(stack, directory, names, upstream, pager, intervals)
            await _ready(session, admin)
            seconds = float(intervals["scrape_interval"].removesuffix("s"))
            pages = await asyncio.gather(*(_page(session, hook, url, admin, name, seconds) for name in names))
    return Figures(seconds, pages)


def _start(stack: ExitStack, directory: Path, names: Sequence[str], upstream: str, pager: str, intervals: dict[str, str]) -> tuple[str, str]:
    """Start Driftline, Alertmanager and Prometheus; return the addresses of Driftline."""
    port, admin, manager, prometheus = (free_port() for _ in range(4))
    file = directory / "driftline.yaml"
    content = {
        "data_dir": str(directory / "data"),
        "admin": f"127.0.0.1:{admin}",
        "proxy": {"listen": f"127.0.0.1:{port}"},
        "routes": [{"name": name, "path": f"/{name}", "model": name, "upstream": upstream} for name in names],
        "drift": {"budget": "1 per 50 windows", "window_rows": _ROWS, "window_min_rows": _ROWS // 2, "baseline_rows": _BASELINE_REQUESTS * _ROWS},
        "alerts": {"told_by": "alertmanager", "receivers": [{"name": "on-call", "webhook": pager}]},
    }
    file.write_text(yaml.safe_dump(content))
    settings = load(file)
    (directory / "rules.yaml").write_text(rules_file(settings))
    (directory / "routes.yaml").write_text(routes_file(settings))
    scraped = {
        "global": intervals,
        "rule_files": ["rules.yaml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{manager}"]}]}]},
        "scrape_configs": [{"job_name": "driftline", "static_configs": [{"targets": [f"127.0.0.1:{admin}"]}]}],
    }
    (directory / "prometheus.yaml").write_text(yaml.safe_dump(scraped))
    commands = {
        ("driftline", port): [str(Path(sys.executable).with_name("driftline")), "up", "--config", str(file)],
        ("prometheus-alertmanager", manager): [
            *("prometheus-alertmanager", f"--config.file={directory / 'routes.yaml'}", f"--storage.path={directory / 'alertmanager'}"),
            *(f"--web.listen-address=127.0.0.1:{manager}", "--cluster.listen-address="),
        ],
        ("prometheus", prometheus): [
            *("prometheus", f"--config.file={directory / 'prometheus.yaml'}", f"--storage.tsdb.path={directory / 'prometheus'}"),
            f"--web.listen-address=127.0.0.1:{prometheus}",
        ],
    }
    for (name, listens), command in commands.items():
        stack.enter_context(running(name, command, port=listens, cores=CORES, log=directory / f"{name}.log"))
    return f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}"


async def _page(session: ClientSession, hook: Hook, url: str, admin: str, name: str, interval_seconds: float) -> Paged:
    """Send what is usual, then what is not until the page is there; return how long it took."""
    generator = np.random.default_rng(int(name[1:]))
    told = hook.told[name] = asyncio.get_running_loop().create_future()
    for _ in range(2 * _BASELINE_REQUESTS):
        await _send(session, f"{url}/{name}", generator, 0.0)
    await asyncio.sleep(random.uniform(interval_seconds, 3 * interval_seconds))
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not told.done():
        if time.monotonic() > deadline:
            raise BenchmarkError(f"nobody was told of {name} within {_PATIENCE_SECONDS:.0f} s")
        await _send(session, f"{url}/{name}", generator, 1.0)
        await asyncio.sleep(_PAUSE_SECONDS)
    paged_at, firing_since = told.result()
    closed_at = await _passed_at(session, admin, name)
    return Paged(firing_since.timestamp() - closed_at, paged_at - closed_at)


async def _passed_at(session: ClientSession, admin: str, name: str) -> float:
    """Return when the first window closed with enough evidence."""
    async with session.get(f"{admin}/api/v1/models/{name}/windows", params={"limit": WINDOWS_AT_MOST}) as reply:
        windows = (await reply.json())["windows"]
    first = min(window["closed_at"] for window in windows if window["state"] == "firing")
    return datetime.fromisoformat(first).replace(tzinfo=UTC).timestamp()


async def _send(session: ClientSession, url: str, generator: np.random.Generator, shift: float) -> None:
    values = generator.normal([shift, 0.0, 0.0], size=(_ROWS, 3)).ravel().tolist()
    body = json.dumps({"inputs": [{"name": "x", "shape": [_ROWS, 3], "datatype": "FP64", "data": values}]}).encode()
    async with session.post(f"{url}/v2/models/m/infer", data=body, headers={"Content-Type": "application/json"}) as reply:
        if reply.status != 200:
            raise BenchmarkError(f"a request was answered {reply.status}: {await reply.text()}")


async def _model(_: web.BaseRequest) -> web.Response:
    return web.Response(body=_REPLY, content_type="application/json")


async def _ready(session: ClientSession, admin: str) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not await _is_ready(session, admin):  # noqa: ASYNC110 - another process gets ready
            await asyncio.sleep(0.1)


async def _is_ready(session: ClientSession, admin: str) -> bool:
    try:
        async with session.get(f"{admin}/readyz") as reply:
            return reply.status == 200
    except ClientError:
        return False


@asynccontextmanager
async def _served(answer: Any) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield "http://{}:{}".format(*runner.addresses[0])
    await runner.cleanup()


def report(figures: Figures) -> str:
    """Return the figures as Markdown, with whether the promise was kept."""
    stages = {
        "Prometheus has the alert firing": [page.fired_seconds for page in figures.pages],
        "the page is at the webhook": [page.paged_seconds for page in figures.pages],
    }
    rows = [(until, *(f"{value:.1f}" for value in (min(taken), statistics.median(taken), max(taken)))) for until, taken in stages.items()]
    table = markdown_table(("from the window's close until", "shortest s", "median s", "longest s"), rows)
    kept = "kept" if is_kept(figures) else "NOT kept"
    return (
        f"{len(figures.pages)} models, a scrape and an evaluation each {figures.interval_seconds:g} s:\n\n{table}\n\n"
        f"- the latest page came after {max(stages['the page is at the webhook']):.1f} s (promised: within {PROMISED_SECONDS:.0f}), {kept}"
    )


def is_kept(figures: Figures) -> bool:
    """Return whether every page came in time."""
    return all(page.paged_seconds <= PROMISED_SECONDS for page in figures.pages)


def main() -> int:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(prog="bench.page_time", description="From a window's close to the page, through Prometheus and Alertmanager.")
    parser.add_argument("--models", type=int, default=20, metavar="N", help="how many drift, each once (default: 20)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    arguments: Any = parser.parse_args()
    exit_on_sigterm()
    try:
        with tempfile.TemporaryDirectory(prefix="driftline-page-time-") as directory:
            figures = asyncio.run(measure(Path(directory), arguments.models))
    except BenchmarkError as error:
        print(f"bench.page_time: {error}", file=sys.stderr)
        return 1
    print(f"{machine_sentence()}\n\n{report(figures)}")
    if arguments.json:
        write_json(arguments.json, {"figures": msgspec.to_builtins(figures)})
    return 0 if is_kept(figures) else 1


if __name__ == "__main__":
    sys.exit(main())
