"""For each bucket of durations, a trace that shows such a one."""

from __future__ import annotations

from bisect import bisect_left

from records.exchange import Exchange
from records.metrics import BUCKET_LABELS, BUCKET_SUFFIX, DURATION_BUCKETS_SECONDS, Metric
from records.status import TracedValue


class Exemplars:
    """The latest of each bucket. Routes and arms are from the settings, so there are no more than these times the buckets."""

    def __init__(self) -> None:
        self._latest: dict[tuple[str, ...], TracedValue] = {}

    def add(self, exchange: Exchange, trace_id: int) -> None:
        """Take an exchange whose trace is exported."""
        if exchange.total_ns < 0:
            return
        seconds = exchange.total_ns / 1e9
        bucket = BUCKET_LABELS[bisect_left(DURATION_BUCKETS_SECONDS, seconds)]
        key = (Metric.HTTP_REQUEST_DURATION.metric_name + BUCKET_SUFFIX, exchange.route, exchange.arm, exchange.role.value, bucket)
        self._latest[key] = TracedValue(trace_id=f"{trace_id:032x}", value=seconds, at_seconds=(exchange.started_at_ns + exchange.total_ns) / 1e9)

    @property
    def latest(self) -> dict[tuple[str, ...], TracedValue]:
        """By metric name, then label values, the bucket's last."""
        return dict(self._latest)
