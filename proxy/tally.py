"""What is counted per arm, as plain integers in the worker's ledger."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from records.exchange import ErrorKind, Role
from records.metrics import BUCKET_LABELS, BUCKET_SUFFIX, DURATION_BUCKETS_SECONDS, SUM_NS_SUFFIX, Metric, SkipReason
from records.ports import Counters

_BUCKETS_NS: Final = tuple(int(seconds * 1e9) for seconds in DURATION_BUCKETS_SECONDS)


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
        values[self._buckets[bisect_left(_BUCKETS_NS, total_ns)]] += 1
        values[self._sum] += total_ns
        if error:
            values[self._counters.slot(Metric.EXCHANGE_ERRORS.metric_name, *self._labels, error.value)] += 1

    def skipped(self, reason: SkipReason) -> None:
        """Count one request that was due for this shadow and did not go there."""
        route, arm, _ = self._labels
        self._values[self._counters.slot(Metric.MIRROR_SKIPPED.metric_name, route, arm, reason.value)] += 1
