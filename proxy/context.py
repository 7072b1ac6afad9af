"""What all connections of one worker share."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from config.redaction import PlaceKind
from config.settings import SERVED_ARM, HealthSettings, ProxySettings, RouteSettings, ShadowSettings
from proxy.balancing import EjectionRules
from proxy.heads import KEPT
from proxy.health import HealthRules
from proxy.occupancy import Occupancy
from proxy.pool import Pool, PoolRules, Target
from proxy.route import Arm, Route, Shadow
from proxy.routing import RoutingTable
from proxy.sampling import Sample
from proxy.tally import EndpointTally, MirrorTally, Tally
from proxy.tracing import Tracing
from proxy.upstream_tls import upstream_tls
from records.exchange import ErrorKind, Role
from records.metrics import Metric
from records.ports import Counters, Gate, Tap

if TYPE_CHECKING:
    from proxy.client import ClientConnection


_log = logging.getLogger(__name__)

TICK_NS: Final = 250_000_000

_LATE_NS: Final = 50_000_000
"""A tick that comes later than this found the process stopped or starved: what was sent to it meanwhile lies unread."""

_RETRIES_AT_ONCE: Final = 10.0
_RETRIES_PER_TICK: Final = 2.5


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


def _kept_fields(route: RouteSettings) -> frozenset[bytes]:
    """Return the fields that are recorded of a route's requests: that of its subject too, which is hashed before anything is written, and its label's."""
    places = (route.subject, route.label_key)
    return KEPT | {place.name.encode() for place in places if place is not None and place.kind is PlaceKind.HEADER}


class InFlight(Protocol):
    """What can take too long."""

    def check(self, now_ns: int) -> None:
        """End it where it has taken too long at this `time.perf_counter_ns`."""

    def break_off(self, kind: ErrorKind, reason: str) -> None:
        """End it now."""


def _check(what: InFlight, now_ns: int) -> None:
    """Check one thing, so that a fault there leaves the time limits of all others as they are."""
    try:
        what.check(now_ns)
    except Exception:  # noqa: BLE001 - whatever it was
        _log.exception("cannot tell whether something takes too long")


class Timeouts:
    """How long who may take for what, in nanoseconds; `total_ns` is 0 where there is no such limit."""

    __slots__ = ("body_ns", "client_idle_ns", "first_byte_ns", "head_ns", "reply_idle_ns", "send_ns", "total_ns", "tunnel_idle_ns")

    def __init__(self, settings: ProxySettings) -> None:
        self.head_ns = _nanoseconds(settings.head_timeout)
        self.body_ns = _nanoseconds(settings.body_timeout)
        self.send_ns = _nanoseconds(settings.send_timeout)
        self.client_idle_ns = _nanoseconds(settings.client_idle)
        self.first_byte_ns = _nanoseconds(settings.first_byte_timeout)
        self.reply_idle_ns = _nanoseconds(settings.reply_idle_timeout)
        self.tunnel_idle_ns = _nanoseconds(settings.tunnel_idle_timeout)
        self.total_ns = _nanoseconds(settings.total_timeout or 0.0)


class Context:
    """What all connections of one worker share."""

    __slots__ = (
        "_connections_slot",
        "_counters",
        "_retries_left",
        "_was_late",
        "capture_bytes",
        "coarse_ns",
        "connections",
        "draining",
        "flights",
        "gate",
        "in_flight",
        "max_body_bytes",
        "max_connections",
        "max_head_bytes",
        "max_in_flight",
        "max_pending_bytes",
        "occupancy",
        "pending_bytes",
        "pools",
        "routes",
        "tap",
        "timeouts",
        "tracing",
        "tunnels",
        "unix_offset_ns",
        "unrouted",
    )

    coarse_ns: int
    """The `time.perf_counter_ns` of the next tick: what is measured from it ends a tick late at most, and never early. Costs nothing to read."""
    gate: Gate | None
    """Who may send requests; None where anybody may, as often as they like."""
    tracing: Tracing | None
    """None where no traces are exported."""
    unix_offset_ns: int
    """What `time.time_ns` was ahead of `time.perf_counter_ns` by at the last tick: one clock is read for each request, and not two."""
    in_flight: int
    """Requests of clients that are not answered yet."""
    pending_bytes: int
    """Of requests that wait for a connection."""
    max_body_bytes: int
    """0 where any body is accepted."""

    def __init__(
        self,
        settings: ProxySettings,
        routes: Sequence[RouteSettings],
        tap: Tap,
        counters: Counters,
        occupancy: Occupancy,
        gate: Gate | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self.tap = tap
        self.gate = gate
        self.tracing = tracing
        self.occupancy = occupancy
        self.capture_bytes = int(settings.capture)
        self.max_head_bytes = int(settings.max_head)
        self.max_body_bytes = int(settings.max_body or 0)
        self.max_connections = settings.max_connections
        self.max_in_flight = settings.max_in_flight
        self.max_pending_bytes = int(settings.max_pending)
        self.timeouts = Timeouts(settings)
        self._set_clocks(time.perf_counter_ns())
        self.draining = False
        self.in_flight = 0
        self.pending_bytes = 0
        self.tunnels = 0
        self._retries_left = _RETRIES_AT_ONCE
        self._was_late = False
        self.flights: set[InFlight] = set()
        self.connections: set[ClientConnection] = set()
        self.pools: list[Pool] = []
        self.unrouted = Tally(counters, "", "", Role.SERVED)
        self._counters = counters
        self._connections_slot = counters.slot(Metric.CLIENT_CONNECTIONS.metric_name)
        self.routes = RoutingTable([(route.path, self._route(route, settings)) for route in routes])

    def connected(self, connection: ClientConnection) -> bool:
        """A client connected; return whether there is room for it. Who is refused counts until it is closed, too."""
        self.connections.add(connection)
        self._counters.values[self._connections_slot] += 1
        if len(self.connections) <= self.max_connections:
            return True
        self._counters.values[self._counters.slot(Metric.CLIENT_CONNECTIONS_REFUSED.metric_name)] += 1
        return False

    def disconnected(self, connection: ClientConnection) -> None:
        """A client's connection is closed."""
        self.connections.discard(connection)
        self.occupancy.left()
        self._counters.values[self._connections_slot] -= 1

    def overloaded(self) -> str:
        """Return which limit another request would break; empty where none."""
        if self.in_flight >= self.max_in_flight:
            return "this proxy has as many requests in flight as it may"
        if self.pending_bytes >= self.max_pending_bytes:
            return "too much waits for a connection to the upstream"
        return ""

    def may_retry(self) -> bool:
        """Whether the budget has a retry left: retries must not become most of the load of an upstream in trouble."""
        if self._retries_left < 1.0:
            return False
        self._retries_left -= 1.0
        return True

    def tick(self, now_ns: int) -> None:
        """Look for what has taken too long at this `time.perf_counter_ns`. Called every `TICK_NS`.

        After a stall nobody is cut off for silence that was ours: what came meanwhile is read before the next tick. That one looks, late or not.
        """
        self._was_late = now_ns > self.coarse_ns + _LATE_NS and not self._was_late
        self._set_clocks(now_ns)
        self._retries_left = min(_RETRIES_AT_ONCE, self._retries_left + _RETRIES_PER_TICK)
        if self._was_late:
            return
        for connection in tuple(self.connections):
            _check(connection, now_ns)
        for flight in tuple(self.flights):
            _check(flight, now_ns)

    def _set_clocks(self, now_ns: int) -> None:
        self.coarse_ns = now_ns + TICK_NS
        self.unix_offset_ns = time.time_ns() - time.perf_counter_ns()

    def _route(self, route: RouteSettings, settings: ProxySettings) -> Route:
        shadows = tuple(
            Shadow(
                self._arm(settings, route, shadow),
                MirrorTally(self._counters, route.name, shadow.name),
                Sample(shadow.share, shadow.when, shadow.key),
                max_in_flight=shadow.max_in_flight,
                max_buffer_bytes=int(shadow.max_buffer),
                timeout_ns=int(shadow.timeout * 1e9),
            )
            for shadow in route.shadows
        )
        return Route(
            name=route.name,
            model=route.model,
            version=route.version,
            arm=self._arm(settings, route, route),
            shadows=shadows,
            idempotent=route.idempotent,
            kept_fields=_kept_fields(route),
        )

    def _arm(self, settings: ProxySettings, route: RouteSettings, of: RouteSettings | ShadowSettings) -> Arm:
        """Return the arm that a route is, or one of its shadows."""
        if isinstance(of, ShadowSettings):
            name, role, urls, limit = of.name, Role.SHADOW, of.url, of.max_in_flight
        else:
            name, role, urls, limit = SERVED_ARM, Role.SERVED, of.upstream, settings.max_upstream_connections
        target = Target(urls, urls[0].path.encode())
        tally = EndpointTally(self._counters, route.name, name)
        pool = Pool(target, self._pool_rules(settings, of.health, limit), tally, upstream_tls(route, of))
        self.pools.append(pool)
        return Arm(name, role, target, pool, Tally(self._counters, route.name, name, role))

    def _pool_rules(self, settings: ProxySettings, health: HealthSettings | None, limit: int) -> PoolRules:
        ejection = settings.ejection
        return PoolRules(
            max_connections=limit,
            max_waiting=settings.max_waiting,
            connect_timeout_seconds=settings.connect_timeout,
            idle_seconds=settings.upstream_idle,
            resolve_seconds=settings.resolve_interval,
            slow_start_seconds=settings.slow_start,
            ejection=EjectionRules(ejection.failures, ejection.time, ejection.max_share, ejection.latency_factor),
            health=None if health is None else HealthRules(health.path, health.interval, health.timeout, health.healthy_after, health.unhealthy_after),
            max_head_bytes=self.max_head_bytes,
        )
