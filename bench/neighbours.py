"""What a slow model costs a fast one in the same runtime: `python -m bench.neighbours`.

Both are served by one `driftline runtime` on one core. A client asks the logistic regression of `bench.runtime`, one row at a time: alone, and while two
others keep a Transformer busy whose requests take some tens of milliseconds. If models waited for each other, each reply of the fast one would
take as long as a run of the slow one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.load import Load, send
from bench.processes import PROXY_CORES, BenchmarkError, exit_on_sigterm, free_port, program, running
from bench.random_graphs import bert_base
from bench.report import machine_sentence, markdown_table, write_json
from bench.runtime import BODY, TARGET, first_reply
from bench.runtime_models import write_models

_TOKENS: Final = 128
_ROWS: Final = 8
_SLOW_CLIENTS: Final = 2
_SLOW_TARGET: Final = "/v2/models/slow/infer"


class Figures(msgspec.Struct, frozen=True):
    """Medians of some rounds."""

    alone: Load
    beside: Load
    slow: Load
    """What the slow model's own clients saw meanwhile."""


def main() -> int:
    """Measure and print it."""
    arguments = _parse()
    exit_on_sigterm()
    try:
        program("wrk", "wrk")
        print(f"{machine_sentence()}.", flush=True)
        figures = measure(rounds=arguments.rounds, seconds=arguments.seconds)
    except BenchmarkError as error:
        print(f"bench.neighbours: {error}", file=sys.stderr)
        return 1
    print("\n" + report(figures))
    if arguments.json:
        write_json(arguments.json, {"figures": msgspec.to_builtins(figures)})
    return 0


def measure(*, rounds: int, seconds: int) -> Figures:
    """Serve both and ask the fast one, alone and beside the slow one in turns."""
    with tempfile.TemporaryDirectory(prefix="driftline-bench-") as name, ThreadPoolExecutor(1) as other:
        directory = Path(name)
        _write_repository(directory)
        port = free_port()
        command = [sys.executable, "-m", "driftline", "runtime", "--models", str(directory / "models"), "--listen", f"127.0.0.1:{port}", "--device", "cpu"]
        alone, beside, slow = [], [], []
        with running("driftline", command, port=port, cores=PROXY_CORES[:1], log=directory / "log"):
            first_reply(port, time.monotonic())
            for _ in range(rounds):
                alone.append(_asked(port, seconds, directory / "fast"))
                slow_done = other.submit(send, port, _SLOW_CLIENTS, _SLOW_TARGET, _slow_body(), seconds + 1, directory / "slow")
                beside.append(_asked(port, seconds, directory / "fast"))
                slow.append(slow_done.result())
    return Figures(_median(alone), _median(beside), _median(slow))


def report(figures: Figures) -> str:
    """Return the figures as Markdown."""
    heads = ("the fast model", "requests/s", "p50 µs", "p99 µs")
    rows = [
        (title, f"{load.requests / load.seconds:,.0f}", f"{load.p50_us:.0f}", f"{load.p99_us:.0f}")
        for title, load in (("alone", figures.alone), ("beside the slow one, on the same core", figures.beside))
    ]
    slow = f"The slow one meanwhile: {figures.slow.requests / figures.slow.seconds:.1f} requests/s, p50 {figures.slow.p50_us / 1e3:,.0f} ms."
    return f"{markdown_table(heads, rows)}\n\n{slow}"


def _write_repository(directory: Path) -> None:
    for model in ("m", "slow"):
        (directory / "models" / model / "1").mkdir(parents=True)
        (directory / {"m": "fast", "slow": "slow"}[model]).mkdir()
    fast = write_models(directory)["tiny"]
    fast.rename(directory / "models" / "m" / "1" / "model.onnx")
    (directory / "models" / "slow" / "1" / "model.yaml").write_text(f"batching: {{max_rows: {_ROWS}}}\n")
    bert_base(directory / "models" / "slow" / "1" / "model.onnx", layers=4, tokens=_TOKENS, width=256, vocabulary=1000)


def _slow_body() -> str:
    tokens = [number % 1000 for number in range(_ROWS * _TOKENS)]
    return json.dumps({"inputs": [{"name": "x", "shape": [_ROWS, _TOKENS], "datatype": "INT64", "data": tokens}]})


def _asked(port: int, seconds: int, room: Path) -> Load:
    done = send(port, 1, TARGET, BODY, seconds, room)
    if done.failed or not done.requests:
        raise BenchmarkError(f"{done.failed} requests of the fast model failed and {done.requests} were answered; the figures would mean nothing")
    return done


def _median(loads: list[Load]) -> Load:
    return Load(**{field: statistics.median(getattr(load, field) for load in loads) for field in Load.__struct_fields__})


def _parse() -> Any:
    parser = argparse.ArgumentParser(prog="bench.neighbours", description="Ask a fast model alone and beside a slow one in the same runtime.")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often each is measured (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=5, metavar="N", help="for how long each time (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
