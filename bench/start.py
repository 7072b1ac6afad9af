"""What the time from the start of `driftline runtime` to its first reply is made of: `python -m bench.start`.

The whole is measured as `bench.runtime` measures it: from the start of the command to the reply to the first request, all processes on one core. The parts are measured in
processes of their own: what starts, what is imported in the order in which the runtime's process imports it, and loading and verifying the model. The rest is what is left.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.processes import PROXY_CORES, BenchmarkError, exit_on_sigterm, free_port, running
from bench.report import machine_sentence, markdown_table, write_json
from bench.runtime import first_reply
from bench.runtime_models import write_models

PROMISED_SECONDS: Final = 1.0

_PARTS: Final = """
import json, sys, time
marks = {}
def mark(name, began):
    marks[name] = time.perf_counter() - began
began = time.perf_counter(); import numpy; mark("runtime: import NumPy", began)
began = time.perf_counter(); import onnxruntime; mark("runtime: import ONNX Runtime", began)
began = time.perf_counter(); import driftline.runtime; mark("runtime: import Driftline, uvloop, orjson, msgspec", began)
from pathlib import Path
from config.choices import Device
from runtime.repository import Repository
from runtime.verification import verify
began = time.perf_counter(); verify(Repository(Path(sys.argv[1])).read("m", 1), Device.CPU); mark("runtime: load and verify the model", began)
print(json.dumps(marks))
"""


class Figures(msgspec.Struct, frozen=True):
    """Seconds, medians."""

    whole: float
    parts: dict[str, float]
    """In order; what else there is of the whole is no part of them."""


def main() -> int:
    """Measure and print."""
    arguments = _parse()
    exit_on_sigterm()
    try:
        figures = measure(arguments.rounds)
    except BenchmarkError as error:
        print(f"bench.start: {error}", file=sys.stderr)
        return 1
    print(f"{machine_sentence()}.\n\n{report(figures)}")
    if arguments.json:
        write_json(arguments.json, {"figures": msgspec.to_builtins(figures)})
    return 0


def measure(rounds: int) -> Figures:
    """Start it all so many times, the whole and the parts in turns."""
    wholes: list[float] = []
    parts: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="driftline-bench-") as name:
        directory = Path(name)
        version = directory / "models" / "m" / "1"
        version.mkdir(parents=True)
        write_models(directory)["tiny"].rename(version / "model.onnx")
        for _ in range(rounds):
            wholes.append(_whole(directory))
            parts.append(_parts(directory))
    return Figures(statistics.median(wholes), {part: statistics.median(each[part] for each in parts) for part in parts[0]})


def report(figures: Figures) -> str:
    """Return the figures as Markdown, and how they stand to what is promised."""
    rest = figures.whole - sum(figures.parts.values())
    rows = [
        *figures.parts.items(),
        ("the rest: processes that wait for each other, sockets, the request", rest),
        ("from the command to the first reply", figures.whole),
    ]
    table = markdown_table(("part", "ms", "share"), [(part, f"{1e3 * seconds:.0f}", f"{seconds / figures.whole:.0%}") for part, seconds in rows])
    verdict = "kept" if figures.whole < PROMISED_SECONDS else "NOT kept"
    return f"{table}\n\n- first reply {figures.whole:.2f} s after the start (promised: under {PROMISED_SECONDS:g}), {verdict}"


def _whole(directory: Path) -> float:
    port = free_port()
    command = [sys.executable, "-m", "driftline", "runtime", "--models", str(directory / "models"), "--listen", f"127.0.0.1:{port}", "--device", "cpu"]
    began = time.monotonic()
    with running("driftline", command, port=port, cores=PROXY_CORES[:1], log=directory / "log"):
        return first_reply(port, began)


def _parts(directory: Path) -> dict[str, float]:
    interpreter, _ = _timed(["-c", "pass"])
    supervisor, _ = _timed(["-c", "import driftline.cli, driftline.commands.runtime"])
    _, printed = _timed(["-c", _PARTS, str(directory / "models")])
    return {"two interpreters": 2 * interpreter, "supervisor: imports": supervisor - interpreter, **json.loads(printed)}


def _timed(arguments: Sequence[str]) -> tuple[float, str]:
    """Run Python on the core of the benchmark; return how many seconds that took, and what it printed."""
    command = ["taskset", "--cpu-list", str(PROXY_CORES[0]), sys.executable, *arguments]
    began = time.monotonic()
    finished = subprocess.run(command, check=False, capture_output=True, text=True)
    if finished.returncode:
        raise BenchmarkError(f"a part could not be measured: {finished.stderr[-2000:]}")
    return time.monotonic() - began, finished.stdout


def _parse() -> Any:
    parser = argparse.ArgumentParser(prog="bench.start", description="What the time to the runtime's first reply is made of.")
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="how often each is measured (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
