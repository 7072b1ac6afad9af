"""What a supervisor leaves to its successor, which is the same process with new code: it replaces itself by execve(2).

The process keeps its number, its children and its open files; all else is in one file in memory, whose descriptor stands in the environment. Before that,
the new code has shown in a process of its own that it starts and takes the handover (`rehearse`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, NoReturn

import msgspec

from driftline.keeping import Child, ChildPlan
from driftline.process import Process

_HANDOVER: Final = "DRIFTLINE_HANDOVER"
_REHEARSAL: Final = "DRIFTLINE_REHEARSAL"
_REHEARSAL_SECONDS: Final = 60.0


class RunningChild(msgspec.Struct, frozen=True):
    """A child that serves."""

    plan: ChildPlan
    pid: int
    control_fd: int


class Handover(msgspec.Struct, frozen=True):
    """What the successor goes on with."""

    listening_fd: int
    fixed: dict[str, str]
    """Settings that cannot change while the sockets and files stay the same, by key."""
    children: tuple[RunningChild, ...]
    rehearsal: bool = False
    """Nothing is to be started: it is only to be seen whether the code and the settings are sound."""


def handover_of(listening_fd: int, fixed: dict[str, str], children: Sequence[Child]) -> Handover:
    """Return what is running now; a child that is dead at the moment is left to the next generation."""
    running = [
        RunningChild(child.plan, child.process.pid, child.process.control_fd) for child in children if child.process is not None and child.process.running
    ]
    return Handover(listening_fd, fixed, tuple(running))


def received() -> Handover | None:
    """Return what a predecessor left, None where there was none. Raises ValueError where it cannot be read, with a sentence for the user."""
    number = os.environ.pop(_HANDOVER, None)
    rehearsal = os.environ.pop(_REHEARSAL, None) is not None
    if number is None:
        return None
    try:
        with os.fdopen(int(number), "rb") as file:
            handover = msgspec.json.decode(file.read(), type=Handover)
    except (OSError, ValueError) as error:
        raise ValueError(f"this version cannot take over from the one that runs ({error}); stop that one and start this one") from None
    for fd in _descriptors(handover):
        with suppress(OSError):  # a rehearsal has not all of them
            os.set_inheritable(fd, False)
    return msgspec.structs.replace(handover, rehearsal=rehearsal)


async def rehearse(handover: Handover) -> bool:
    """Return whether this very command, started from what lies on the disk now, could take over; it says why not on standard error."""
    with _in_memory(handover) as file_fd:
        environment = {**os.environ, _HANDOVER: str(file_fd), _REHEARSAL: "1"}
        try:
            process, said_fd = Process.start(sys.orig_argv[1:], [file_fd, handover.listening_fd], environment)
        except OSError:
            return False
    os.close(said_fd)
    try:
        return await asyncio.wait_for(process.wait(), _REHEARSAL_SECONDS) == 0
    except TimeoutError:
        process.send_signal(signal.SIGKILL)
        await process.wait()
        return False


def replace_self(handover: Handover) -> NoReturn:
    """Become the same command, from what lies on the disk now. Raises OSError where that is not possible; then all is as before."""
    fds = _descriptors(handover)
    with _in_memory(handover) as file_fd:
        for fd in (file_fd, *fds):
            os.set_inheritable(fd, True)
        try:
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, _HANDOVER: str(file_fd)})  # noqa: S606 - this very command again
        finally:
            for fd in fds:
                os.set_inheritable(fd, False)


def _descriptors(handover: Handover) -> set[int]:
    children = handover.children
    return {handover.listening_fd, *(child.control_fd for child in children), *(fd for child in children for fd in child.plan.pass_fds)}


@contextmanager
def _in_memory(handover: Handover) -> Iterator[int]:
    """Yield the descriptor of a file that holds the handover."""
    fd = os.memfd_create("driftline-handover")
    try:
        os.write(fd, msgspec.json.encode(handover))
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)
