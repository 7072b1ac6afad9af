"""The connections of one worker to one upstream: which endpoint takes a request, and who waits for what.

A request takes an idle connection of the endpoint that `proxy.balancing` chooses; else one is made for it there, and where that fails, at
another endpoint. Where every endpoint has as many connections as it may, requests wait in order for the first that becomes free.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from config.addresses import Url
from proxy.balancing import EjectionRules, choose, eject, failed, forgive, slow
from proxy.endpoint import Address, Endpoint
from proxy.health import HealthChecks, HealthRules
from proxy.names import Names, is_name
from proxy.upstream import Receiver, UpstreamConnection
from proxy.upstream_tls import UpstreamTls
from records.exchange import ErrorKind
from records.metrics import EjectionReason

if TYPE_CHECKING:
    from proxy.tally import EndpointTally

_log: Final = logging.getLogger(__name__)

_LATENCY_WINDOW_SECONDS: Final = 10.0


class Target(NamedTuple):
    """Where an arm is reached."""

    urls: tuple[Url, ...]
    prefix: bytes
    """Put before every request target; without a trailing slash."""


class PoolRules(NamedTuple):
    """Limits and times of one pool."""

    max_connections: int
    """Per endpoint."""
    max_waiting: int
    connect_timeout_seconds: float
    """How long a request waits for a connection, whatever that takes."""
    idle_seconds: float
    resolve_seconds: float
    slow_start_seconds: float
    ejection: EjectionRules
    health: HealthRules | None
    """None where endpoints are not asked how they are."""
    max_head_bytes: int


class Waiting:
    """A request that waits for a connection."""

    def __init__(self, receiver: Receiver, method: bytes, since: float) -> None:
        self.receiver = receiver
        self.method = method
        self.since = since
        """In the loop's time."""
        self.tried: list[Endpoint] = []
        """Endpoints that could not be connected to."""


class Pool:
    """The connections of one worker to one upstream."""

    def __init__(self, target: Target, rules: PoolRules, tally: EndpointTally, tls: UpstreamTls | None) -> None:
        self._rules = rules
        self.tls = tls
        self._tally = tally
        fixed = [url for url in target.urls if not is_name(url)]
        self.endpoints = [Endpoint(self, url, Address(url.host, url.port), rules.max_head_bytes) for url in fixed]
        self._names = Names([url for url in target.urls if url not in fixed], self, rules.resolve_seconds, rules.connect_timeout_seconds)
        self._checks = HealthChecks(rules.health, self) if rules.health else None
        self._latency_due = 0.0
        self.now = time.monotonic()
        """The event loop's time at the last tick."""
        self._connecting: dict[Receiver, Waiting] = {}
        self._queued: dict[Receiver, Waiting] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._watch()

    def acquire(self, receiver: Receiver, method: bytes, *, fresh: bool = False) -> None:
        """Have a connection given to the receiver: at once where one is idle and need not be `fresh`, else as soon as there is one."""
        endpoint = self._choose(self.endpoints)
        connection = endpoint.take_idle(self.now) if endpoint is not None and not fresh else None
        if connection is None:
            self._wait(receiver, method, endpoint)
        else:
            connection.lend(receiver, method)
            receiver.connected(connection, 0)

    def cancel(self, receiver: Receiver) -> None:
        """The receiver no longer waits."""
        self._connecting.pop(receiver, None)
        self._queued.pop(receiver, None)

    def expire(self, now: float) -> None:
        """Do what is due at this loop time. Called at every tick, which is as exact as idle times and ejections need be."""
        self.now = now
        for endpoint in self.endpoints:
            endpoint.expire(now, self._rules.idle_seconds)
        self._judge()
        self._names.expire(now)
        if self.tls is not None:
            self.tls.expire(now)
        if self._checks is not None:
            self._checks.expire(now)
        self._end_waiting()
        self.has_room()
        self._tally.show(self.endpoints)

    def close(self) -> None:
        """Close idle connections and stop connecting."""
        for endpoint in self.endpoints:
            endpoint.leave()
        self._connecting.clear()
        self._queued.clear()
        self._names.close()
        if self._checks is not None:
            self._checks.close()
        for task in tuple(self._tasks):
            task.cancel()

    # What endpoints tell.

    def lend(self, connection: UpstreamConnection, connect_ns: int = 0) -> bool:
        """Give the connection to whoever has waited longest; False where nobody waits."""
        if not self._connecting and not self._queued:
            return False
        first = [waiting[next(iter(waiting))] for waiting in (self._connecting, self._queued) if waiting]
        self._hand_over(connection, min(first, key=_since), connect_ns)
        return True

    def has_room(self) -> None:
        """Begin to connect for those that wait because no endpoint could take more."""
        for entry in tuple(self._queued.values()):
            if self._queued.get(entry.receiver) is not entry:
                continue  # it was served meanwhile
            endpoint = self._choose(self._untried(entry))
            if endpoint is None and entry.tried:
                continue  # the others may go where this one was already
            if endpoint is None:
                return
            connection = endpoint.take_idle(self.now)
            if connection is not None:
                self._hand_over(connection, entry, 0)
            else:
                del self._queued[entry.receiver]
                self._connect_for(entry, endpoint)

    def endpoint_failed(self, endpoint: Endpoint, why: str) -> None:
        """Count a failure of an endpoint, which may eject it."""
        if endpoint.watched:
            reason = failed(endpoint, self.endpoints, self._rules.ejection, self.now)
            if reason is not None:
                self._ejected(endpoint, reason, f"{endpoint.failures} failures in a row, the last: {why}")

    def checked(self, endpoint: Endpoint, fault: str) -> None:
        """Take the result of a health check: what was wrong, or nothing."""
        if fault:
            self._tally.check_failed(endpoint)
        assert self._rules.health is not None
        endpoint.checked(not fault, healthy_after=self._rules.health.healthy_after, unhealthy_after=self._rules.health.unhealthy_after)
        if endpoint.take_service(self.now):
            if fault:
                _log.warning("%s: %s fails its health checks and gets no requests: %s", self._tally.arm, endpoint.address, fault)
            else:
                _log.info("%s: %s passes its health checks and is in service again", self._tally.arm, endpoint.address)

    # Who waits.

    def _wait(self, receiver: Receiver, method: bytes, endpoint: Endpoint | None) -> None:
        """Connect for the receiver, or queue it where no endpoint can take more."""
        if len(self._connecting) + len(self._queued) >= self._rules.max_waiting:
            receiver.failed(ErrorKind.QUEUE_FULL, "too many requests wait for a connection to the upstream")
            return
        entry = Waiting(receiver, method, asyncio.get_running_loop().time())
        if endpoint is not None:
            self._connect_for(entry, endpoint)
            return
        self._queued[receiver] = entry
        if not self.endpoints:
            self._names.hurry()

    def _hand_over(self, connection: UpstreamConnection, entry: Waiting, connect_ns: int) -> None:
        self.cancel(entry.receiver)
        connection.lend(entry.receiver, entry.method)
        entry.receiver.connected(connection, connect_ns)

    def _end_waiting(self) -> None:
        """Answer those that have waited for too long."""
        seconds = self._rules.connect_timeout_seconds
        for entry in [entry for entry in self._queued.values() if self.now - entry.since > seconds]:
            self._give_up(entry, ErrorKind.QUEUE_TIMEOUT, f"no connection to the upstream became free within {seconds:g} s")
        for entry in [entry for entry in self._connecting.values() if self.now - entry.since > seconds]:
            self._give_up(entry, ErrorKind.CONNECT_TIMEOUT, f"connecting to the upstream took longer than {seconds:g} s")

    def _give_up(self, entry: Waiting, kind: ErrorKind, reason: str) -> None:
        self.cancel(entry.receiver)
        entry.receiver.failed(kind, reason)

    # Connecting.

    def _choose(self, endpoints: list[Endpoint]) -> Endpoint | None:
        """Return which of them takes the next request; None where they have as many connections in use as they may."""
        rules = self._rules
        if len(endpoints) == 1:
            endpoint = endpoints[0]
            return endpoint if endpoint.load < rules.max_connections else None
        return choose(endpoints, rules.max_connections, self.now, rules.slow_start_seconds)

    def _untried(self, entry: Waiting) -> list[Endpoint]:
        return [endpoint for endpoint in self.endpoints if endpoint not in entry.tried] if entry.tried else self.endpoints

    def _connect_for(self, entry: Waiting, endpoint: Endpoint) -> None:
        self._connecting[entry.receiver] = entry
        endpoint.connecting(1)
        task = asyncio.get_running_loop().create_task(self._connect(entry, endpoint))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, entry: Waiting, endpoint: Endpoint) -> None:
        """Open one connection for this request; where it was served meanwhile, for whoever waits or comes next."""
        seconds = self._patience(entry)
        started_ns = time.perf_counter_ns()
        connection = None
        kind, reason = ErrorKind.CONNECT_FAILED, ""
        try:
            async with asyncio.timeout(seconds):
                connection = await endpoint.connect()
        except TimeoutError:
            kind, reason = ErrorKind.CONNECT_TIMEOUT, f"connecting to {endpoint.address} took longer than {seconds:.3g} s"
        except OSError as error:
            reason = f"cannot connect to {endpoint.address}: {error.strerror or error}"
        finally:
            endpoint.connecting(-1)
        if connection is None:
            self._not_connected(entry, endpoint, kind, reason)
        elif connection.transport.is_closing():
            self._not_connected(entry, endpoint, kind, f"{endpoint.address} closed the connection at once")
        elif self._connecting.get(entry.receiver) is entry:
            self._hand_over(connection, entry, time.perf_counter_ns() - started_ns)
        else:
            endpoint.give_back(connection)
        self.has_room()

    def _patience(self, entry: Waiting) -> float:
        """Return how many seconds an attempt may take: of the time that the request has left half, unless no other endpoint remains to be tried."""
        left = self._rules.connect_timeout_seconds - (asyncio.get_running_loop().time() - entry.since)
        return left / 2 if len(self._untried(entry)) > 1 else left

    def _not_connected(self, entry: Waiting, endpoint: Endpoint, kind: ErrorKind, reason: str) -> None:
        """Try another endpoint for a request that still waits: nothing of it was sent. Each is tried once."""
        self.endpoint_failed(endpoint, reason)
        if self._connecting.get(entry.receiver) is not entry:
            return
        entry.tried.append(endpoint)
        untried = self._untried(entry)
        if untried and self._patience(entry) > 0.0:
            del self._connecting[entry.receiver]
            self._queued = {entry.receiver: entry, **self._queued}  # it came before those; `has_room` takes it at once, if it can
        else:
            self._give_up(entry, kind, reason)

    # Which endpoints there are, and how they do.

    def found(self, url: Url, addresses: Sequence[Address]) -> None:
        """Take the addresses of a name: new ones get requests, gone ones finish theirs."""
        known = {endpoint.address: endpoint for endpoint in self.endpoints if endpoint.url is url}
        for address in [address for address in addresses if address not in known]:
            endpoint = Endpoint(self, url, address, self._rules.max_head_bytes)
            if known:
                endpoint.warm_since = self.now
            self.endpoints.append(endpoint)
        for address in known.keys() - set(addresses):
            self.endpoints.remove(known[address])
            known[address].leave()
        self._watch()
        self.has_room()

    def not_found(self, reason: str) -> None:
        """Fail those that wait for an upstream none of whose names could be looked up yet."""
        if not self.endpoints:
            for entry in list(self._queued.values()):
                self._give_up(entry, ErrorKind.CONNECT_FAILED, reason)

    def _watch(self) -> None:
        for endpoint in self.endpoints:
            endpoint.watched = len(self.endpoints) > 1

    def _judge(self) -> None:
        """Let endpoints come back into service, and look for those that are much slower than the others."""
        ejection = self._rules.ejection
        for endpoint in self.endpoints:
            forgive(endpoint, ejection, self.now)
            if endpoint.take_service(self.now):
                _log.info("%s: %s is in service again", self._tally.arm, endpoint.address)
        if self.now >= self._latency_due:
            self._latency_due = self.now + _LATENCY_WINDOW_SECONDS
            for endpoint in slow(self.endpoints, ejection):
                if eject(endpoint, self.endpoints, ejection, self.now):
                    self._ejected(endpoint, EjectionReason.LATENCY, f"replies take {ejection.latency_factor} times as long as its siblings', or longer")

    def _ejected(self, endpoint: Endpoint, reason: EjectionReason, why: str) -> None:
        endpoint.take_service(self.now)
        self._tally.ejected(endpoint, reason)
        _log.warning("%s: %s gets no requests for %.3g s: %s", self._tally.arm, endpoint.address, endpoint.ejected_until - self.now, why)


def _since(entry: Waiting) -> float:
    return entry.since
