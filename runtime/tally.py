"""What is counted for one version of a model, in plain numbers, under the names of `records.metrics`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from records.metrics import BUCKET_LABELS, BUCKET_SUFFIX, DURATION_BUCKETS_SECONDS, SUM_NS_SUFFIX, Metric, RuntimeErrorReason

Samples: TypeAlias = dict[tuple[str, ...], float]
"""Numbers by metric name, then label values in the order of the metric's labels."""

_BUCKETS_NS: Final = [int(seconds * 1e9) for seconds in DURATION_BUCKETS_SECONDS]
_BOUNDS: Final = len(_BUCKETS_NS)


class Durations:
    """A histogram of times; `records.metrics` says how it is counted."""

    __slots__ = ("buckets", "sum_ns")

    def __init__(self) -> None:
        self.buckets = [0] * len(BUCKET_LABELS)
        self.sum_ns = 0

    def add(self, duration_ns: int) -> None:
        """Count one."""
        bucket = 0
        while bucket < _BOUNDS and _BUCKETS_NS[bucket] < duration_ns:  # nearly always one of the first
            bucket += 1
        self.buckets[bucket] += 1
        self.sum_ns += duration_ns

    def samples(self, metric: Metric, labels: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], float]]:
        """Return the histogram as samples."""
        for bound, count in zip(BUCKET_LABELS, self.buckets, strict=True):
            yield (metric.metric_name + BUCKET_SUFFIX, *labels, bound), count
        yield (metric.metric_name + SUM_NS_SUFFIX, *labels), self.sum_ns


class Tally:
    """One version's numbers: requests = answered with outputs + errors by reason + those that wait or are computed."""

    __slots__ = ("batches", "compute", "errors", "queue", "requests", "rows")

    def __init__(self) -> None:
        self.requests = 0
        self.rows = 0
        self.batches = 0
        self.errors = dict.fromkeys(RuntimeErrorReason, 0)
        self.queue = Durations()
        self.compute = Durations()

    def samples(self, labels: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], float]]:
        """Return everything as samples; `labels` are model and version."""
        yield (Metric.RUNTIME_REQUESTS.metric_name, *labels), self.requests
        yield (Metric.RUNTIME_ROWS.metric_name, *labels), self.rows
        yield (Metric.RUNTIME_BATCHES.metric_name, *labels), self.batches
        for reason, count in self.errors.items():
            yield (Metric.RUNTIME_ERRORS.metric_name, *labels, reason.value), count
        yield from self.queue.samples(Metric.RUNTIME_QUEUE_DURATION, labels)
        yield from self.compute.samples(Metric.RUNTIME_COMPUTE_DURATION, labels)
