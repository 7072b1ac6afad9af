"""One process of the data plane: a listening socket, what all its connections share, the tick, and the drain."""

from __future__ import annotations

import asyncio
import gc
import socket
import time
from collections.abc import Sequence
from typing import Final, Protocol

from config.addresses import Url
from config.settings import SERVED_ARM, ProxySettings, RouteSettings
from proxy.client import ClientConnection
from proxy.pool import Pool, Target
from proxy.route import Arm, Route, Shadow
from proxy.routing import RoutingTable
from proxy.tally import Tally
from records.exchange import ErrorKind, Role
from records.metrics import Metric
from records.ports import Counters, Tap

_TICK_SECONDS: Final = 0.25
_BACKLOG: Final = 1024
_COLLECT_EVERY: Final = 20_000
"""Objects that were made and not freed between two collections; each of 10,000 idle connections holds a dozen."""


class InFlight(Protocol):
    """What can take too long."""

    def check(self, now_ns: int) -> None:
        """End it where it has taken too long at this `time.perf_counter_ns`."""

    def break_off(self, kind: ErrorKind, reason: str) -> None:
        """End it now."""


class Context:
    """What all connections of one worker share."""

    __slots__ = (
        "_connections_slot",
        "_counters",
        "capture_bytes",
        "connections",
        "draining",
        "flights",
        "max_head_bytes",
        "pools",
        "reply_timeout_ns",
        "routes",
        "tap",
        "unrouted",
    )

    def __init__(self, settings: ProxySettings, routes: Sequence[RouteSettings], tap: Tap, counters: Counters) -> None:
        self.tap = tap
        self.capture_bytes = int(settings.capture)
        self.max_head_bytes = int(settings.max_head)
        self.reply_timeout_ns = int(settings.reply_timeout * 1e9)
        self.draining = False
        self.flights: set[InFlight] = set()
        self.connections: set[ClientConnection] = set()
        self.pools: list[Pool] = []
        self.unrouted = Tally(counters, "", "", Role.SERVED)
        self._counters = counters
        self._connections_slot = counters.slot(Metric.CLIENT_CONNECTIONS.metric_name)
        self.routes = RoutingTable([(route.path, self._route(route, settings)) for route in routes])

    def connected(self, connection: ClientConnection) -> None:
        """A client connected."""
        self.connections.add(connection)
        self._counters.values[self._connections_slot] += 1

    def disconnected(self, connection: ClientConnection) -> None:
        """A client's connection is closed."""
        self.connections.discard(connection)
        self._counters.values[self._connections_slot] -= 1

    def _route(self, route: RouteSettings, settings: ProxySettings) -> Route:
        shadows = tuple(
            Shadow(
                arm=self._arm(route, shadow.name, Role.SHADOW, shadow.url, settings, shadow.max_in_flight),
                share=shadow.share,
                max_in_flight=shadow.max_in_flight,
                max_body_bytes=int(shadow.max_body),
                timeout_ns=int(shadow.timeout * 1e9),
            )
            for shadow in route.shadows
        )
        return Route(
            name=route.name,
            model=route.model,
            version=route.version,
            arm=self._arm(route, SERVED_ARM, Role.SERVED, route.upstream, settings, settings.max_upstream_connections),
            shadows=shadows,
            kept_request_bytes=max([self.capture_bytes, *(shadow.max_body_bytes for shadow in shadows)]),
        )

    def _arm(self, route: RouteSettings, name: str, role: Role, url: Url, settings: ProxySettings, limit: int) -> Arm:
        target = Target(url.host, url.port, url.tls, url.path.rstrip("/").encode())
        pool = Pool(
            target,
            limit=limit,
            connect_timeout_seconds=settings.connect_timeout,
            idle_seconds=settings.upstream_idle,
            max_head_bytes=self.max_head_bytes,
        )
        self.pools.append(pool)
        return Arm(name, role, target, pool, Tally(self._counters, route.name, name, role))


class Worker:
    """Serves one listening socket until it is drained."""

    def __init__(self, settings: ProxySettings, routes: Sequence[RouteSettings], tap: Tap, counters: Counters) -> None:
        self._context = Context(settings, routes, tap, counters)
        self._grace_seconds = float(settings.grace)
        self._in_flight_slot = counters.slot(Metric.REQUESTS_IN_FLIGHT.metric_name)
        self._counters = counters

    async def serve(self, listening: socket.socket, stop: asyncio.Event) -> None:
        """Accept and answer until `stop` is set; then finish what is in flight, within the grace period."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: ClientConnection(self._context), sock=listening, backlog=_BACKLOG)
        # Nothing on a request's path makes reference cycles: the collector need not look at what start-up left, and seldom at the rest.
        gc.freeze()
        gc.set_threshold(_COLLECT_EVERY)
        tick = loop.create_task(self._tick())
        await stop.wait()
        server.close()
        await self._drain()
        tick.cancel()

    async def _tick(self) -> None:
        context = self._context
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            now_ns = time.perf_counter_ns()
            for flight in tuple(context.flights):
                flight.check(now_ns)
            now = asyncio.get_running_loop().time()
            for pool in context.pools:
                pool.expire(now)
            self._counters.values[self._in_flight_slot] = len(context.flights)

    async def _drain(self) -> None:
        """RFC 9112 §9.6: idle connections are closed, the others after the reply that is under way."""
        context = self._context
        context.draining = True
        for connection in tuple(context.connections):
            connection.close_if_idle()
        deadline = time.monotonic() + self._grace_seconds
        while (context.flights or context.connections) and time.monotonic() < deadline:  # noqa: ASYNC110 - ends for several reasons, once in a process
            await asyncio.sleep(0.01)
        for flight in tuple(context.flights):
            flight.break_off(ErrorKind.SHUTDOWN, "the proxy is stopping")
        for pool in context.pools:
            pool.close()
        await asyncio.sleep(0)  # let the last replies be handed to the kernel
