"""A tap before the spool's: which exchanges are kept, and what of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final

from config.settings import PrivacySettings, RouteSettings
from privacy.keys import hashers
from privacy.policy import Policy, bare, without_bodies
from records.exchange import Exchange
from records.ids import ExchangeId
from records.metrics import Metric, NotCaptured
from records.outcome import Outcome
from records.ports import Counters, Tap

_log = logging.getLogger(__name__)


class PrivateTap:
    """Implements `records.ports.Tap`: hands on what may be kept. Sequences are those of the tap behind it."""

    def __init__(self, tap: Tap, policies: Mapping[str, Policy], counters: Counters) -> None:
        """`policies` are by route; of a route without one everything is kept."""
        self._tap = tap
        self._policies = policies
        self._counters = counters
        # Counters of routes that keep nothing, ready at hand: there each request comes by here, and nothing else of the watching side.
        off = [route for route, policy in policies.items() if policy.off]
        self._off = {route: counters.slot(Metric.NOT_CAPTURED.metric_name, route, NotCaptured.OFF.value) for route in off}
        self._private_heads = any(policy.changes_head for policy in policies.values())
        self._private_bodies = any(policy.changes_bodies for policy in policies.values())

    def leaves_out(self, route: str, exchange_id: ExchangeId) -> bool:
        """See Tap."""
        off = self._off.get(route)
        if off is not None:
            self._counters.values[off] += 1
            return True
        policy = self._policies.get(route)
        if policy is None or policy.samples(exchange_id):
            return False
        self._count(Metric.NOT_CAPTURED, route, NotCaptured.SAMPLED.value)
        return True

    def append(self, exchange: Exchange) -> int:
        """See Tap; 0 also where no record was to be made, for whoever did not ask `leaves_out` before."""
        policy = self._policies.get(exchange.route)
        if policy is None:
            return self._tap.append(exchange if exchange.route else self._unrouted(exchange))
        if self.leaves_out(exchange.route, exchange.exchange_id):
            return 0
        return self._tap.append(self._kept(policy, exchange))

    def amend(self, sequence: int, outcome: Outcome) -> None:
        """See Tap."""
        self._tap.amend(sequence, outcome)

    def _unrouted(self, exchange: Exchange) -> Exchange:
        """Nobody can tell whose rules hold: so those of all routes do. What the proxy answers itself has no bodies, what payload loggers tell may."""
        if self._private_heads:
            return bare(exchange)
        return without_bodies(exchange) if self._private_bodies else exchange

    def _kept(self, policy: Policy, exchange: Exchange) -> Exchange:
        try:
            kept = policy.kept(exchange)
        except Exception as error:  # noqa: BLE001 - a fault here must neither keep what was not to be kept, nor end the worker
            _log.error("a record of route %s could not be redacted (%s); nothing that its caller wrote is kept", exchange.route, type(error).__name__)
            return bare(exchange)
        for reason in kept.not_kept:
            self._count(Metric.BODIES_NOT_KEPT, exchange.route, reason)
        return kept.exchange

    def _count(self, metric: Metric, route: str, reason: str) -> None:
        self._counters.values[self._counters.slot(metric.metric_name, route, reason)] += 1


_AS_THEY_ARE: Final = RouteSettings(upstream=())


def private(tap: Tap, routes: Sequence[RouteSettings], privacy: PrivacySettings, counters: Counters) -> Tap:
    """Return the tap that keeps to the routes' settings: `tap` itself where they ask for nothing.

    Raises ValueError, with a sentence for the user, where a key to hash with cannot be read.
    """
    keys = hashers(privacy.hash_keys)
    policies = {route.name: Policy(route, keys[0] if keys else None) for route in routes if _asks(route)}
    return PrivateTap(tap, policies, counters) if policies else tap


def _asks(route: RouteSettings) -> bool:
    """Whether a route's settings ask for anything."""
    usual = _AS_THEY_ARE
    return (route.capture, route.sample, route.redact, route.subject) != (usual.capture, usual.sample, usual.redact, usual.subject)
