"""Driftline's data plane beside nginx, HAProxy and aiohttp, in one run: `python -m bench.proxy` (`make bench-proxy`).

Every contender forwards the same 254-byte request to the same nginx, which answers with 107 bytes. Rounds are interleaved (A B C … A B C …), each
starts every contender anew, warms it up and measures it; the figure is the median of the rounds. CPU is user and system time of all processes of the
contender, taken from the kernel before and after, divided by the requests that wrk saw answered. Absolute figures belong to the machine; the ratios travel.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bench import nginx
from bench.contenders import Contender, Place, Services, contenders
from bench.load import apply_load
from bench.processes import CORES, LOAD_CORE, PROXY_CORE, BenchmarkError, Group, exit_on_sigterm, free_port, program, resident_bytes, running
from bench.report import machine_sentence, markdown_table, write_json
from store.spool.counts import take_stock
from store.spool.state import LoaderState

_WARM_UP_SECONDS = 1


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    connections: tuple[int, ...]
    rounds: int
    seconds: int
    spool_dir: Path


class Sample(msgspec.Struct, frozen=True):
    """One contender under one load for some seconds; also the median of several."""

    cpu_us: float
    """Per request."""
    requests_per_second: float
    p50_us: float
    p99_us: float
    resident_mb: float
    """Of the process that used the most CPU, after the load; 10⁶ bytes."""
    mirrored_ratio: float
    """Copies that the shadow answered, per request."""
    captured_ratio: float
    """Records found in the spool, of those that there should be."""


class Result(msgspec.Struct, frozen=True):
    """A row of the table, with what it was made from."""

    name: str
    title: str
    connections: int
    median: Sample
    samples: list[Sample]


def main() -> int:
    """Run the comparison and print it."""
    arguments = _parse()
    exit_on_sigterm()
    try:
        chosen = _choose(arguments.only)
        plan = Plan(arguments.connections, 1 if arguments.quick else 3, 2 if arguments.quick else 5, arguments.spool_dir)
        _require_programs()
        print(f"{machine_sentence()}.\n{_conditions(plan)}", flush=True)
        results = compare(chosen, plan)
    except BenchmarkError as error:
        print(f"bench.proxy: {error}", file=sys.stderr)
        return 1
    print("\n" + report(results))
    if arguments.json:
        write_json(arguments.json, {"conditions": _conditions(plan), "results": msgspec.to_builtins(results)})
    return 0


def report(results: Sequence[Result]) -> str:
    """Return the figures as Markdown: a table for each number of connections, then how they stand to what is promised."""
    counts = sorted({result.connections for result in results})
    tables = [f"{count} connection{'s' if count > 1 else ''}:\n\n{_table(results, count)}" for count in counts]
    return "\n\n".join([*tables, "\n".join(f"- {line}" for line in _promises(results))])


def compare(chosen: Sequence[Contender], plan: Plan) -> list[Result]:
    """Measure the contenders in turn, round after round."""
    samples: dict[tuple[str, int], list[Sample]] = {}
    with tempfile.TemporaryDirectory(prefix="driftline-bench-") as directory, _services(Path(directory)) as services:
        for number in range(plan.rounds):
            for contender in chosen:
                print(f"round {number + 1} of {plan.rounds}: {contender.title}", file=sys.stderr, flush=True)
                with _started(contender, services, Path(directory), plan.spool_dir) as (group, place):
                    for connections in plan.connections:
                        sample = _measure(contender, group, place, services, connections, plan.seconds)
                        samples.setdefault((contender.name, connections), []).append(sample)
    return [_result(contender, connections, samples[contender.name, connections]) for connections in plan.connections for contender in chosen]


@contextmanager
def _services(directory: Path) -> Iterator[Services]:
    services = Services(free_port(), free_port(), free_port())
    commands = {"upstream": nginx.answering, "shadow": nginx.answering, "silent_shadow": nginx.answering_empty}
    with ExitStack() as stack:
        for name, command in commands.items():
            room, port = directory / name, getattr(services, name)
            room.mkdir()
            stack.enter_context(running(name, command(room, port), port=port, cores=[LOAD_CORE], log=room / "log"))
        yield services


@contextmanager
def _started(contender: Contender, services: Services, directory: Path, spool_dir: Path) -> Iterator[tuple[Group, Place]]:
    with (
        tempfile.TemporaryDirectory(prefix=contender.name, dir=directory) as room,
        tempfile.TemporaryDirectory(prefix="driftline-bench-spool-", dir=spool_dir) as spool,
    ):
        place = Place(Path(room), Path(spool), free_port())
        command = contender.command(place, services)
        with running(contender.title, command, port=place.port, cores=[PROXY_CORE], log=place.room / "log") as group:
            yield group, place


def _measure(contender: Contender, group: Group, place: Place, services: Services, connections: int, seconds: int) -> Sample:
    apply_load(place.port, connections, _WARM_UP_SECONDS, place.room, traced=contender.traced)
    mirrored, kept, before = _mirrored(contender, services), _kept(place.spool), group.cpu_ns()
    load = apply_load(place.port, connections, seconds, place.room, traced=contender.traced)
    after = group.cpu_ns()
    if load.failed or not load.requests:
        raise BenchmarkError(f"{contender.title}: {load.failed} requests failed and {load.requests} were answered; the figures would mean nothing")
    if before.keys() != after.keys():
        raise BenchmarkError(f"{contender.title}: a process started or ended under load; the figures would miss its time")
    spent = {pid: after[pid] - before[pid] for pid in after}
    return Sample(
        cpu_us=sum(spent.values()) / 1e3 / load.requests,
        requests_per_second=load.requests / load.seconds,
        p50_us=load.p50_us,
        p99_us=load.p99_us,
        resident_mb=resident_bytes(max(spent, key=spent.__getitem__)) / 1e6,
        mirrored_ratio=(_mirrored(contender, services) - mirrored) / load.requests,
        captured_ratio=(_kept(place.spool) - kept) / (load.requests * max(contender.records_per_request, 1)),
    )


def _mirrored(contender: Contender, services: Services) -> int:
    """Return how many requests the contender's shadow has answered, those for this count among them."""
    return nginx.requests_served(getattr(services, contender.mirrors_to)) if contender.mirrors_to else 0


def _kept(spool: Path) -> int:
    """Return how many records lie in a spool that nobody reads."""
    return take_stock(spool, LoaderState()).counts.pending


def _result(contender: Contender, connections: int, samples: list[Sample]) -> Result:
    medians = {field: statistics.median(getattr(sample, field) for sample in samples) for field in Sample.__struct_fields__}
    return Result(contender.name, contender.title, connections, Sample(**medians), samples)


def _table(results: Sequence[Result], connections: int) -> str:
    heads = ("proxy", "CPU µs per request", "to nginx", "requests/s", "p50 µs", "p99 µs", "resident MB", "mirrored", "captured")
    rows = [
        (
            result.title,
            f"{result.median.cpu_us:.1f}",
            _times(_ratio(results, result.name, "nginx", connections)),
            f"{result.median.requests_per_second:,.0f}",
            f"{result.median.p50_us:.0f}",
            f"{result.median.p99_us:.0f}",
            f"{result.median.resident_mb:.0f}",
            _share(result.median.mirrored_ratio),
            _share(result.median.captured_ratio),
        )
        for result in results
        if result.connections == connections
    ]
    return markdown_table(heads, rows)


def _promises(results: Sequence[Result]) -> Iterator[str]:
    """Say how the figures stand to what the project promises; nothing where they were not measured."""
    promises = (("driftline-capture", "nginx", 1.6), ("driftline-mirror", "nginx-mirror", 0.6))
    for name, reference, limit in promises:
        ratio = _ratio(results, name, reference, 32)
        if ratio is not None:
            yield f"{name} to {reference} at 32 connections: {ratio:.2f} times its CPU (promised: at most {limit}), {_verdict(ratio <= limit)}"
    resident = max((result.median.resident_mb for result in results if result.name.startswith("driftline")), default=0.0)
    if resident:
        yield f"largest Driftline worker: {resident:.0f} MB resident (promised: under 40), {_verdict(resident < 40)}"


def _ratio(results: Sequence[Result], name: str, reference: str, connections: int) -> float | None:
    cpu_us = {result.name: result.median.cpu_us for result in results if result.connections == connections}
    return cpu_us[name] / cpu_us[reference] if name in cpu_us and reference in cpu_us else None


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"× {ratio:.2f}"


def _share(ratio: float) -> str:
    return f"{ratio:.0%}" if ratio else ""


def _verdict(kept: bool) -> str:
    return "kept" if kept else "NOT kept"


def _require_programs() -> None:
    for name, package in (("nginx", "nginx"), ("wrk", "wrk"), ("taskset", "util-linux")):
        program(name, package)


def _conditions(plan: Plan) -> str:
    cores = (
        "proxies on one core; load, upstream and shadows on another"
        if len(CORES) > 1
        else "everything on one core, so that requests/s and latency are shared with the load"
    )
    return f"Medians of {plan.rounds} × {plan.seconds} s; {cores}."


def _choose(names: Sequence[str]) -> list[Contender]:
    available = contenders()
    unknown = set(names) - {contender.name for contender in available}
    if unknown:
        raise BenchmarkError(f"no contender is called {', '.join(sorted(unknown))}; there are {', '.join(contender.name for contender in available)}")
    return [contender for contender in available if not names or contender.name in names]


def _parse() -> Any:
    parser = argparse.ArgumentParser(prog="bench.proxy", description="Compare proxies by CPU per request, throughput, latency and memory.")
    parser.add_argument("--quick", action="store_true", help="one round of 2 s instead of three of 5 s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures and every sample there")
    parser.add_argument("--connections", type=_numbers, default=(1, 32), metavar="N,N", help="connections of the load generator (default: 1,32)")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], metavar="NAME,NAME", help="measure only these contenders")
    parser.add_argument(
        "--spool-dir", type=Path, default=Path(tempfile.gettempdir()), metavar="DIR", help="where Driftline's spools lie (default: %(default)s)"
    )
    return parser.parse_args()


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
