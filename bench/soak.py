"""Mixed load through `driftline proxy` while things are killed under it: `python -m bench.soak --duration 20m`.

Three workers. Every 10 s one of two of them is killed, the third lives through the whole run; every 15 s the upstream is killed and started again (its
listening socket stays open, so that nothing is refused meanwhile); the shadow takes requests and never answers. A request may fail only if it was in flight when
something was killed. When the load is over, the supervisor and the worker that lived must hold as much as before: descriptors, connections, memory.
Ends with status 1 if that does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from bench.processes import CORES, BenchmarkError, Group, exit_on_sigterm, free_port, running
from bench.report import machine_sentence, markdown_table, write_json
from bench.soak_upstream import SMALL, STREAMED
from config.units import Seconds

_WORKERS = 3
_CLIENTS = 24
_PAUSE_SECONDS = 0.04
"""Between two requests of a client, on average: what is looked for are faults, not limits."""
_KILL_WORKER_SECONDS = 10.0
_RESTART_UPSTREAM_SECONDS = 15.0
_SAMPLE_SECONDS = 2.0
_WARM_UP_SECONDS = 2.0
_IDLE_SECONDS = 1.0
"""Connections to the upstream and copies to the shadow are given up after it."""
_NOTICED_SECONDS = 0.2
"""A client may send on a connection for so long before it has seen that it was reset."""
_FAILED_SECONDS = 2.0
"""So long after a kill a request that was in flight has failed."""
_GROWN_BYTES = 6_000_000
_KINDS = ("GET", "POST 1 KB", "POST 64 KB", "GET stream")
_BODIES = {"POST 1 KB": os.urandom(1024), "POST 64 KB": os.urandom(65536)}


class Asked(msgspec.Struct, frozen=True):
    """One request as its client saw it; times of `time.monotonic`."""

    kind: str
    kept_alive: bool
    began: float
    ended: float
    failure: str
    """Empty where the whole reply came."""


class Killed(msgspec.Struct, frozen=True):
    """Something was killed."""

    what: str
    at: float


class Held(msgspec.Struct, frozen=True):
    """What a process holds."""

    private_bytes: int
    """Memory that is resident and not shared: without mapped spool segments."""
    descriptors: int
    sockets: int


class Row(msgspec.Struct, frozen=True):
    """What came of the requests of one kind."""

    kind: str
    answered: int
    failed_in_flight: int
    failed_otherwise: int
    p50_ms: float
    longest_ms: float


class Watched(msgspec.Struct, frozen=True):
    """A process that lived through the run: before the load, in its first half, at its end, and when it was over."""

    name: str
    before: Held
    early_bytes: int
    late_bytes: int
    after: Held


class Outcome(msgspec.Struct, frozen=True):
    """All that the run showed."""

    seconds: float
    rows: list[Row]
    kills: dict[str, int]
    failures: dict[str, int]
    """What clients saw of requests that were not in flight on what was killed."""
    watched: list[Watched]
    zombies: int


def main() -> int:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(prog="bench.soak", description="Mixed load while workers and the upstream are killed and the shadow hangs.")
    parser.add_argument("--duration", type=lambda text: float(Seconds.parse(text)), default=1200.0, metavar="TIME", help="how long (default: 20m)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    arguments: Any = parser.parse_args()
    exit_on_sigterm()
    print(f"{machine_sentence()}.\n", flush=True)
    try:
        with tempfile.TemporaryDirectory(prefix="driftline-soak-") as directory:
            outcome = asyncio.run(_soak(arguments.duration, Path(directory)))
    except BenchmarkError as error:
        print(f"bench.soak: {error}", file=sys.stderr)
        return 1
    print(report(outcome))
    if arguments.json:
        write_json(arguments.json, {"outcome": msgspec.to_builtins(outcome)})
    return 1 if broken(outcome) else 0


def report(outcome: Outcome) -> str:
    """Return the figures as Markdown, and what is broken."""
    kills = ", ".join(f"{count} × {what}" for what, count in outcome.kills.items())
    requests = markdown_table(
        ("request", "answered", "failed in flight on what was killed", "failed otherwise", "p50 ms", "longest ms"),
        [
            (row.kind, f"{row.answered:,}", str(row.failed_in_flight), str(row.failed_otherwise), f"{row.p50_ms:.1f}", f"{row.longest_ms:,.0f}")
            for row in outcome.rows
        ],
    )
    processes = markdown_table(
        ("process", "descriptors before, after", "sockets before, after", "MB before", "early", "late", "after"),
        [
            (
                one.name,
                f"{one.before.descriptors}, {one.after.descriptors}",
                f"{one.before.sockets}, {one.after.sockets}",
                *(f"{size / 1e6:.1f}" for size in (one.before.private_bytes, one.early_bytes, one.late_bytes, one.after.private_bytes)),
            )
            for one in outcome.watched
        ],
    )
    faults = broken(outcome)
    verdict = (
        "\n".join(f"- BROKEN: {fault}" for fault in faults) if faults else "- nothing failed that was not in flight on what was killed; nothing is left over"
    )
    return f"{outcome.seconds:.0f} s; killed: {kills or 'nothing'}.\n\n{requests}\n\n{processes}\n\n{verdict}"


def broken(outcome: Outcome) -> list[str]:
    """Return what must not be, in words."""
    faults = [f"{count} requests failed without being in flight on what was killed: {what}" for what, count in outcome.failures.items()]
    faults += [f"no {row.kind} was answered" for row in outcome.rows if not row.answered]
    for one in outcome.watched:
        if one.after.descriptors > one.before.descriptors + 2:
            faults.append(f"{one.name} holds {one.after.descriptors} descriptors after the load, {one.before.descriptors} before")
        if one.late_bytes > one.early_bytes + _GROWN_BYTES:
            faults.append(f"{one.name} grew from {one.early_bytes / 1e6:.1f} to {one.late_bytes / 1e6:.1f} MB under a constant load")
    if outcome.zombies:
        faults.append(f"the supervisor has {outcome.zombies} children that ended and were not waited for")
    return faults


def was_in_flight(asked: Asked, kills: Iterable[Killed]) -> bool:
    """Whether the request was under way when something was killed, and ended soon after."""
    return any(asked.began <= kill.at + _NOTICED_SECONDS and kill.at <= asked.ended <= kill.at + _FAILED_SECONDS for kill in kills)


def summarize(asked: Sequence[Asked], kills: Sequence[Killed]) -> tuple[list[Row], dict[str, int]]:
    """Return a row for each kind of request, and the failures that nothing explains."""
    rows, unexplained = [], Counter[str]()
    for kind, kept_alive in dict.fromkeys((one.kind, one.kept_alive) for one in sorted(asked, key=lambda one: (one.kind, one.kept_alive))):
        chosen = [one for one in asked if (one.kind, one.kept_alive) == (kind, kept_alive)]
        failed = [one for one in chosen if one.failure]
        otherwise = [one for one in failed if not was_in_flight(one, kills)]
        unexplained.update(one.failure for one in otherwise)
        times = [(one.ended - one.began) * 1e3 for one in chosen if not one.failure] or [0.0]
        title = f"{kind}, {'connection kept' if kept_alive else 'connection closed'}"
        rows.append(Row(title, len(chosen) - len(failed), len(failed) - len(otherwise), len(otherwise), statistics.median(times), max(times)))
    return rows, dict(unexplained)


async def _soak(seconds: float, directory: Path) -> Outcome:
    async with AsyncExitStack() as stack:
        upstream = stack.enter_context(_Upstream())
        shadow = await stack.enter_async_context(_hanging_shadow())
        port = free_port()
        group = stack.enter_context(running("driftline", _command(directory, port, upstream.port, shadow), port=port, cores=CORES, log=directory / "log"))
        supervisor = group.leader
        workers = await _workers(group, _WORKERS)
        witness = workers[-1]
        url = f"http://127.0.0.1:{port}"
        await _load(url, time.monotonic() + _WARM_UP_SECONDS, [])
        await asyncio.sleep(_IDLE_SECONDS + 2)
        before = {pid: _held(pid) for pid in (supervisor, witness)}
        asked: list[Asked] = []
        kills: list[Killed] = []
        samples: dict[int, list[int]] = {supervisor: [], witness: []}
        began = time.monotonic()
        tasks = [
            asyncio.create_task(_kill_workers(group, witness, kills)),
            asyncio.create_task(_restart(upstream, kills)),
            asyncio.create_task(_sample(samples)),
        ]
        await _load(url, began + seconds, asked)
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
        await _workers(group, _WORKERS)
        after = await _settled(before)
        rows, failures = summarize(asked, kills)
        names = {supervisor: "supervisor", witness: "worker"}
        watched = [
            Watched(names[pid], before[pid], _median_of(taken[len(taken) // 6 : len(taken) // 2]), _median_of(taken[-max(len(taken) // 4, 1) :]), after[pid])
            for pid, taken in samples.items()
        ]
        return Outcome(seconds, rows, dict(Counter(kill.what for kill in kills)), failures, watched, _zombies(supervisor))


def _command(directory: Path, port: int, upstream: int, shadow: int) -> list[str]:
    settings = directory / "driftline.yaml"
    settings.write_text(
        f"proxy: {{listen: 127.0.0.1:{port}, workers: {_WORKERS}, capture: 2 KiB, upstream_idle: {_IDLE_SECONDS:.0f}s}}\n"
        f"routes: [{{upstream: http://127.0.0.1:{upstream}, shadows: [{{url: http://127.0.0.1:{shadow}, timeout: {_IDLE_SECONDS:.0f}s}}]}}]\n"
    )
    program = Path(sys.executable).with_name("driftline")
    return [str(program), "proxy", "--listen", f"127.0.0.1:{port}", "--config", str(settings), "--spool", str(directory / "spool")]


class _Upstream:
    """A process that is killed and started again on a socket that stays open."""

    def __enter__(self) -> Self:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = int(self._listening.getsockname()[1])
        self._start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()
        self._listening.close()

    def _start(self) -> None:
        descriptor = self._listening.fileno()
        self._process = subprocess.Popen([sys.executable, "-m", "bench.soak_upstream", str(descriptor)], pass_fds=[descriptor])

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        self.kill()
        self._start()


@asynccontextmanager
async def _hanging_shadow() -> AsyncIterator[int]:
    """Takes connections and what is sent on them, and says nothing."""

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while await reader.read(65536):
                pass
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0, backlog=1024)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def _load(url: str, until: float, asked: list[Asked]) -> None:
    timeout = ClientTimeout(total=30)
    async with (
        ClientSession(url, connector=TCPConnector(limit=0), timeout=timeout) as keeping,
        ClientSession(url, connector=TCPConnector(limit=0, force_close=True), timeout=timeout) as closing,
    ):
        clients = [_client(session, session is keeping, until, asked) for session in (keeping, closing) for _ in range(_CLIENTS // 2)]
        await asyncio.gather(*clients)


async def _client(session: ClientSession, kept_alive: bool, until: float, asked: list[Asked]) -> None:
    while (began := time.monotonic()) < until:
        kind = random.choice(_KINDS)
        failure = await _ask(session, kind)
        asked.append(Asked(kind, kept_alive, began, time.monotonic(), failure))
        await asyncio.sleep(random.uniform(0, 2 * _PAUSE_SECONDS))


async def _ask(session: ClientSession, kind: str) -> str:
    """Send one request and return how it failed; empty where the whole reply came."""
    path = "/stream" if kind == "GET stream" else "/v2/models/m/infer"
    expected = _BODIES.get(kind) or (b"".join(STREAMED) if path == "/stream" else SMALL)
    try:
        async with session.request(kind.split(maxsplit=1)[0], path, data=_BODIES.get(kind)) as reply:
            body = await reply.read()
    except (ClientError, OSError, TimeoutError) as error:
        return type(error).__name__
    if reply.status != 200:
        return f"{reply.status} {body[:60]!r}"
    return "" if body == expected else "another body than was sent"


async def _kill_workers(group: Group, witness: int, kills: list[Killed]) -> None:
    while True:
        await asyncio.sleep(_KILL_WORKER_SECONDS)
        victims = [pid for pid in _running(group, "driftline.worker") if pid != witness]
        if not victims:
            raise BenchmarkError("no worker is left to kill: the supervisor did not start another")
        # The clock is read before: what fails between is explained by the kill.
        kills.append(Killed("worker", time.monotonic()))
        os.kill(random.choice(victims), signal.SIGKILL)


async def _restart(upstream: _Upstream, kills: list[Killed]) -> None:
    while True:
        await asyncio.sleep(_RESTART_UPSTREAM_SECONDS)
        kills.append(Killed("upstream", time.monotonic()))
        upstream.restart()


async def _sample(samples: dict[int, list[int]]) -> None:
    while True:
        for pid, taken in samples.items():
            taken.append(_held(pid).private_bytes)
        await asyncio.sleep(_SAMPLE_SECONDS)


async def _workers(group: Group, count: int) -> list[int]:
    """Return the workers once there are so many."""
    async with asyncio.timeout(20):
        while len(pids := _running(group, "driftline.worker")) != count:  # noqa: ASYNC110 - the kernel tells of no start
            await asyncio.sleep(0.05)
    return pids


async def _settled(before: dict[int, Held], within_seconds: float = 20) -> dict[int, Held]:
    """Return what the processes hold once it is as little as before, or the time is up: idle connections to the upstream close in their time."""
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        after = {pid: _held(pid) for pid in before}
        if all(after[pid].descriptors <= before[pid].descriptors for pid in before):
            break
        await asyncio.sleep(0.5)
    return after


def _running(group: Group, module: str) -> list[int]:
    """Return the processes of the group that run this module."""
    return sorted(pid for pid in group.processes() if module in _command_line(pid))


def _command_line(pid: int) -> list[str]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return []


def _held(pid: int) -> Held:
    resident, shared = Path(f"/proc/{pid}/statm").read_text().split()[1:3]
    links = [_link(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    return Held((int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE"), len(links), sum(link.startswith("socket:") for link in links))


def _link(entry: Path) -> str:
    with suppress(OSError):
        return str(entry.readlink())
    return ""


def _zombies(parent: int) -> int:
    states = []
    for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        with suppress(OSError):
            states.append(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0])
    return states.count("Z")


def _median_of(sizes: Sequence[int]) -> int:
    return int(statistics.median(sizes)) if sizes else 0


if __name__ == "__main__":
    sys.exit(main())
