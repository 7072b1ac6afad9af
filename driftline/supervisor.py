"""Starts the processes, restarts what dies, replaces them by a new generation, stops them in order. Holds the listening socket, and never accepts from it.

SIGHUP   the settings are read again; workers with the new ones take the socket, then those with the old ones finish and go
SIGUSR2  this process becomes what lies on the disk now, keeping its number, its children and the socket; then as for SIGHUP
SIGTERM  everything stops, stage by stage

Whatever the new settings or the new code lack, what runs goes on. One change is made at a time: there are never more than two generations.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

import msgspec

from config.load import ConfigError
from driftline.children import STOPPING, SUCCEEDED
from driftline.handover import Handover, handover_of, received, rehearse, replace_self
from driftline.keeping import Child, ChildPlan, StartError
from driftline.process import Process

_log = logging.getLogger(__name__)

WORKER_STAGE: Final = 0
RUNTIME_STAGE: Final = 1
MONITOR_STAGE: Final = 2
"""The runtime stops when no worker asks it any more; the monitor last: then it can bring the workers' last records into the store."""

_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_CHANGE_SIGNALS: Final = (signal.SIGHUP, signal.SIGUSR2)


class Plans(msgspec.Struct, frozen=True):
    """One generation."""

    workers: tuple[ChildPlan, ...]
    """All but the monitor; the runtime, where there is one, among them."""
    monitor: ChildPlan | None = None
    """None where there is none, or where the one that runs may go on."""


class RefusedError(Exception):
    """The settings cannot be used now; the text says why."""


class Site(Protocol):
    """What the processes are made from; `driftline.topology` has it."""

    listening_fd: int
    fixed: dict[str, str]

    def plans(self) -> Plans:
        """Return the first generation. Raises RefusedError."""
        ...

    async def reload(self) -> Plans:
        """Read the settings again and return a generation that works by them. Raises RefusedError."""
        ...

    def keep(self) -> None:
        """Remember that what was read last is what runs."""
        ...

    def announce(self, admin: str) -> str:
        """Return what there is now, in one line; `admin` is what the monitor said when it was ready."""
        ...

    def close(self) -> None:
        """Listen no more."""
        ...


class Supervisor:
    """Keeps a generation of processes running until it is told to stop."""

    def __init__(self, site: Site, handover: Handover | None) -> None:
        """`handover` is from this process's former self."""
        self._site = site
        self._handover = handover
        self._workers: list[Child] = []
        self._monitor: Child | None = None
        self._children: list[Child] = []
        """All that have not been stopped, of every generation."""
        self._wanted: set[int] = set()
        self._changed = asyncio.Event()

    async def run(self) -> int:
        """Start everything, keep it running, change it as it is told; return the exit status after an orderly stop."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, stop.set)
        for number in _CHANGE_SIGNALS:
            loop.add_signal_handler(number, self._want, number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*_STOP_SIGNALS, *_CHANGE_SIGNALS))  # a former self has blocked them
        operating = loop.create_task(self._operate())
        stopping = loop.create_task(stop.wait())
        await asyncio.wait((operating, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        operating.cancel()
        status = 0
        try:
            await operating
        except asyncio.CancelledError:
            pass
        except StartError as error:
            status = error.status
        clean = await self._stop()
        return status or (0 if clean else 1)

    def _want(self, number: int) -> None:
        self._wanted.add(number)
        self._changed.set()

    async def _operate(self) -> None:
        if self._handover is None:
            await self._start()
        else:
            await self._succeed(self._handover)
        while True:
            await self._changed.wait()
            self._changed.clear()
            wanted, self._wanted = self._wanted, set()
            if signal.SIGUSR2 in wanted:
                await self._upgrade()
            else:
                await self._reload()

    async def _start(self) -> None:
        plans = self._site.plans()
        self._workers = [self._child(plan) for plan in plans.workers]
        if plans.monitor is not None:
            self._monitor = self._child(plans.monitor)
        await asyncio.gather(*(child.ready for child in self._children))
        self._announce()

    async def _reload(self) -> None:
        try:
            plans = await self._site.reload()
        except RefusedError as error:
            _log.error("the settings are not reloaded, the old ones hold: %s", error)
            return
        if await self._replace(plans):
            self._announce("reloaded, ")

    async def _upgrade(self) -> None:
        handover = handover_of(self._site.listening_fd, self._site.fixed, self._children)
        if not await rehearse(handover):
            _log.error("not upgraded, the old code goes on: what lies on the disk now does not start")
            return
        signal.pthread_sigmask(signal.SIG_BLOCK, (*_STOP_SIGNALS, *_CHANGE_SIGNALS))  # until the successor can obey
        try:
            # Once more, as what was running then may have died since.
            replace_self(handover_of(self._site.listening_fd, self._site.fixed, self._children))
        except OSError as error:
            _log.error("not upgraded, the old code goes on: %s", error)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (*_STOP_SIGNALS, *_CHANGE_SIGNALS))

    async def _succeed(self, handover: Handover) -> None:
        """Go on where this process's former self left off."""
        adopted = [self._child(child.plan, Process(child.pid, child.control_fd)) for child in handover.children]
        self._workers = [child for child in adopted if child.plan.stage != MONITOR_STAGE]
        self._monitor = next((child for child in adopted if child.plan.stage == MONITOR_STAGE), None)
        if await self._replace(self._site.plans()):
            self._announce("upgraded, ")

    async def _replace(self, plans: Plans) -> bool:
        """Put a new generation in the place of the old one, or leave that where the new one does not start; return whether it did."""
        old, new = self._workers, [self._child(plan) for plan in plans.workers]
        try:
            await asyncio.gather(*(child.ready for child in new))
        except StartError:
            _log.error("the new workers do not start; the old ones go on")
            await self._dismiss(new)
            return False
        self._workers = new
        await self._dismiss_in_order(old)
        if plans.monitor is not None:
            await self._replace_monitor(plans.monitor)
        return True

    async def _replace_monitor(self, plan: ChildPlan) -> None:
        """There can be only one, so the old one ends first: what passes meanwhile waits in the spool."""
        old = self._monitor
        if old is not None:
            await old.tell(SUCCEEDED)
            await self._dismiss([old])
        self._monitor = self._child(plan)
        try:
            await self._monitor.ready
        except StartError:
            _log.error("the new monitor does not start; it goes on with the old settings")
            await self._dismiss([self._monitor])
            self._monitor = self._child(old.plan if old else plan, proven=True)

    def _child(self, plan: ChildPlan, process: Process | None = None, *, proven: bool = False) -> Child:
        child = Child(plan, process, proven=proven)
        self._children.append(child)
        return child

    async def _dismiss(self, children: Sequence[Child]) -> bool:
        """Stop processes for good; return whether every one ended by itself."""
        ended = await asyncio.gather(*(child.stop() for child in children))
        self._children = [child for child in self._children if child not in children]
        for fd in _descriptors(children) - _descriptors(self._children) - {self._site.listening_fd}:
            os.close(fd)
        return all(ended)

    async def _stop(self) -> bool:
        """Stop stage by stage; return whether every process ended by itself."""
        self._site.close()  # else clients would go on queueing for processes that accept no more
        if self._monitor is not None:
            await self._monitor.tell(STOPPING)
        return await self._dismiss_in_order(self._children)

    async def _dismiss_in_order(self, children: Sequence[Child]) -> bool:
        """Stop processes for good, stage by stage; return whether every one ended by itself."""
        clean = True
        for stage in sorted({child.plan.stage for child in children}):
            clean = await self._dismiss([child for child in children if child.plan.stage == stage]) and clean
        return clean

    def _announce(self, change: str = "") -> None:
        """A generation serves."""
        self._site.keep()
        admin = self._monitor.ready.result() if self._monitor and self._monitor.ready.done() else ""
        sys.stderr.write(f"driftline: {change}{self._site.announce(admin)}\n")
        sys.stderr.flush()


def _descriptors(children: Iterable[Child]) -> set[int]:
    return {fd for child in children for fd in child.plan.pass_fds}


def run_site(make: Callable[[Handover | None], Site]) -> int:
    """Run a site until it is told to stop; return the exit status. `make` returns it, or raises ConfigError, OSError or ValueError."""
    try:
        handover = received()
        site = make(handover)
    except (ConfigError, OSError, ValueError) as error:
        sys.stderr.write(f"driftline: {error}\n")
        return 2
    if handover is not None and handover.rehearsal:
        return 0

    async def run() -> int:
        return await Supervisor(site, handover).run()

    return asyncio.run(run())
