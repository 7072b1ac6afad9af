"""The loader dies at every system call, and every row is in the store once: `python -m bench.crash_points`.

strace kills the loader as it enters a system call (`inject=NAME:signal=KILL:when=N`), for every name and number that a life without harm makes, in whatever thread gets there
first. Its successor finishes, says which positions the store has, and is the next to die. The store is one and the same through all deaths.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import msgspec

from bench.processes import BenchmarkError, exit_on_sigterm, find_program
from bench.report import machine_sentence, write_json
from bench.traffic import exchanges
from records.exchange import ErrorKind
from records.outcome import Outcome
from store.spool.ledger import LedgerWriter
from store.spool.writer import SpoolWriter

RECORDS: Final = 40
AMENDED: Final = (3, 20, 37)
_PATIENCE_SECONDS: Final = 10
_CALL: Final = re.compile(r"^(\d+) +(\w+)\(", re.MULTILINE)


class Point(NamedTuple):
    """The moment before the `number`-th `call` of a thread."""

    call: str
    number: int


class Outcomes(msgspec.Struct):
    """How the lives ended."""

    store: str
    """`embedded` or `server`."""
    points: int
    """System calls that a life without harm makes, by name and number."""
    tried: int = 0
    killed: int = 0
    """The others made fewer system calls this time, and ended by themselves."""
    wrong: list[str] = []
    """Deaths after which the store did not have every row once, and what it had."""

    @property
    def sentence(self) -> str:
        """The outcome, for people."""
        verdict = f"{len(self.wrong)} left something wrong" if self.wrong else "after every one the store had each row once"
        return f"{self.store}: {self.points:,} points at which to die, {self.tried:,} tried, {self.killed:,} deaths; {verdict}"


class Lives:
    """Loaders one after the other on one store."""

    def __init__(self, room: Path, url: str = "") -> None:
        self._strace = find_program("strace") or _missing("strace")
        self._room = room
        self._url = url
        self._numbers = count(1)
        self._unfinished = ""

    def points(self) -> list[Point]:
        """Let one loader live, and return all its system calls."""
        trace = self._room / "trace"
        self._live(["-o", str(trace)])
        most: Counter[str] = Counter()
        for (_, call), times in Counter(_CALL.findall(trace.read_text(errors="replace"))).items():
            most[call] = max(most[call], times)
        return [Point(call, number) for call in sorted(most) for number in range(1, most[call] + 1)]

    def die_at(self, point: Point) -> tuple[bool, str]:
        """Kill a loader there; return whether it got there, and what was wrong with what its predecessor left."""
        return self._live(["-o", "/dev/null", "-e", f"trace={point.call}", "-e", f"inject={point.call}:signal=KILL:when={point.number}"])

    def finish(self) -> str:
        """Return what was wrong with what the last one left."""
        with self._loader(self._unfinished, "") as loader:
            return faults(_heard(loader))

    def _live(self, options: Sequence[str]) -> tuple[bool, str]:
        previous, following = self._unfinished, f"w{next(self._numbers)}"
        _fill(self._room / following / "spool" / following)
        self._unfinished = following
        with self._loader(previous, following) as loader:
            wrong = faults(_heard(loader)) if previous else ""
            _heard(loader)
            strace = subprocess.run([self._strace, "-f", "-qq", "-p", str(loader.pid), *options], capture_output=True, check=False, text=True)
            with suppress(subprocess.TimeoutExpired):
                loader.wait(_PATIENCE_SECONDS)
            if loader.returncode not in {0, -signal.SIGKILL}:
                loader.kill()
                raise BenchmarkError(f"strace did not do its work ({strace.stderr.strip()}), or a loader failed: status {loader.returncode}")
            return loader.returncode != 0, wrong

    def _loader(self, previous: str, following: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "bench.doomed_loader", str(self._room), self._url, previous, following]
        # The engine's client leaves its temporary files behind when it is killed.
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(self._room)})


def run(room: Path, *, url: str = "", most: int | None = None) -> Outcomes:
    """Die at every point, or at `most` of them, taken at random with a fixed seed."""
    lives = Lives(room, url)
    points = lives.points()
    outcomes = Outcomes("server" if url else "embedded", len(points))
    chosen = points if most is None else random.Random(1).sample(points, min(most, len(points)))
    before: Point | None = None
    for point in chosen:
        killed, wrong = lives.die_at(point)
        outcomes.tried += 1
        outcomes.killed += killed
        outcomes.wrong += [f"{before}: {wrong}"] if wrong else []
        before = point
    if wrong := lives.finish():
        outcomes.wrong.append(f"{before}: {wrong}")
    return outcomes


def main() -> int:
    """Measure and print."""
    arguments = _parse()
    exit_on_sigterm()
    try:
        with tempfile.TemporaryDirectory(prefix="driftline-bench-", dir=arguments.directory) as directory:
            outcomes = run(Path(directory), url=arguments.clickhouse, most=arguments.most)
    except BenchmarkError as error:
        print(f"bench.crash_points: {error}", file=sys.stderr)
        return 1
    print(f"{machine_sentence()}.\n\n- {outcomes.sentence}", *outcomes.wrong, sep="\n")
    if arguments.json:
        write_json(arguments.json, {"outcomes": msgspec.to_builtins(outcomes)})
    return bool(outcomes.wrong)


def _fill(directory: Path) -> None:
    """Write a spool as a worker does that has ended."""
    directory.mkdir(parents=True)
    ledger = LedgerWriter(directory)
    writer = SpoolWriter(directory, ledger, segment_bytes=1 << 18, max_bytes=1 << 20)
    for exchange in exchanges(RECORDS):
        while not (sequence := writer.append(exchange)):
            pass
        if sequence in AMENDED:
            writer.amend(sequence, Outcome(exchange.exchange_id, ErrorKind.CLIENT_LEFT, 1))
    writer.close()
    ledger.close()


def _heard(loader: subprocess.Popen[str]) -> Any:
    assert loader.stdout is not None
    line = loader.stdout.readline()
    if not line:
        raise BenchmarkError(f"a loader ended with status {loader.wait()} before it was to die")
    return json.loads(line)


def _missing(program: str) -> NoReturn:
    raise BenchmarkError(f"{program} is not installed; on Debian and Ubuntu: apt-get install {program}")


def faults(found: dict[str, Any]) -> str:
    """Return what is not as it should be, nothing where all is."""
    expected = {"exchanges": [*range(1, RECORDS + 1)], "outcomes": [*AMENDED], "stored": RECORDS, "dropped": {}}
    return "; ".join(_differences(expected, found))


def _differences(expected: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    for table in ("exchanges", "outcomes"):
        more, fewer = Counter(found[table]) - Counter(expected[table]), Counter(expected[table]) - Counter(found[table])
        if more or fewer:
            yield f"{table}: too often {[*more]}, missing {[*fewer]}"
    for name in ("stored", "dropped"):
        if found[name] != expected[name]:
            yield f"{name}: {found[name]} and not {expected[name]}"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.crash_points", description="The loader dies at every system call; every row is stored once.")
    parser.add_argument("--most", type=int, metavar="N", help="so many points, chosen at random with a fixed seed, instead of all")
    parser.add_argument("--clickhouse", default="", metavar="URL", help="a ClickHouse server instead of the embedded engine")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()), help="where spools and store lie (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
