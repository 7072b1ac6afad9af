"""Metrics as the page docs/metrics.md: `python -m driftline.metrics_reference` prints it."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from injection.review import Outcome
from proxy.tls import HandshakeFailure
from records.alert import Severity
from records.comparison import PairOutcome
from records.exchange import ErrorKind, Role
from records.label import LabelSource, LabelTiming
from records.metrics import (
    DURATION_BUCKETS_SECONDS,
    BodyNotKept,
    DamageKind,
    DropReason,
    EjectionReason,
    EventOutcome,
    Metric,
    NotCaptured,
    RuntimeErrorReason,
    SkipReason,
)
from records.payload import Undecodable
from store.model_counts import COUNTED_AT_MOST, OTHER

_INTRODUCTION: Final = f"""\
<!-- Made by `python -m driftline.metrics_reference`: edit records/metrics.py and run `make generate`. -->

# Metrics

`/metrics` on the admin address, in Prometheus's text format. Units are in the names: `_seconds`, `_bytes`, `_ratio` (1 is the
whole); `_total` counts since the spool began, also across restarts. At every moment

    driftline_exchanges_captured_total = driftline_exchanges_stored_total + sum(driftline_exchanges_dropped_total) + driftline_exchanges_pending

What `driftline_model_…` counts is a record that the store has acknowledged: their increases add up to that of `driftline_exchanges_stored_total`, and while
the store is away both stand still. Up to {COUNTED_AT_MOST} combinations of route, model, version and arm are counted apart; one that was idle for an hour makes room for
a new one, and what finds no room has the model `{OTHER}`.

What `process_…` says is of the process with this `pid`, so its sums over processes are only made of rates: `sum by (component) (rate(process_cpu_seconds_total[5m]))`.

Durations have the buckets {", ".join(map(str, DURATION_BUCKETS_SECONDS))} seconds.
"""

_LABEL_VALUES: Final[tuple[tuple[str, str, type[StrEnum]], ...]] = (
    ("role", "any metric", Role),
    ("kind", Metric.EXCHANGE_ERRORS.metric_name, ErrorKind),
    ("kind", Metric.MODEL_REQUEST_ERRORS.metric_name, ErrorKind),
    ("reason", Metric.MIRROR_SKIPPED.metric_name, SkipReason),
    ("reason", Metric.TLS_HANDSHAKES_FAILED.metric_name, HandshakeFailure),
    ("reason", Metric.ENDPOINT_EJECTIONS.metric_name, EjectionReason),
    ("reason", Metric.DROPPED.metric_name, DropReason),
    ("reason", Metric.NOT_CAPTURED.metric_name, NotCaptured),
    ("reason", Metric.BODIES_NOT_KEPT.metric_name, BodyNotKept),
    ("kind", Metric.SPOOL_DAMAGES.metric_name, DamageKind),
    ("reason", Metric.UNDECODABLE.metric_name, Undecodable),
    ("outcome", Metric.SHADOW_PAIRS.metric_name, PairOutcome),
    ("outcome", Metric.LOGGER_EVENTS.metric_name, EventOutcome),
    ("source", Metric.LABELS_RECEIVED.metric_name, LabelSource),
    ("source", Metric.LABELS_REFUSED.metric_name, LabelSource),
    ("timing", Metric.LABELS_JOINED.metric_name, LabelTiming),
    ("reason", Metric.RUNTIME_ERRORS.metric_name, RuntimeErrorReason),
    ("outcome", Metric.INJECTOR_REVIEWS.metric_name, Outcome),
    ("severity", Metric.ALERTS.metric_name, Severity),
)


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join([_INTRODUCTION, *_metric_lines(), "", "## Values of labels\n", *_label_lines(), ""])


def _metric_lines() -> Iterator[str]:
    yield "| metric | type | labels | what it says |\n| --- | --- | --- | --- |"
    for metric in Metric:
        name, kind, text, labels = metric.value
        yield f"| `{name}` | {kind} | {_code(labels)} | {text} |"


def _label_lines() -> Iterator[str]:
    yield "| metric | label | value | what it means |\n| --- | --- | --- | --- |"
    for label, metric, values in _LABEL_VALUES:
        for value, meaning in meanings(values):
            yield f"| {metric} | `{label}` | `{value}` | {meaning} |"


def meanings(values: type[StrEnum]) -> Iterator[tuple[str, str]]:
    """Yield each value that is not empty, with what the comment behind it says. Raises ValueError where there is none."""
    source = inspect.getsource(values)
    for value in filter(None, values):
        said = re.search(rf'^ +{value.name} = "{value}"  # (.+)$', source, re.MULTILINE)
        if said is None:
            raise ValueError(f"expected a comment behind {values.__name__}.{value.name} that says what it means")
        yield value, said[1]


def _code(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)


if __name__ == "__main__":
    sys.stdout.write(page())
