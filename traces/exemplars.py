"""For each bucket of durations, a trace that shows such a one."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from records.exchange import Exchange
from records.metrics import BUCKET_LABELS, BUCKET_SUFFIX, DURATION_BUCKETS_SECONDS, Metric
from records.status import TracedValue

KEPT_AT_MOST: Final = 5_000
"""Models and versions are named by whoever sends requests."""


class Exemplars:
    """The latest of each bucket, of routes and of models; what was traced longest ago goes where there are too many."""

    def __init__(self) -> None:
        self._latest: dict[tuple[str, ...], TracedValue] = {}

    def add(self, exchange: Exchange, model: str, version: str, trace_id: int) -> None:
        """Take an exchange whose trace is exported."""
        if exchange.total_ns < 0:
            return
        seconds = exchange.total_ns / 1e9
        bucket = BUCKET_LABELS[bisect_left(DURATION_BUCKETS_SECONDS, seconds)]
        traced = TracedValue(trace_id=f"{trace_id:032x}", value=seconds, at_seconds=(exchange.started_at_ns + exchange.total_ns) / 1e9)
        arm = (exchange.arm, exchange.role.value)
        self._keep((Metric.HTTP_REQUEST_DURATION.metric_name + BUCKET_SUFFIX, exchange.route, *arm, bucket), traced)
        self._keep((Metric.MODEL_REQUEST_DURATION.metric_name + BUCKET_SUFFIX, exchange.route, model, version, *arm, bucket), traced)

    def _keep(self, key: tuple[str, ...], traced: TracedValue) -> None:
        self._latest.pop(key, None)
        self._latest[key] = traced
        if len(self._latest) > KEPT_AT_MOST:
            self._latest.pop(next(iter(self._latest)))

    @property
    def latest(self) -> dict[tuple[str, ...], TracedValue]:
        """By metric name, then label values, the bucket's last."""
        return dict(self._latest)
