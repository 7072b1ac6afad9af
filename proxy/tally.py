"""What is counted per arm, as plain integers in the worker's ledger."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from records.exchange import ErrorKind, Role
from records.metrics import BUCKET_LABELS, BUCKET_SUFFIX, DURATION_BUCKETS_SECONDS, SUM_NS_SUFFIX, EjectionReason, Metric, SkipReason
from records.ports import Counters

if TYPE_CHECKING:
    from proxy.endpoint import Endpoint

_BUCKETS_NS: Final = tuple(int(seconds * 1e9) for seconds in DURATION_BUCKETS_SECONDS)
_SHORTEST_NS: Final = _BUCKETS_NS[0]
"""Most replies of small models are in the first bucket: there is nothing to search."""

_CUTS: Final = frozenset({ErrorKind.REPLY_IDLE_TIMEOUT, ErrorKind.TOTAL_TIMEOUT, ErrorKind.UPSTREAM_CLOSED, ErrorKind.BAD_REPLY})
"""Faults of an upstream that may come when its status is already on its way to the client."""


class Tally:
    """Counts the exchanges of one arm."""

    def __init__(self, counters: Counters, route: str, arm: str, role: Role) -> None:
        self._counters = counters
        self._values = counters.values
        self._labels = (route, arm, role.value)
        self._by_status: dict[int, int] = {}
        duration = Metric.HTTP_REQUEST_DURATION.metric_name
        self._buckets = [counters.slot(duration + BUCKET_SUFFIX, *self._labels, bound) for bound in BUCKET_LABELS]
        self._sum = counters.slot(duration + SUM_NS_SUFFIX, *self._labels)

    def ended(self, status: int, error: ErrorKind, total_ns: int) -> None:
        """Count one exchange that ended."""
        values = self._values
        slot = self._by_status.get(status)
        if slot is None:
            slot = self._by_status[status] = self._counters.slot(Metric.HTTP_REQUESTS.metric_name, *self._labels, str(status))
        values[slot] += 1
        values[self._buckets[0 if total_ns <= _SHORTEST_NS else bisect_left(_BUCKETS_NS, total_ns)]] += 1
        values[self._sum] += total_ns
        if error:
            values[self._counters.slot(Metric.EXCHANGE_ERRORS.metric_name, *self._labels, error.value)] += 1
            if error in _CUTS and status < 500:
                values[self._counters.slot(Metric.REPLIES_CUT.metric_name, *self._labels)] += 1

    def retried(self) -> None:
        """Count one request that was sent again."""
        route, arm, _ = self._labels
        self._values[self._counters.slot(Metric.RETRIES.metric_name, route, arm)] += 1


class MirrorTally:
    """Counts what becomes of the requests that are due for one shadow: due = mirrored + skipped + those in flight."""

    def __init__(self, counters: Counters, route: str, arm: str) -> None:
        self._counters = counters
        self._values = counters.values
        self._labels = (route, arm)
        self._due = counters.slot(Metric.MIRROR_DUE.metric_name, route, arm)
        self._mirrored = counters.slot(Metric.MIRRORED.metric_name, route, arm)
        self._circuit = counters.slot(Metric.MIRROR_CIRCUITS_OPEN.metric_name, route, arm)

    def due(self) -> None:
        """Count one request that is due for this shadow."""
        self._values[self._due] += 1

    def mirrored(self) -> None:
        """Count one whose whole copy was sent."""
        self._values[self._mirrored] += 1

    def skipped(self, reason: SkipReason) -> None:
        """Count one that was not sent, or not wholly."""
        self._values[self._counters.slot(Metric.MIRROR_SKIPPED.metric_name, *self._labels, reason.value)] += 1

    def circuit(self, *, is_open: bool) -> None:
        """Show whether the shadow is left alone now."""
        self._values[self._circuit] = int(is_open)


class EndpointTally:
    """Counts what becomes of an arm's endpoints, by what is set: addresses that come and go with a name share its counters."""

    def __init__(self, counters: Counters, route: str, arm: str) -> None:
        self._counters = counters
        self._labels = (route, arm)
        self.arm = f"route {route}, {arm}"
        """For people."""

    def show(self, endpoints: Sequence[Endpoint]) -> None:
        """Bring the gauges up to date."""
        shown = {endpoint.label: [0, 0, 0] for endpoint in endpoints}
        for endpoint in endpoints:
            sums = shown[endpoint.label]
            sums[0] += 1
            sums[1] += endpoint.in_service
            sums[2] += endpoint.load
        for label, (known, in_service, load) in shown.items():
            self._set(Metric.ENDPOINTS, label, known)
            self._set(Metric.ENDPOINTS_IN_SERVICE, label, in_service)
            self._set(Metric.ENDPOINT_REQUESTS_IN_FLIGHT, label, load)

    def ejected(self, endpoint: Endpoint, reason: EjectionReason) -> None:
        """Count one ejection."""
        self._counters.values[self._counters.slot(Metric.ENDPOINT_EJECTIONS.metric_name, *self._labels, endpoint.label, reason.value)] += 1

    def check_failed(self, endpoint: Endpoint) -> None:
        """Count one health check that failed."""
        self._counters.values[self._counters.slot(Metric.ENDPOINT_CHECKS_FAILED.metric_name, *self._labels, endpoint.label)] += 1

    def _set(self, metric: Metric, label: str, value: int) -> None:
        self._counters.values[self._counters.slot(metric.metric_name, *self._labels, label)] = value
