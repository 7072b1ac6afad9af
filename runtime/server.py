"""One process of the runtime: a listening socket for clients and perhaps one for operators, the models, the ticks, and the drain."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, cast

from config.settings import RuntimeSettings
from runtime.catalogue import Catalogue
from runtime.connection import Connection, Shared
from runtime.crowd import Crowd
from runtime.repository import Repository
from runtime.service import RenderMetrics, Service
from runtime.session import require_one_package

_log: Final = logging.getLogger(__name__)

_SWEEP_SECONDS: Final = 0.05
_SECOND: Final = 1.0
_LAST_REQUEST_SECONDS: Final = 1.0
"""How long a stopping server leaves idle connections open: a request that is on its way is answered, and that answer closes."""

_BACKLOG: Final = 1024
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Server:
    """Serves a directory of models."""

    def __init__(self, settings: RuntimeSettings, render_metrics: RenderMetrics) -> None:
        """Raises ModelError, with a sentence for the user, where ONNX Runtime cannot be used."""
        require_one_package()
        self._settings = settings
        crowd = Crowd()
        self._catalogue = Catalogue(Repository(Path(settings.models)), settings.device, crowd)
        self._service = Service(self._catalogue, render_metrics, for_operators=settings.admin is None)
        self._shared = Shared(self._service.handle, crowd, settings.max_body)
        self._operators = Shared(Service(self._catalogue, render_metrics, for_operators=True).handle, Crowd(), settings.max_body)

    async def serve(
        self, listening: socket.socket, stop: asyncio.Event, on_ready: Callable[[], None] = lambda: None, admin: socket.socket | None = None
    ) -> None:
        """Answer from when everything in the directory has been tried, and `on_ready` is called, until `stop` is set; then finish what is in flight.

        `admin` is the socket for operators, where the settings have an address for them.
        """
        loop = asyncio.get_running_loop()
        await self._catalogue.look()
        server = await loop.create_server(lambda: _protocol(self._shared), sock=listening, backlog=_BACKLOG)
        if admin is not None:
            await loop.create_server(lambda: _protocol(self._operators), sock=admin, backlog=_BACKLOG)
        gc.freeze()  # nothing on a request's path makes reference cycles: the collector need not look at what start-up left
        on_ready()
        tasks = [
            loop.create_task(_every(_SWEEP_SECONDS, self._sweep)),
            loop.create_task(_every(_SECOND, lambda: self._each_second(stop))),
            loop.create_task(_every_time(self._settings.poll_interval, self._catalogue.look)),
        ]
        await stop.wait()
        server.close()
        await self._drain()
        for task in tasks:
            task.cancel()
        self._catalogue.close()

    def _sweep(self) -> None:
        self._catalogue.sweep(time.perf_counter_ns())

    def _each_second(self, stop: asyncio.Event) -> None:
        for shared in (self._shared, self._operators):
            shared.tick(time.time())
            shared.sweep(asyncio.get_running_loop().time())
        self._catalogue.scale(_SECOND)
        limit = self._settings.max_memory
        if limit is not None and _resident_bytes() > limit and not stop.is_set():
            _log.error("the runtime uses %d MB, more than runtime.max_memory (%s): it stops in order, to be started again", _resident_bytes() // 10**6, limit)
            stop.set()

    async def _drain(self) -> None:
        """RFC 9112 §9.6: each connection is closed after the reply that is under way or the next one, and where no request comes any more."""
        self._service.draining = self._shared.draining = True
        grace = float(self._settings.grace)
        started = time.monotonic()
        await self._connections_gone(started + min(_LAST_REQUEST_SECONDS, grace))
        for connection in tuple(self._shared.connections):
            connection.close_if_idle()
        await self._connections_gone(started + grace)
        for connection in tuple(self._shared.connections):
            connection.abort()

    async def _connections_gone(self, deadline: float) -> None:
        while self._shared.connections and time.monotonic() < deadline:  # noqa: ASYNC110 - ends for two reasons, once in a process
            await asyncio.sleep(0.01)


def _protocol(shared: Shared) -> asyncio.Protocol:
    return cast("asyncio.Protocol", Connection(shared))  # one by its methods


async def _every(seconds: float, act: Callable[[], None]) -> None:
    """Act again and again; what goes wrong in one round is said."""
    while True:
        await asyncio.sleep(seconds)
        try:
            act()
        except Exception:  # noqa: BLE001 - whatever it is, the next round may go well
            _log.exception("a periodic task failed; it is tried again")


async def _every_time(seconds: float, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """As `_every`, for what takes its time."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await act()
        except Exception:  # noqa: BLE001 - whatever it is, the next round may go well
            _log.exception("the models could not be looked at; it is tried again")


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
