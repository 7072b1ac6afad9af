"""Processes under measurement: each command in a process group of its own, pinned to cores, with its log at hand."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

CORES = sorted(os.sched_getaffinity(0))
PROXY_CORES = CORES[:2] if len(CORES) > 3 else CORES[:1]
"""Where the process under measurement runs, on the first of them unless it has two workers, and nothing else that a benchmark starts if there are two cores."""
LOAD_CORES = CORES[2:] or CORES[-1:]
"""Where the load generator, upstreams and shadows run."""

_START_SECONDS = 20.0
_STOP_SECONDS = 10.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_CPUCLOCK_SCHED = 2
_PSS = re.compile(r"^Pss: +(\d+) kB$", re.MULTILINE)


class BenchmarkError(Exception):
    """The benchmark cannot give a figure; the text says why and what to do."""


class Group:
    """A command and every process that it starts: a process group, and what left it."""

    def __init__(self, name: str, command: Sequence[str], *, cores: Sequence[int], log: Path) -> None:
        self.name = name
        self._log = log
        with log.open("wb") as output:
            self._leader = subprocess.Popen(
                ["taskset", "--cpu-list", ",".join(map(str, cores)), *command], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    @property
    def leader(self) -> int:
        """The process that the command itself became."""
        return self._leader.pid

    def processes(self) -> list[int]:
        """Return the ids of the living processes of the group, and of those that they have started in groups of their own."""
        return descendants({pid for pid in _all_processes() if _group_of(pid) == self._leader.pid})

    def cpu_ns(self) -> dict[int, int]:
        """Return the user and system time that each process has used so far, all threads, ended ones too."""
        return {pid: _cpu_ns(pid) for pid in self.processes()}

    def wait_until_listening(self, port: int) -> None:
        """Return when the port takes connections; raise when the command ends first, or takes too long."""
        deadline = time.monotonic() + _START_SECONDS
        while not _listens(port):
            if self._leader.poll() is not None:
                raise BenchmarkError(f"{self.name} ended with status {self._leader.returncode} before it listened on port {port}:\n{self._tail()}")
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{self.name} did not listen on port {port} within {_START_SECONDS:.0f} s:\n{self._tail()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Ask the leader to end, then leave nothing of the group alive."""
        started = self.processes()
        self._leader.terminate()
        try:
            with suppress(subprocess.TimeoutExpired):
                self._leader.wait(_STOP_SECONDS)
        finally:
            for pid in {*started, *self.processes()}:
                _kill(pid)
            self._leader.wait()

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]


@contextmanager
def running(name: str, command: Sequence[str], *, port: int, cores: Sequence[int], log: Path) -> Iterator[Group]:
    """Run a command that listens on `port`; nothing of it is left afterwards, whatever happens."""
    group = Group(name, command, cores=cores, log=log)
    try:
        group.wait_until_listening(port)
        yield group
    finally:
        group.stop()


def resident_bytes(pid: int) -> int:
    """Return the memory of a process that is in RAM, shared pages included."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES


def proportional_bytes(processes: Iterable[int]) -> int:
    """Return the memory of processes that is in RAM; of what several share, each has its part (PSS): what a container's limit would count, but for the page cache."""
    return sum(1024 * int(_PSS.findall(Path(f"/proc/{pid}/smaps_rollup").read_text())[0]) for pid in processes)


def descendants(processes: Iterable[int]) -> list[int]:
    """Return the ids of these processes and of the living ones that they and theirs have started."""
    parents = {pid: _parent_of(pid) for pid in _all_processes()}
    found = set(processes)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found)


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def program(name: str, package: str) -> str:
    """Return the path of an installed program; the error names the Debian package that has it."""
    path = find_program(name)
    if path is None:
        raise BenchmarkError(f"{name} is not installed and this benchmark needs it: apt-get install {package}")
    return path


def find_program(name: str) -> str | None:
    """Return the path of a program, also of one for administrators, or None."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))


def exit_on_sigterm() -> None:
    """Make SIGTERM unwind the stack as Ctrl-C does, so that every started process is stopped."""
    signal.signal(signal.SIGTERM, _exit)


def _exit(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _cpu_ns(pid: int) -> int:
    # clock_getcpuclockid(3), which Python has for the own threads only. Exact, where /proc/PID/stat counts in ticks of 10 ms.
    return time.clock_gettime_ns(~pid << 3 | _CPUCLOCK_SCHED)


def _all_processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
