"""Driftline's data plane beside nginx, HAProxy and aiohttp, in one run: `python -m bench.proxy` (`make bench-proxy`).

Every contender forwards the same requests to the same nginx, which answers with a body of the request's size. Rounds are interleaved (A B C … A B C …),
each starts every contender anew for every load, warms it up and measures it; the figure is the median of the rounds. CPU is user and system time of all processes of the
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
from typing import Any, NamedTuple

import msgspec

from bench import nginx
from bench.consumers import consuming
from bench.contenders import Contender, Place, Services, contenders
from bench.load import apply_load
from bench.processes import CORES, LOAD_CORES, PROXY_CORES, BenchmarkError, Group, exit_on_sigterm, free_port, program, resident_bytes, running
from bench.report import machine_sentence, markdown_table, write_json
from store.spool.counts import take_stock
from store.spool.state import LoaderState

_WARM_UP_SECONDS = 1

_PROMISED_RATIOS = (("driftline-forward", "nginx", 1.0), ("driftline-capture", "nginx", 1.6), ("driftline-mirror-only", "nginx-mirror", 0.6))
"""CPU per request: of what, to what, at most."""


class Load(NamedTuple):
    """What a contender is given to do."""

    body_bytes: int
    """Of each request, and of each reply."""
    connections: int

    def __str__(self) -> str:
        size = f"{self.body_bytes // 1024} KB" if self.body_bytes % 1024 == 0 else f"{self.body_bytes} bytes"
        return f"bodies of {size}, {self.connections} connection{'s' if self.connections > 1 else ''}"


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    loads: tuple[Load, ...]
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
    load: Load
    median: Sample
    samples: list[Sample]


def main() -> int:
    """Run the comparison and print it."""
    arguments = _parse()
    exit_on_sigterm()
    try:
        chosen = _choose(arguments.only)
        plan = Plan(
            tuple(Load(size, count) for size in arguments.body for count in arguments.connections),
            arguments.rounds or (1 if arguments.quick else 3),
            arguments.seconds or (2 if arguments.quick else 5),
            arguments.spool_dir,
        )
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
    """Return the figures as Markdown: a table for each load, then how they stand to what is promised."""
    tables = [f"B{str(load)[1:]}:\n\n{_table(results, load)}" for load in _loads(results)]
    return "\n\n".join([*tables, "\n".join(f"- {line}" for line in _promises(results))])


def compare(chosen: Sequence[Contender], plan: Plan) -> list[Result]:
    """Measure the contenders in turn, round after round."""
    samples: dict[tuple[str, Load], list[Sample]] = {}
    sizes = tuple(dict.fromkeys(load.body_bytes for load in plan.loads))
    with tempfile.TemporaryDirectory(prefix="driftline-bench-") as directory, _services(Path(directory), sizes) as services:
        for number in range(plan.rounds):
            for load in plan.loads:
                for contender in chosen:
                    print(f"round {number + 1} of {plan.rounds}: {load}: {contender.title}", file=sys.stderr, flush=True)
                    with _started(contender, services, Path(directory), plan.spool_dir) as (group, place):
                        sample = _measure(contender, group, place, services, load, plan.seconds)
                        samples.setdefault((contender.name, load), []).append(sample)
    return [_result(contender, load, samples[contender.name, load]) for load in plan.loads for contender in chosen]


@contextmanager
def _services(directory: Path, sizes: tuple[int, ...]) -> Iterator[Services]:
    services = Services(free_port(), free_port(), free_port(), sizes)
    with ExitStack() as stack:
        for name in ("upstream", "shadow", "silent_shadow"):
            room, port = directory / name, getattr(services, name)
            room.mkdir()
            command = nginx.answering_empty(room, port) if name == "silent_shadow" else nginx.answering(room, port, sizes)
            stack.enter_context(running(name, command, port=port, cores=LOAD_CORES, log=room / "log"))
        yield services


@contextmanager
def _started(contender: Contender, services: Services, directory: Path, spool_dir: Path) -> Iterator[tuple[Group, Place]]:
    with (
        tempfile.TemporaryDirectory(prefix=contender.name, dir=directory) as room,
        tempfile.TemporaryDirectory(prefix="driftline-bench-spool-", dir=spool_dir) as spool,
    ):
        place = Place(Path(room), Path(spool), free_port())
        command = contender.command(place, services)
        log, cores = place.room / "log", PROXY_CORES[: contender.workers]
        with running(contender.title, command, port=place.port, cores=cores, log=log) as group, consuming(place.spool):
            yield group, place


def _measure(contender: Contender, group: Group, place: Place, services: Services, load: Load, seconds: int) -> Sample:
    apply_load(place.port, load.connections, load.body_bytes, _WARM_UP_SECONDS, place.room, traced=contender.traced)
    mirrored, kept, before = _mirrored(contender, services), _kept(place.spool), group.cpu_ns()
    done = apply_load(place.port, load.connections, load.body_bytes, seconds, place.room, traced=contender.traced)
    after = group.cpu_ns()
    if done.failed or not done.requests:
        raise BenchmarkError(f"{contender.title}: {done.failed} requests failed and {done.requests} were answered; the figures would mean nothing")
    if before.keys() != after.keys():
        raise BenchmarkError(f"{contender.title}: a process started or ended under load; the figures would miss its time")
    spent = {pid: after[pid] - before[pid] for pid in after}
    return Sample(
        cpu_us=sum(spent.values()) / 1e3 / done.requests,
        requests_per_second=done.requests / done.seconds,
        p50_us=done.p50_us,
        p99_us=done.p99_us,
        resident_mb=resident_bytes(max(spent, key=spent.__getitem__)) / 1e6,
        mirrored_ratio=(_mirrored(contender, services) - mirrored) / done.requests,
        captured_ratio=(_kept(place.spool) - kept) / (done.requests * max(contender.records_per_request, 1)),
    )


def _mirrored(contender: Contender, services: Services) -> int:
    """Return how many requests the contender's shadow has answered, those for this count among them."""
    return nginx.requests_served(getattr(services, contender.mirrors_to)) if contender.mirrors_to else 0


def _kept(spool: Path) -> int:
    """Return how many records lie in a spool that nobody reads."""
    return take_stock(spool, LoaderState()).counts.pending


def _result(contender: Contender, load: Load, samples: list[Sample]) -> Result:
    medians = {field: statistics.median(getattr(sample, field) for sample in samples) for field in Sample.__struct_fields__}
    return Result(contender.name, contender.title, load, Sample(**medians), samples)


def _table(results: Sequence[Result], load: Load) -> str:
    heads = ("proxy", "CPU µs per request", "to nginx", "requests/s", "p50 µs", "p99 µs", "resident MB", "mirrored", "captured")
    rows = [
        (
            result.title,
            f"{result.median.cpu_us:.1f}",
            _times(_ratio(results, result.name, "nginx", load)),
            f"{result.median.requests_per_second:,.0f}",
            f"{result.median.p50_us:.0f}",
            f"{result.median.p99_us:.0f}",
            f"{result.median.resident_mb:.0f}",
            _share(result.median.mirrored_ratio),
            _share(result.median.captured_ratio),
        )
        for result in results
        if result.load == load
    ]
    return markdown_table(heads, rows)


def _promises(results: Sequence[Result]) -> Iterator[str]:
    """Say how the figures stand to what the project promises; nothing where they were not measured."""
    for load in _loads(results):
        for name, reference, limit in _PROMISED_RATIOS:
            ratio = _ratio(results, name, reference, load)
            if ratio is not None:
                yield f"{load}: {name} takes {ratio:.2f} times the CPU of {reference} (promised: at most {limit:g}), {_verdict(ratio <= limit)}"
        beside = _ratio(results, "driftline-mirror", "nginx-mirror", load)
        if beside is not None:
            yield f"{load}: driftline-mirror, which captures both replies as well, takes {beside:.2f} times the CPU of nginx-mirror, which captures nothing"
        if load.connections == 1:
            yield from _latency_promise(results, load)
        yield from _scaling_promise(results, load)
    resident = max((result.median.resident_mb for result in results if result.name.startswith("driftline")), default=0.0)
    if resident:
        yield f"largest Driftline worker: {resident:.0f} MB resident (promised: under 40), {_verdict(resident < 40)}"


def _latency_promise(results: Sequence[Result], load: Load) -> Iterator[str]:
    """What a proxy adds to the median latency of asking nginx directly."""
    by_name = {result.name: result.median.p50_us for result in results if result.load == load}
    if {"direct", "nginx", "driftline-capture"} <= by_name.keys():
        ours, theirs = by_name["driftline-capture"] - by_name["direct"], by_name["nginx"] - by_name["direct"]
        yield f"{load}: driftline-capture adds {ours:.0f} µs to the median, nginx {theirs:.0f} (promised: at most 1.3 times that), {_verdict(ours <= 1.3 * theirs)}"


def _scaling_promise(results: Sequence[Result], load: Load) -> Iterator[str]:
    by_name = {result.name: result.median.requests_per_second for result in results if result.load == load}
    if load.connections > 1 and {"driftline-capture", "driftline-two"} <= by_name.keys():
        times = by_name["driftline-two"] / by_name["driftline-capture"]
        yield f"{load}: two workers answer {times:.2f} times the requests of one (promised: at least 1.7), {_verdict(times >= 1.7)}"


def _loads(results: Sequence[Result]) -> list[Load]:
    return list(dict.fromkeys(result.load for result in results))


def _ratio(results: Sequence[Result], name: str, reference: str, load: Load) -> float | None:
    cpu_us = {result.name: result.median.cpu_us for result in results if result.load == load}
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
        "proxies on one core (two workers on two); load, upstream and shadows on others"
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
    parser.add_argument("--rounds", type=int, metavar="N", help="how often everything is measured, in turns")
    parser.add_argument("--seconds", type=int, metavar="N", help="how long each measurement takes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures and every sample there")
    parser.add_argument("--connections", type=_numbers, default=(1, 32, 512), metavar="N,N", help="connections of the load generator (default: 1,32,512)")
    parser.add_argument(
        "--body", type=_numbers, default=(1024, 65536), metavar="N,N", help="bytes of each request's body and of each reply's (default: 1024,65536)"
    )
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], metavar="NAME,NAME", help="measure only these contenders")
    parser.add_argument(
        "--spool-dir", type=Path, default=Path(tempfile.gettempdir()), metavar="DIR", help="where Driftline's spools lie (default: %(default)s)"
    )
    return parser.parse_args()


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
