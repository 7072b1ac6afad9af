"""Which processes there are and what each gets: the one place to start reading.

client ──▶ proxy worker ──▶ upstream            (proxy/, one process per worker)
                │ └──▶ shadows
                ▼ one record per exchange
              spool                              (store/spool/)
                │
                ▼ read by the monitor            (driftline/monitor.py, one process)
    store loader · detectors · alerts · admin API
"""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

from msgspec.structs import replace

from access.authenticator import Authenticator
from config.addresses import written
from config.files import Stamp, stamp_of
from config.load import ConfigError
from config.settings import ProxySettings, RuntimeSettings, Settings
from driftline.children import write_task
from driftline.handover import Handover
from driftline.keeping import ChildPlan
from driftline.listening import address_of, listen
from driftline.monitor_task import DRAIN_SECONDS, MonitorTask
from driftline.process import Process
from driftline.runtime_site import require_models
from driftline.runtime_task import RuntimeSockets, inherited, runtime_plan
from driftline.spooling import keys_of
from driftline.supervisor import MONITOR_STAGE, RUNTIME_STAGE, WORKER_STAGE, Plans, RefusedError, run_site
from driftline.worker_task import WorkerTask
from privacy.keys import hashers
from proxy.occupancy import create_occupancy
from proxy.tls import server_context
from proxy.upstream_tls import require_upstream_tls
from records.audit import user_name
from store.audit import AuditLog
from store.directories import make_private

_Told: TypeAlias = tuple[Settings, Stamp]


def supervise(read: Callable[[], Settings], *, monitored: bool) -> int:
    """Run what the settings ask for until it is told to stop; return the exit status. `read` returns the settings, each time anew, or raises ConfigError."""
    return run_site(lambda handover: Topology(read, handover, monitored=monitored))


WORKER_MEMORY: Final = {"MALLOC_TRIM_THRESHOLD_": "4194304", "MALLOC_TOP_PAD_": "1048576", "MALLOC_MMAP_THRESHOLD_": "4194304"}
"""glibc (mallopt(3)) gives large blocks back to the kernel and asks for them again with every body of some ten kilobytes, and each time each page
faults: a worker that keeps up to 4 MiB forwards 64 KB bodies for little more than half the CPU. A variable that is set already wins."""


FORWARDER_MEMORY: Final = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": "131072",
    "MALLOC_MMAP_THRESHOLD_": "131072",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
"""Pools for each thread, Arrow's own beside them, and blocks kept for the next time would hold what one insert needed for ever."""


class Topology:
    """Implements `driftline.supervisor.Site`. Raises ConfigError, OSError or ValueError, each with a sentence for the user, where nothing can be started."""

    def __init__(self, read: Callable[[], Settings], handover: Handover | None, *, monitored: bool) -> None:
        self._read = read
        self._monitored = monitored
        self._settings = settings = read()
        self._running: Settings | None = None
        self._told = _told(settings)
        self._told_running: _Told | None = None
        self.fixed = _fixed(settings)
        if monitored:
            _require_packages(settings)
        _require_secrets(settings)
        _require_spool(settings.spool_directory)
        if handover is None:
            listening = listen(settings.proxy.listen)
        else:
            _require_same(handover.fixed, self.fixed)
            listening = socket.socket(fileno=handover.listening_fd)
        self._address = address_of(listening)
        self.listening_fd = listening.detach()
        self._runtime_sockets = _runtime_sockets(settings, handover) if settings.runtime.models else None

    def plans(self) -> Plans:
        """See Site."""
        return self._plans(self._settings, monitor=self._monitored)

    async def reload(self) -> Plans:
        """See Site."""
        try:
            settings = self._read()
            _require_same(self.fixed, _fixed(settings))
            _require_secrets(settings)
        except (ConfigError, ValueError) as error:
            raise RefusedError(str(error)) from None
        self._settings, self._told = settings, _told(settings)
        monitor = self._monitored and self._told != self._told_running
        if monitor:
            await _require_usable_by_monitor(settings)
        return self._plans(settings, monitor=monitor)

    def keep(self) -> None:
        """See Site."""
        before, self._running = self._running, self._settings
        self._told_running = self._told
        if before is not None:
            _put_on_record(before, self._settings)

    def announce(self, admin: str) -> str:
        """See Site."""
        settings = self._settings
        ways = ", ".join(f"{route.path} to {written(route.upstream)}" for route in settings.routes)
        watched = _watched(settings, admin)
        scheme = "https" if settings.proxy.tls else "http"
        where = str(self._address) if self._address.is_unix else f"{scheme}://{self._address}"
        return f"listening on {where} ({ways}); {watched if self._monitored else f'recording to {settings.spool_directory}'}"

    def close(self) -> None:
        """See Site."""
        if self._address.is_unix:
            with suppress(OSError):  # somebody has removed it already
                Path(self._address.host).unlink()
        os.close(self.listening_fd)  # the runtime's stays open: workers finish what they have

    def _plans(self, settings: Settings, *, monitor: bool) -> Plans:
        return Plans((*self._worker_plans(settings), *self._runtime_plans(settings)), _monitor_plan(settings) if monitor else None)

    def _runtime_plans(self, settings: Settings) -> tuple[ChildPlan, ...]:
        if self._runtime_sockets is None:
            return ()
        return (runtime_plan(_for_runtime(settings), self._runtime_sockets, RUNTIME_STAGE),)

    def _worker_plans(self, settings: Settings) -> tuple[ChildPlan, ...]:
        workers = settings.proxy.workers
        occupancy_fd = create_occupancy(workers)
        return tuple(
            ChildPlan(
                name=f"worker-{number}",
                module="driftline.worker",
                task=write_task(WorkerTask(settings, settings.spool_directory, number, self.listening_fd, occupancy_fd)),
                stage=WORKER_STAGE,
                stop_seconds=settings.proxy.grace + 5,
                pass_fds=(self.listening_fd, occupancy_fd),
                environment=WORKER_MEMORY,
            )
            for number in range(workers)
        )


def _watched(settings: Settings, admin: str) -> str:
    """Say what becomes of the records."""
    if not settings.watch and settings.store.clickhouse is not None:
        return f"forwarding to {settings.store.clickhouse.authority}; data in {Path(settings.data_dir).resolve()}"
    return f"admin on {admin or settings.admin}; data in {Path(settings.data_dir).resolve()}"


def _put_on_record(before: Settings, after: Settings) -> None:
    """Say in the audit trail what was changed. It holds already: so a trail that cannot be written is only said."""
    directory = Path(after.data_dir)
    if not directory.is_dir():  # a data plane alone, whose spool lies elsewhere
        return
    changed = ", ".join(name for name in Settings.__struct_fields__ if getattr(before, name) != getattr(after, name))
    try:
        AuditLog(directory)(user_name(os.getuid()), "reload settings", f"changed: {changed or 'nothing'}")
    except OSError as error:
        sys.stderr.write(f"driftline: the change of settings cannot be put on record: {error.strerror}\n")


def _runtime_sockets(settings: Settings, handover: Handover | None) -> RuntimeSockets:
    """Return the sockets that the runtime listens on: a former self's, where that had some. Raises ConfigError, OSError or ValueError."""
    require_models(settings)
    if importlib.util.find_spec("onnxruntime") is None:
        raise ValueError("runtime.models needs the package onnxruntime; install it with: pip install 'driftline[runtime]'")
    fds = inherited(handover, RUNTIME_STAGE)
    return RuntimeSockets(
        fds[0] if fds else listen(settings.runtime_address, "runtime.listen in the settings").detach(),
        fds[1] if len(fds) > 1 else listen(settings.runtime_admin, "runtime.admin in the settings").detach(),
    )


def _for_runtime(settings: Settings) -> RuntimeSettings:
    """Return what the runtime is told: clients come through the proxy, and operators have an address of their own."""
    return replace(settings.runtime, admin=settings.runtime_admin)


def _monitor_plan(settings: Settings) -> ChildPlan:
    task = write_task(MonitorTask(_for_monitor(settings)))
    name, environment = ("monitor", {}) if settings.watch else ("forwarder", FORWARDER_MEMORY)
    return ChildPlan(name=name, module=f"driftline.{name}", task=task, stage=MONITOR_STAGE, stop_seconds=DRAIN_SECONDS + 15, environment=environment)


def _for_monitor(settings: Settings) -> Settings:
    """Return what the monitor is told: it need not start anew for what only the data plane heeds. It says when certificates end."""
    runtime = RuntimeSettings(models=settings.runtime.models, admin=settings.runtime_admin) if settings.runtime.models else RuntimeSettings()
    return replace(settings, proxy=ProxySettings(tls=settings.proxy.tls), runtime=runtime)


def _told(settings: Settings) -> _Told:
    """Return what a monitor that begins now learns: of its settings, and of the files that these name."""
    return _for_monitor(settings), stamp_of([file for route in settings.routes for file in (route.baseline, route.signature) if file])


def _fixed(settings: Settings) -> dict[str, str]:
    """Return the settings that hold for as long as the process lives; the runtime's are empty where there is none."""
    runtime = settings.runtime.models
    return {
        "runtime.listen": str(settings.runtime_address) if runtime else "",
        "runtime.admin": str(settings.runtime_admin) if runtime else "",
        "proxy.listen": str(settings.proxy.listen),
        "data_dir": settings.data_dir,
        "spool.directory": str(settings.spool_directory),
    }


def _require_same(running: dict[str, str], asked: dict[str, str]) -> None:
    """Raise ValueError where settings differ that cannot."""
    differing = [key for key in asked if running.get(key, "") != asked[key]]
    if differing:
        told = " and ".join(f"{key} (running with {running.get(key) or 'none'}, found {asked[key] or 'none'})" for key in differing)
        raise ValueError(f"{told} can change only by stopping and starting again")


def _require_secrets(settings: Settings) -> None:
    """Raise ValueError where clients or upstreams could not be spoken TLS with, or where a key to hash, to encrypt or to authenticate with cannot be had."""
    Authenticator(settings.access)
    hashers(settings.privacy.hash_keys)
    keys_of(settings.spool)
    if settings.proxy.tls is not None:
        server_context(settings.proxy.tls)
    if settings.admin_tls:
        server_context(settings.admin_tls, "admin_tls")
    require_upstream_tls(settings.routes)


def _require_packages(settings: Settings) -> None:
    """Raise ModuleNotFoundError where the watching side lacks one: it would say so only in its log, and this process loads none of them."""
    needed = ["clickhouse_connect", "numpy", "orjson", "pyarrow"]
    if settings.watch:
        needed += ["aiohttp", "prometheus_client", "scipy"]
    if settings.store.clickhouse is None:
        needed += ["chdb"]
    for package in needed:
        if importlib.util.find_spec(package) is None:
            raise ModuleNotFoundError(name=package)


def _require_spool(spool: Path) -> None:
    try:
        make_private(spool)
    except OSError as error:
        raise OSError(f"cannot make the spool's directory {spool}: {error.strerror}; choose another one with --data-dir or --spool") from None
    if not os.access(spool, os.W_OK | os.X_OK):
        raise OSError(f"cannot write to the spool's directory {spool}; choose another one or change its owner")


async def _require_usable_by_monitor(settings: Settings) -> None:
    """Raise RefusedError where a baseline cannot be used; another process looks, for this one loads nothing heavy."""
    process, said_fd = Process.start(["-m", "driftline.check"])
    os.close(said_fd)
    await process.write(write_task(MonitorTask(settings)))
    if await process.wait():
        raise RefusedError("the monitor could not work by them")
