"""Driftline's runtime beside the least that serving takes and beside other servers, in one run: `python -m bench.runtime`.

Every contender serves the same ONNX file on one core and answers the same request, one row in JSON of Open Inference V2. Rounds are interleaved; the figure is the median of
the rounds. CPU is user and system time of all processes of the contender, from the kernel's clocks before and after, divided by the requests that wrk saw answered.
FastAPI is in the table where it is installed (`pip install fastapi httptools`); the other servers with `--peers DIR`, where `DIR/NAME/bin/python` is a Python that has
what the docstring of `bench/runtime_NAME.py` says: they do not go together in one environment.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import onnxruntime

from bench.load import send
from bench.processes import PROXY_CORES, BenchmarkError, Group, exit_on_sigterm, free_port, program, resident_bytes, running
from bench.report import machine_sentence, markdown_table, write_json
from bench.runtime_models import FEATURES, TITLES, write_models

TARGET = "/v2/models/m/infer"
_CONNECTIONS = (1, 32)
_ROW = ",".join(f"{0.1 * number - 1.5:.3f}" for number in range(FEATURES))
BODY = f'{{"inputs":[{{"name":"x","shape":[1,{FEATURES}],"datatype":"FP32","data":[{_ROW}]}}]}}'
_MLFLOW_TARGET, _MLFLOW_BODY = "/invocations", f'{{"inputs":[[{_ROW}]]}}'

_SERVERS = {"bentoml": "BentoML", "litserve": "LitServe", "mlflow": "MLflow models serve", "mlserver": "MLServer, in process", "ray": "Ray Serve"}
_FIRST_REPLY_SECONDS = 60.0


class Contender(NamedTuple):
    """A server, and how it is started: its directory, its port, the model's file."""

    name: str
    title: str
    command: Callable[[Path, int, Path], list[str]]
    target: str = TARGET
    body: str = BODY


class Sample(msgspec.Struct, frozen=True):
    """One contender under one load for some seconds; also the median of several."""

    cpu_us: float
    """Per request."""
    requests_per_second: float
    p50_us: float
    p99_us: float
    resident_mb: float
    """Of the process that used the most CPU, after the load; 10⁶ bytes."""
    start_seconds: float
    """Until the first reply."""
    batch_rows: float
    """Rows per run of the model; 0 where it is not known."""


class Result(msgspec.Struct, frozen=True):
    """A row of a table, with what it was made from."""

    name: str
    title: str
    model: str
    connections: int
    median: Sample
    samples: list[Sample]


class Figures(msgspec.Struct, frozen=True):
    """What a run gives."""

    results: list[Result]
    run_us: dict[str, dict[int, float]]
    """`session.run` by itself: by model, then by rows, CPU in microseconds per row."""


def contenders(environments: Path | None = None) -> list[Contender]:
    """Return all that can run here; `environments` is the directory with those of other servers."""
    peers = [_peer("fastapi", "FastAPI tuned (uvloop, httptools, orjson, no validation)")] if find_spec("fastapi") and find_spec("httptools") else []
    return [
        _peer("floor", "floor: bare protocol, orjson, session.run"),
        Contender("floor-without-run", "the same without session.run", lambda _room, port, model: [*_module("floor", port, model), "--without-run"]),
        Contender("driftline", "Driftline", _driftline),
        Contender("driftline-unbatched", "Driftline, batching turned off", _driftline_unbatched),
        _peer("aiohttp", "aiohttp, uvloop"),
        *peers,
        *(_server(environments, name) for name in _SERVERS if environments and (environments / name / "bin" / "python").exists()),
    ]


def main() -> int:
    """Run the comparison and print it."""
    arguments = _parse()
    exit_on_sigterm()
    try:
        program("wrk", "wrk")
        chosen = _choose(arguments.only, arguments.peers)
        print(f"{machine_sentence()}.", flush=True)
        print(_conditions(arguments), flush=True)
        figures = compare(chosen, arguments.model, rounds=arguments.rounds, seconds=arguments.seconds)
    except BenchmarkError as error:
        print(f"bench.runtime: {error}", file=sys.stderr)
        return 1
    print("\n" + report(figures))
    if arguments.json:
        write_json(arguments.json, {"conditions": _conditions(arguments), "figures": msgspec.to_builtins(figures, str_keys=True)})
    return 0


def compare(chosen: Sequence[Contender], models: Sequence[str], *, rounds: int, seconds: int) -> Figures:
    """Measure the contenders in turn, round after round."""
    samples: dict[tuple[str, str, int], list[Sample]] = {}
    with tempfile.TemporaryDirectory(prefix="driftline-bench-") as directory:
        files = write_models(Path(directory))
        for number in range(rounds):
            for model in models:
                for contender in chosen:
                    print(f"round {number + 1} of {rounds}: {model}: {contender.title}", file=sys.stderr, flush=True)
                    for connections, sample in _measure(contender, files[model], Path(directory), seconds):
                        samples.setdefault((contender.name, model, connections), []).append(sample)
        run_us = {model: {rows: _run_us(files[model], rows) for rows in (1, 2, 4, 8, 16, 32)} for model in models}
    titles = {contender.name: contender.title for contender in chosen}
    return Figures([Result(name, titles[name], model, count, _median(each), each) for (name, model, count), each in samples.items()], run_us)


def report(figures: Figures) -> str:
    """Return the figures as Markdown: a table for each model and number of connections, then how they stand to what is promised."""
    tables = [_table(figures, model, count) for model in figures.run_us for count in _CONNECTIONS]
    return "\n\n".join([*tables, "\n".join(f"- {line}" for line in _promises(figures))])


def _measure(contender: Contender, model: Path, directory: Path, seconds: int) -> Iterator[tuple[int, Sample]]:
    with tempfile.TemporaryDirectory(prefix=contender.name, dir=directory) as room_name:
        room, port = Path(room_name), free_port()
        began = time.monotonic()
        with running(contender.title, contender.command(room, port, model), port=port, cores=PROXY_CORES[:1], log=room / "log") as group:
            start_seconds = first_reply(port, began, contender.target, contender.body)
            for connections in _CONNECTIONS:
                send(port, connections, contender.target, contender.body, 1, room)
                yield connections, _sample(contender, group, port, connections, seconds, room, start_seconds)


def _sample(contender: Contender, group: Group, port: int, connections: int, seconds: int, room: Path, start_seconds: float) -> Sample:
    before, rows_before = group.cpu_ns(), _rows_and_batches(contender, port)
    done = send(port, connections, contender.target, contender.body, seconds, room)
    after, rows_after = group.cpu_ns(), _rows_and_batches(contender, port)
    if done.failed or not done.requests:
        raise BenchmarkError(f"{contender.title}: {done.failed} requests failed and {done.requests} were answered; the figures would mean nothing")
    spent = {pid: after[pid] - before.get(pid, 0) for pid in after}
    rows, batches = (after - before for after, before in zip(rows_after, rows_before, strict=True))
    return Sample(
        cpu_us=sum(spent.values()) / 1e3 / done.requests,
        requests_per_second=done.requests / done.seconds,
        p50_us=done.p50_us,
        p99_us=done.p99_us,
        resident_mb=resident_bytes(max(spent, key=spent.__getitem__)) / 1e6,
        start_seconds=start_seconds,
        batch_rows=rows / batches if batches else 0.0,
    )


def first_reply(port: int, began: float, target: str = TARGET, body: str = BODY) -> float:
    """Return the seconds from `began` to the first reply; that the port listens does not say that the model is loaded."""
    while not (received := _reply(port, target, body.encode())).startswith(b"HTTP/1.1 200"):  # some answer 503 until the model is loaded
        if time.monotonic() - began > _FIRST_REPLY_SECONDS:
            raise BenchmarkError(f"the first reply of the server on port {port} is {received[:100]!r}")
        time.sleep(0.01)
    return time.monotonic() - began


def _reply(port: int, target: str, body: bytes) -> bytes:
    head = f"POST {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", port), timeout=_FIRST_REPLY_SECONDS) as client:
        client.sendall(head + body)  # in one piece: the floor takes each read for one whole request
        return client.recv(65_536)


def _rows_and_batches(contender: Contender, port: int) -> tuple[float, float]:
    if not contender.name.startswith("driftline"):
        return 0.0, 0.0
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as reply:
        lines = dict(line.rsplit(" ", 1) for line in reply.read().decode().splitlines() if not line.startswith("#"))
    return tuple(float(lines[f'driftline_runtime_{name}_total{{model="m",version="1"}}']) for name in ("rows", "batches"))  # type: ignore[return-value]


def _run_us(model: Path, rows: int) -> float:
    """Return what `session.run` takes per row, by itself: the least of several rounds."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    names, feed = [output.name for output in session.get_outputs()], {"x": np.zeros((rows, FEATURES), np.float32)}
    best = float("inf")
    for _ in range(10):
        began = time.process_time_ns()
        for _ in range(300):
            session.run(names, feed)
        best = min(best, (time.process_time_ns() - began) / 300)
    return best / 1e3 / rows


def _median(samples: list[Sample]) -> Sample:
    return Sample(**{field: statistics.median(getattr(sample, field) for sample in samples) for field in Sample.__struct_fields__})


def _table(figures: Figures, model: str, connections: int) -> str:
    heads = ("server", "CPU µs per request", "to the floor", "requests/s", "p50 µs", "p99 µs", "resident MB", "first reply s", "rows per run")
    rows = [
        (
            result.title,
            f"{result.median.cpu_us:.1f}",
            _times(figures, result.name, model, connections),
            f"{result.median.requests_per_second:,.0f}",
            f"{result.median.p50_us:.0f}",
            f"{result.median.p99_us:.0f}",
            f"{result.median.resident_mb:.0f}",
            f"{result.median.start_seconds:.2f}",
            f"{result.median.batch_rows:.1f}" if result.median.batch_rows else "",
        )
        for result in figures.results
        if (result.model, result.connections) == (model, connections)
    ]
    return f"{TITLES[model]}, {connections} connection{'s' if connections > 1 else ''}:\n\n{markdown_table(heads, rows)}"


def _promises(figures: Figures) -> Iterator[str]:
    """Say how the figures stand to what the project promises; nothing where they were not measured."""
    for connections, limit in ((32, 1.6), (1, 2.0)):
        ratio = _ratio(figures, "driftline", "floor", "tiny", connections)
        if ratio is not None:
            yield f"tiny model, {connections} connections: {ratio:.2f} times the CPU of the floor (promised: at most {limit}), {_verdict(ratio <= limit)}"
    yield from _peer_promises(figures)
    cost = _batching_us(figures, "tiny")
    if cost is not None:
        yield f"tiny model, 32 connections: {cost:.1f} µs per row beyond HTTP, JSON and `session.run` (promised: at most 5), {_verdict(cost <= 5)}"
    saved = _ratio(figures, "driftline", "driftline-unbatched", "mlp", 32)
    if saved is not None:
        yield f"MLP, 32 connections: with batching {saved:.2f} times the CPU per row without (promised: less), {_verdict(saved < 1)}"
    ours = [result.median for result in figures.results if result.name == "driftline" and result.model == "tiny"]
    if ours:
        resident, start = max(each.resident_mb for each in ours), max(each.start_seconds for each in ours)
        yield f"tiny model: {resident:.0f} MB resident (promised: under 100), {_verdict(resident < 100)}"
        yield f"tiny model: first reply {start:.2f} s after the start (promised: under 1), {_verdict(start < 1)}"


def _peer_promises(figures: Figures) -> Iterator[str]:
    """Each peer's cost, throughput and latency in terms of ours; promised is three times or better in all of them."""
    for model in figures.run_us:
        for connections in _CONNECTIONS:
            by_name = {result.name: result.median for result in figures.results if (result.model, result.connections) == (model, connections)}
            ours, floor = by_name.get("driftline"), by_name.get("floor")
            for name in ("aiohttp", "fastapi", *_SERVERS):
                theirs = by_name.get(name)
                if ours is not None and theirs is not None:
                    ahead = _ahead(ours, theirs)
                    cpu, throughput, latency = (f"{ratio:.1f}" for ratio in ahead)
                    yield (
                        f"{model}, {connections} connection{'s' if connections > 1 else ''}: {name} takes {cpu} times the CPU and {latency} times the p50, Driftline "
                        f"answers {throughput} times as many (promised: 3 each), {_verdict(min(ahead) >= 3)}{_bound(floor, theirs) if floor and min(ahead) < 3 else ''}"
                    )


def _ahead(ours: Sample, theirs: Sample) -> tuple[float, float, float]:
    """Return how many times better we are: CPU, throughput, latency."""
    return theirs.cpu_us / ours.cpu_us, ours.requests_per_second / theirs.requests_per_second, theirs.p50_us / ours.p50_us


def _bound(floor: Sample, theirs: Sample) -> str:
    """Say how far ahead the floor is: nobody who serves one request at a time is farther."""
    return "; the floor itself is ahead by {:.1f}, {:.1f} and {:.1f} times in CPU, throughput and p50".format(*_ahead(floor, theirs))


def _batching_us(figures: Figures, model: str) -> float | None:
    """What is left of the CPU per row without HTTP and JSON, as the floor has them, and without `session.run` at the batches that there were."""
    by_name = {result.name: result.median for result in figures.results if (result.model, result.connections) == (model, 32)}
    if not {"driftline", "floor-without-run"} <= by_name.keys():
        return None
    ours = by_name["driftline"]
    rows = max(known for known in figures.run_us[model] if known <= max(1.0, ours.batch_rows))
    return ours.cpu_us - by_name["floor-without-run"].cpu_us - figures.run_us[model][rows]


def _ratio(figures: Figures, name: str, reference: str, model: str, connections: int) -> float | None:
    cpu_us = {result.name: result.median.cpu_us for result in figures.results if (result.model, result.connections) == (model, connections)}
    return cpu_us[name] / cpu_us[reference] if name in cpu_us and reference in cpu_us else None


def _times(figures: Figures, name: str, model: str, connections: int) -> str:
    ratio = _ratio(figures, name, "floor", model, connections)
    return "" if ratio is None else f"× {ratio:.2f}"


def _verdict(kept: bool) -> str:
    return "kept" if kept else "NOT kept"


def _module(name: str, port: int, model: Path) -> list[str]:
    return [sys.executable, "-m", f"bench.runtime_{name}", str(port), str(model)]


def _peer(name: str, title: str) -> Contender:
    return Contender(name, title, lambda _room, port, model: _module(name, port, model))


def _server(environments: Path, name: str) -> Contender:
    python = str(environments / name / "bin" / "python")
    target, body = (_MLFLOW_TARGET, _MLFLOW_BODY) if name == "mlflow" else (TARGET, BODY)
    return Contender(name, _SERVERS[name], lambda _room, port, model: [python, "-m", f"bench.runtime_{name}", str(port), str(model)], target, body)


def _driftline(room: Path, port: int, model: Path, settings: str = "") -> list[str]:
    version = room / "models" / "m" / "1"
    version.mkdir(parents=True)
    (version / "model.onnx").write_bytes(model.read_bytes())
    (version / "model.yaml").write_text(settings)
    return [sys.executable, "-m", "driftline", "runtime", "--models", str(room / "models"), "--listen", f"127.0.0.1:{port}"]


def _driftline_unbatched(room: Path, port: int, model: Path) -> list[str]:
    return _driftline(room, port, model, "batching: {max_rows: 1}\n")


def _choose(names: Sequence[str], environments: Path | None) -> list[Contender]:
    known = contenders(environments)
    unknown = set(names) - {each.name for each in known}
    if unknown:
        raise BenchmarkError(f"no contender is called {', '.join(sorted(unknown))}; there are {', '.join(each.name for each in known)}")
    return [each for each in known if not names or each.name in names]


def _conditions(arguments: Any) -> str:
    return f"Medians of {arguments.rounds} × {arguments.seconds} s; servers on one core, the load on another where there are two."


def _parse() -> Any:
    parser = argparse.ArgumentParser(prog="bench.runtime", description="Compare servers of ONNX models by CPU per request, throughput, latency and memory.")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often each is measured (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=5, metavar="N", help="for how long each time (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures and every sample there")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], metavar="NAME,NAME", help="measure only these contenders")
    parser.add_argument("--peers", type=Path, metavar="DIR", help=f"also the servers whose environments lie there: {', '.join(_SERVERS)}")
    parser.add_argument("--model", type=lambda text: text.split(","), default=list(TITLES), metavar="NAME,NAME", help="serve only these models")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
