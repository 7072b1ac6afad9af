"""What injecting costs: a pod's review at the webhook, over TLS; and the data plane's container, idle. `python -m bench.injection`."""

from __future__ import annotations

import argparse
import asyncio
import copy
import datetime as dt
import json
import ssl
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import ClientSession, web

from bench.processes import CORES, Group, free_port, proportional_bytes
from bench.report import machine_sentence, markdown_table, write_json
from config.settings import InjectorSettings
from injection.certificates import context_of, make_pair
from injection.patching import Injection
from injection.server import build_app
from injection.settings_text import Base

PROMISED_MILLISECONDS: Final = 20.0
PROMISED_MEGABYTES: Final = 60.0
PROMISED_CORE_SHARE: Final = 0.01

_ROUTES: Final = "".join(
    f"- {{name: r{number}, path: /v2/models/m{number}, shadows: [{{url: 'http://candidate:8080', share: 25%}}]}}\n" for number in range(10)
)


class Reviews(msgspec.Struct, frozen=True):
    """Of one kind of pod: from the request's first byte until the reply was whole."""

    pod: str
    reviews: int
    p50_milliseconds: float
    p99_milliseconds: float


class Idle(msgspec.Struct, frozen=True):
    """The data plane's container."""

    seconds: float
    megabytes: float
    """Resident in all its processes, what they share counted once."""
    core_share: float


class Figures(msgspec.Struct, frozen=True):
    """Everything."""

    reviews: list[Reviews]
    idle: Idle


def review(annotations: dict[str, str], containers: int) -> bytes:
    """Return what the API server asks about a pod of so many containers."""
    model = {
        "name": "model",
        "image": "fraud:3",
        "ports": [{"name": "http", "containerPort": 9000, "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http", "scheme": "HTTP"}},
        "env": [{"name": f"VARIABLE_{number}", "value": "x" * 40} for number in range(30)],
    }
    others = [{**copy.deepcopy(model), "name": f"other-{number}", "ports": []} for number in range(containers - 1)]
    pod = {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"labels": {"driftline.dev/inject": "true"}, "annotations": annotations},
        "spec": {"containers": [model, *others]},
    }
    request: dict[str, Any] = {"uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "operation": "CREATE", "object": pod}
    return json.dumps({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}).encode()


PODS: Final = {
    "one container": review({}, 1),
    "ten containers, ten routes with shadows": review({"driftline.dev/routes": _ROUTES}, 10),
}


async def measure_reviews(rounds: int) -> list[Reviews]:
    pair = make_pair(["localhost"], dt.datetime.now(dt.UTC))
    runner = web.AppRunner(build_app(Injection(InjectorSettings(), Base()), lambda _counts, _accept: (b"", "text/plain")), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context_of(pair)).start()
    url = f"https://localhost:{runner.addresses[0][1]}/inject"
    trusting = ssl.create_default_context(cadata=pair.authorities.decode())
    try:
        async with ClientSession() as session:
            return [await _measure_pod(session, url, trusting, name, body, rounds) for name, body in PODS.items()]
    finally:
        await runner.cleanup()


async def _measure_pod(session: ClientSession, url: str, trusting: ssl.SSLContext, name: str, body: bytes, rounds: int) -> Reviews:
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        async with session.post(url, data=body, ssl=trusting) as reply:
            assert b'"patch"' in await reply.read()
        taken.append(1e3 * (time.perf_counter() - began))
    return Reviews(name, rounds, statistics.median(taken), statistics.quantiles(taken, n=100)[98])


def measure_idle(seconds: float) -> Idle:
    """Run what the injected container runs, let it come to rest, and look what it uses while nobody asks for anything."""
    with tempfile.TemporaryDirectory() as directory:
        port = free_port()
        told = Path(directory) / "driftline.yaml"
        told.write_text(f"data_dir: {directory}/data\nproxy: {{listen: '127.0.0.1:{port}'}}\nroutes: [{{upstream: 'http://127.0.0.1:9'}}]\n")
        group = Group("driftline proxy", [sys.executable, "-m", "driftline", "proxy", "--config", str(told)], cores=CORES, log=Path(directory) / "log")
        try:
            group.wait_until_listening(port)
            time.sleep(2)
            before, began = sum(group.cpu_ns().values()), time.monotonic()
            time.sleep(seconds)
            used, passed = sum(group.cpu_ns().values()) - before, time.monotonic() - began
            megabytes = proportional_bytes(group.processes()) / 1e6
        finally:
            group.stop()
    return Idle(passed, megabytes, used / 1e9 / passed)


def report(figures: Figures) -> str:
    rows = [(each.pod, f"{each.reviews:,}", f"{each.p50_milliseconds:.1f}", f"{each.p99_milliseconds:.1f}") for each in figures.reviews]
    worst, idle = max(each.p99_milliseconds for each in figures.reviews), figures.idle
    return "\n".join(
        [
            markdown_table(["a pod of", "reviews", "p50 ms", "p99 ms"], rows),
            "",
            f"- Injecting takes {worst:.1f} ms at p99 (promised: under {PROMISED_MILLISECONDS:.0f}), {_kept(worst < PROMISED_MILLISECONDS)}",
            f"- The data plane's container, a supervisor and a worker, has {idle.megabytes:.0f} MB resident (promised: under {PROMISED_MEGABYTES:.0f}), {_kept(idle.megabytes < PROMISED_MEGABYTES)}",
            f"- Idle, it uses {idle.core_share:.2%} of a core (promised: under {PROMISED_CORE_SHARE:.0%}), {_kept(idle.core_share < PROMISED_CORE_SHARE)}",
        ]
    )


def _kept(kept: bool) -> str:
    return "kept" if kept else "NOT kept"


def main() -> None:
    parser = argparse.ArgumentParser(description="What injecting costs.")
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    arguments = parser.parse_args()
    figures = Figures(asyncio.run(measure_reviews(arguments.rounds)), measure_idle(arguments.seconds))
    print(f"{machine_sentence()}\n\n{report(figures)}")
    if arguments.json:
        write_json(arguments.json, {"figures": msgspec.to_builtins(figures)})


if __name__ == "__main__":
    main()
