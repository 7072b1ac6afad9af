"""Kills whatever runs at random moments under load, and compares the store with what clients saw: `python -m bench.crashes --kills 200`.

`driftline up` with two workers and the embedded store stands between clients that keep their own list of answered requests and an upstream. Again and again, after a
random time, a worker, the monitor, the supervisor or all of them get SIGKILL. A request may fail when what serves it dies. But every exchange that a client saw answered must
be in the store in the end, once, and captured = stored + dropped + pending must hold whenever somebody looks. Ends with status 1 if that does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web

from bench.processes import CORES, BenchmarkError, Group, exit_on_sigterm, free_port
from bench.report import machine_sentence, markdown_table, write_json

_WORKERS: Final = 2
_CLIENTS: Final = 8
_LONGEST_WAIT_SECONDS: Final = 1.0
"""Between a kill and the next, on average half of it, from when requests are answered again."""
_VICTIMS: Final = {"worker": 5, "monitor": 4, "supervisor": 1, "everything": 2}
"""What is killed, and how often relative to each other."""
_SAMPLE_SECONDS: Final = 0.5
_PATIENCE_SECONDS: Final = 90.0
_REPLY: Final = b'{"model_name":"m","outputs":[{"name":"y","shape":[1],"datatype":"FP32","data":[0.25]}]}'
_REQUEST: Final = b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[0.5,1.5]}]}'


class Outcome(msgspec.Struct, frozen=True):
    """What came of it; counts of exchanges, but for the last four."""

    seconds: float
    kills: dict[str, int]
    sent: int
    answered: int
    stored: int
    answered_not_stored: int
    stored_more_than_once: int
    captured: int
    dropped: dict[str, int]
    torn: int
    looks: int
    """How often the counts were asked for."""
    unbalanced: int
    """Looks at which they did not add up."""


def main() -> int:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(prog="bench.crashes", description="Kills whatever runs at random moments under load.")
    parser.add_argument("--kills", type=int, default=200, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="of what is killed when; by default another one each time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    arguments: Any = parser.parse_args()
    exit_on_sigterm()
    print(f"{machine_sentence()}.\n", flush=True)
    try:
        with tempfile.TemporaryDirectory(prefix="driftline-crashes-") as directory:
            outcome = asyncio.run(crash(Path(directory), arguments.kills, random.Random(arguments.seed)))
    except BenchmarkError as error:
        print(f"bench.crashes: {error}", file=sys.stderr)
        return 1
    print(report(outcome))
    if arguments.json:
        write_json(arguments.json, {"outcome": msgspec.to_builtins(outcome)})
    return 1 if broken(outcome) else 0


def report(outcome: Outcome) -> str:
    """Return the figures as Markdown, and what is broken."""
    kills = ", ".join(f"{number} × {what}" for what, number in outcome.kills.items())
    rows = [
        ("requests sent", f"{outcome.sent:,}"),
        ("answered", f"{outcome.answered:,}"),
        ("in the store", f"{outcome.stored:,}"),
        ("answered and not in the store", f"{outcome.answered_not_stored}"),
        ("in the store more than once", f"{outcome.stored_more_than_once}"),
        ("captured, by the counters", f"{outcome.captured:,}"),
        ("dropped, by the counters", f"{sum(outcome.dropped.values())}"),
        ("frames torn, of exchanges that nobody saw answered", f"{outcome.torn}"),
        ("looks at the counters", f"{outcome.looks:,}"),
        ("at which they did not add up", f"{outcome.unbalanced}"),
    ]
    faults = broken(outcome)
    verdict = "\n".join(f"- BROKEN: {fault}" for fault in faults) if faults else "- every exchange that a client saw answered is in the store, once"
    return f"{sum(outcome.kills.values())} kills in {outcome.seconds:.0f} s: {kills}.\n\n{markdown_table(('', 'count'), rows)}\n\n{verdict}"


def broken(outcome: Outcome) -> list[str]:
    """Return what must not be, in words."""
    faults = {
        "exchanges that clients saw answered are not in the store": outcome.answered_not_stored,
        "exchanges are in the store more than once": outcome.stored_more_than_once,
        "looks at the counters found that they did not add up": outcome.unbalanced,
        "records are in the store and were not captured": max(0, outcome.stored - outcome.captured),
        "records were captured and are neither in the store nor dropped": max(0, outcome.captured - outcome.stored - sum(outcome.dropped.values())),
        "clients were never answered": int(not outcome.answered),
    }
    return [f"{number} {what}" for what, number in faults.items() if number]


class _Service:
    """`driftline up`, started again whenever all of it is gone."""

    def __init__(self, directory: Path, upstream: int, session: ClientSession) -> None:
        self._session = session
        self.port, self.admin = free_port(), free_port()
        self._directory = directory
        self._data = directory / "data"
        self._starts = count()
        options = ["--listen", f"127.0.0.1:{self.port}", "--admin", f"127.0.0.1:{self.admin}", "--data-dir", str(self._data), "--workers", str(_WORKERS)]
        self._command = [sys.executable, "-m", "driftline", "up", *options, "--upstream", f"http://127.0.0.1:{upstream}"]

    async def start(self) -> None:
        """Return when all of it serves: what dies before that at a first start ends the supervisor, as it should."""
        self.group = Group("driftline", self._command, cores=CORES, log=self._directory / f"{next(self._starts)}.log")
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not await self._ready():
            if time.monotonic() > deadline:
                raise BenchmarkError("driftline did not get ready")
            await asyncio.sleep(0.05)

    async def _ready(self) -> bool:
        with suppress(ClientError, OSError, TimeoutError):
            async with self._session.get(f"http://127.0.0.1:{self.admin}/readyz") as reply:
                return reply.status == 200
        return False

    async def kill(self, what: str) -> None:
        """Kill it; return once something is there to serve again."""
        if what in {"worker", "monitor"}:
            pids = self._running(f"driftline.{what}")
            if pids:
                _kill(random.choice(pids))
            return
        for pid in [self.group.leader] if what == "supervisor" else self.group.processes():
            _kill(pid)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while set(self.group.processes()) - {self.group.leader}:
            if time.monotonic() > deadline:
                raise BenchmarkError("what the supervisor had started did not end after it was killed")
            await asyncio.sleep(0.02)
        self.group.stop()
        await self.start()

    def _running(self, module: str) -> list[int]:
        return [pid for pid in self.group.processes() if module in _command_line(pid)]

    def stop(self) -> None:
        """Stop it in order, and leave nothing of it."""
        with suppress(ProcessLookupError):
            os.kill(self.group.leader, signal.SIGTERM)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while set(self.group.processes()) - {self.group.leader} and time.monotonic() < deadline:
            time.sleep(0.05)
        self.group.stop()

    def stored(self) -> Counter[str]:
        """Return how often each request is in the store."""
        query = "SELECT request_id FROM exchanges WHERE role = 'served'"
        command = [sys.executable, "-m", "driftline", "sql", "--data-dir", str(self._data), "--format", "TabSeparated", query]
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        if finished.returncode:
            raise BenchmarkError(f"the store could not be asked: {finished.stderr}")
        return Counter(finished.stdout.split())


class _Clients:
    """Clients that send one request after the other, and note those whose whole reply came."""

    def __init__(self, port: int) -> None:
        self.sent = 0
        self.answered: set[str] = set()
        self._url = f"http://127.0.0.1:{port}/v2/models/m/infer"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send for as long as the context lasts."""
        async with ClientSession(connector=TCPConnector(limit=0), timeout=ClientTimeout(total=30)) as session:
            tasks = [asyncio.create_task(self._run(session)) for _ in range(_CLIENTS)]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, session: ClientSession) -> None:
        while True:
            self.sent += 1
            request_id = f"request-{self.sent}"
            with suppress(ClientError, OSError, TimeoutError):
                async with session.post(self._url, data=_REQUEST, headers={"X-Request-Id": request_id, "Content-Type": "application/json"}) as reply:
                    if await reply.read() == _REPLY:
                        self.answered.add(request_id)
            await asyncio.sleep(0.002)


async def crash(directory: Path, kills: int, chance: random.Random) -> Outcome:
    """Kill so many times; `directory` is empty. Raises BenchmarkError where that cannot be done."""
    began = time.monotonic()
    killed: Counter[str] = Counter()
    looks: Counter[bool] = Counter()
    async with _upstream() as upstream, ClientSession(timeout=ClientTimeout(total=5)) as session:
        service = _Service(directory, upstream, session)
        clients = _Clients(service.port)
        async with _started(service):
            looking = asyncio.create_task(_look(session, service.admin, looks))
            async with clients.running():
                for _ in range(kills):
                    await _answered_again(clients)
                    await asyncio.sleep(chance.uniform(0, _LONGEST_WAIT_SECONDS))
                    (what,) = chance.choices(list(_VICTIMS), list(_VICTIMS.values()))
                    await service.kill(what)
                    killed[what] += 1
                await _answered_again(clients)
            counts = await _settled(session, service.admin)
            looking.cancel()
        stored = service.stored()
    return Outcome(
        seconds=time.monotonic() - began,
        kills=dict(killed),
        sent=clients.sent,
        answered=len(clients.answered),
        stored=stored.total(),
        answered_not_stored=len(clients.answered - stored.keys()),
        stored_more_than_once=sum(number > 1 for number in stored.values()),
        captured=counts["captured"],
        dropped={reason: number for reason, number in counts["dropped"].items() if number},
        torn=counts["torn"],
        looks=looks.total(),
        unbalanced=looks[False],
    )


@asynccontextmanager
async def _upstream() -> AsyncIterator[int]:
    """Answer every request alike; yield the port."""

    async def answer(request: web.BaseRequest) -> web.Response:
        await request.read()
        return web.Response(body=_REPLY, content_type="application/json")

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@asynccontextmanager
async def _started(service: _Service) -> AsyncIterator[None]:
    try:
        await service.start()
        yield
    finally:
        service.stop()


async def _answered_again(clients: _Clients) -> None:
    """Return when every client, on average, has been answered once more."""
    wanted, deadline = len(clients.answered) + _CLIENTS, time.monotonic() + _PATIENCE_SECONDS
    while len(clients.answered) < wanted:
        if time.monotonic() > deadline:
            raise BenchmarkError(f"no request was answered for {_PATIENCE_SECONDS:.0f} s after a kill")
        await asyncio.sleep(0.01)


async def _look(session: ClientSession, admin: int, looks: Counter[bool]) -> None:
    """Count how often the counters added up, and how often they did not."""
    while True:
        counts = await _counts(session, admin)
        if counts is not None:
            looks[counts["captured"] == counts["stored"] + sum(counts["dropped"].values()) + counts["pending"]] += 1
        await asyncio.sleep(_SAMPLE_SECONDS)


async def _settled(session: ClientSession, admin: int) -> dict[str, Any]:
    """Return the counts once nothing is pending."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        counts = await _counts(session, admin)
        if counts is not None and not counts["pending"]:
            return counts
        await asyncio.sleep(0.1)
    raise BenchmarkError(f"records were still pending {_PATIENCE_SECONDS:.0f} s after the load had ended")


async def _counts(session: ClientSession, admin: int) -> dict[str, Any] | None:
    """Return the counts, None while the monitor does not answer."""
    with suppress(ClientError, OSError, TimeoutError):
        async with session.get(f"http://127.0.0.1:{admin}/api/v1/status") as reply:
            counts: dict[str, Any] = (await reply.json())["counts"]
            return counts
    return None


def _command_line(pid: int) -> list[str]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return []


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
