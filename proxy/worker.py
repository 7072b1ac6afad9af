"""One process of the data plane: a listening socket, what all its connections share, the tick, and the drain."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final, cast

from config.settings import ProxySettings, RouteSettings
from proxy.accepting import Acceptor
from proxy.client import ClientConnection
from proxy.context import TICK_NS, Context
from proxy.occupancy import Occupancy
from proxy.tls import ClientTls
from proxy.tracing import Tracing
from records.exchange import ErrorKind
from records.metrics import Metric
from records.ports import Counters, Gate, Tap

_log: Final = logging.getLogger(__name__)

_LAST_REQUEST_SECONDS: Final = 1.0
"""How long a stopping worker leaves idle connections open: a request that is on its way is answered, and that answer closes."""

_FILES_SECONDS: Final = 1.0
"""How often it is looked whether certificates or keys have changed."""

_COLLECT_EVERY: Final = 20_000
"""Objects that were made and not freed between two collections; each of 10,000 idle connections holds a dozen."""


class Worker:
    """Serves one listening socket until it is drained."""

    def __init__(
        self,
        settings: ProxySettings,
        routes: Sequence[RouteSettings],
        tap: Tap,
        counters: Counters,
        occupancy: Occupancy | None = None,
        gate: Gate | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        """`occupancy` is this worker's seat among those that share its socket; without one it is alone. Without a `gate` anybody may send requests;
        without `tracing` the callers' trace context goes on as it came.

        Raises ValueError, with a sentence for the user, where a certificate cannot be used.
        """
        self._occupancy = occupancy or Occupancy.alone()
        self._tls = ClientTls(settings.tls, settings.head_timeout, counters) if settings.tls else None
        self._context = Context(settings, routes, tap, counters, self._occupancy, gate, tracing)
        self._grace_seconds = float(settings.grace)
        self._in_flight_slot = counters.slot(Metric.REQUESTS_IN_FLIGHT.metric_name)
        self._counters = counters

    async def serve(self, listening: socket.socket, stop: asyncio.Event, on_ready: Callable[[], None] = lambda: None) -> None:
        """Accept and answer, from when `on_ready` is called until `stop` is set; then finish what is in flight, within the grace period."""
        acceptor = Acceptor(listening, self._new_protocol, self._occupancy, self._tls)
        # Nothing on a request's path makes reference cycles: the collector need not look at what start-up left, and seldom at the rest.
        gc.freeze()
        gc.set_threshold(_COLLECT_EVERY)
        acceptor.start()
        on_ready()
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(_every(TICK_NS / 1e9, self._tick)), loop.create_task(_every(_FILES_SECONDS, self._refresh_files))]
        await stop.wait()
        self._context.draining = True
        await acceptor.stop()
        await self._drain()
        for task in tasks:
            task.cancel()

    def _new_protocol(self) -> asyncio.Protocol:
        return cast("asyncio.Protocol", ClientConnection(self._context))  # one by its methods: compiled classes have no foreign bases

    def _tick(self) -> None:
        context = self._context
        context.tick(time.perf_counter_ns())
        now = asyncio.get_running_loop().time()
        for pool in context.pools:
            pool.expire(now)
        self._counters.values[self._in_flight_slot] = context.in_flight

    def _refresh_files(self) -> None:
        if self._tls is not None:
            self._tls.refresh()
        if self._context.gate is not None:
            self._context.gate.refresh()

    async def _drain(self) -> None:
        """RFC 9112 §9.6: each connection is closed after the reply that is under way or the next one, and where no request comes any more."""
        context = self._context
        started = time.monotonic()
        await self._connections_gone(started + min(_LAST_REQUEST_SECONDS, self._grace_seconds))
        for connection in tuple(context.connections):
            connection.close_if_idle()
        await self._connections_gone(started + self._grace_seconds)
        for connection in tuple(context.connections):
            connection.break_off(ErrorKind.SHUTDOWN, "the proxy is stopping")
        for flight in tuple(context.flights):
            flight.break_off(ErrorKind.SHUTDOWN, "the proxy is stopping")
        for pool in context.pools:
            pool.close()
        await asyncio.sleep(0)  # let the last replies be handed to the kernel

    async def _connections_gone(self, deadline: float) -> None:
        """Wait until nothing is in flight and nobody is connected, until `time.monotonic` is at the deadline at most."""
        context = self._context
        while (context.flights or context.connections) and time.monotonic() < deadline:  # noqa: ASYNC110 - ends for several reasons, once in a process
            await asyncio.sleep(0.01)


async def _every(seconds: float, act: Callable[[], None]) -> None:
    """Act again and again. What goes wrong in one round is said, and must not end the time-outs of a whole worker."""
    while True:
        await asyncio.sleep(seconds)
        try:
            act()
        except Exception:  # noqa: BLE001 - whatever it is, the next round may go well
            _log.exception("a periodic task failed; it is tried again")
