"""Requests, errors and durations of each model and version, counted when their records are stored.

The loader keeps these counts in one file with its cursors: each stored record is in them once, over all workers and restarts. The names of models
and versions come from whoever sends requests, so only so many are counted apart; where one more comes, the one that was idle for longest makes
room if that was long, and else the newcomer is counted under `OTHER`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from records.exchange import Exchange, Role
from records.metrics import BUCKET_LABELS, BUCKET_SUFFIX, DURATION_BUCKETS_SECONDS, SUM_NS_SUFFIX, Metric

COUNTED_AT_MOST: Final = 200
OTHER: Final = "other"
"""The model of what is not counted apart."""

_IDLE_NS: Final = 3_600_000_000_000
_BOUNDS_NS: Final = tuple(int(seconds * 1e9) for seconds in DURATION_BUCKETS_SECONDS)


class Counted(NamedTuple):
    """What is counted apart: the labels of its metrics, in their order."""

    route: str
    model: str
    version: str
    arm: str
    role: Role


class ModelCount(msgspec.Struct, array_like=True):
    """The counts of one."""

    of: Counted
    codes: dict[str, int] = {}
    """Exchanges by what was answered."""
    errors: dict[str, int] = {}
    """Those that did not end in an ordinary reply, by `records.exchange.ErrorKind`."""
    durations: list[int] = []
    """By bucket of `records.metrics.DURATION_BUCKETS_SECONDS`, smaller ones not included."""
    sum_ns: int = 0
    latest_ns: int = 0
    """When the latest exchange began."""


def add_exchanges(counts: Sequence[ModelCount], exchanges: Iterable[tuple[Exchange, str, str]]) -> tuple[ModelCount, ...]:
    """Return the counts with these exchanges, each with its model and version; what was given stays as it is."""
    known = {count.of: _copy(count) for count in counts}
    for exchange, model, version in exchanges:
        _add(_room_for(Counted(exchange.route, model, version, exchange.arm, exchange.role), exchange.started_at_ns, known), exchange)
    return tuple(known.values())


def samples_of_models(counts: Iterable[ModelCount]) -> Mapping[tuple[str, ...], int]:
    """Return the counts as the metrics page takes them."""
    duration = Metric.MODEL_REQUEST_DURATION.metric_name
    samples: dict[tuple[str, ...], int] = {}
    for count in counts:
        samples |= {(Metric.MODEL_REQUESTS.metric_name, *count.of, code): number for code, number in count.codes.items()}
        samples |= {(Metric.MODEL_REQUEST_ERRORS.metric_name, *count.of, kind): number for kind, number in count.errors.items()}
        samples |= {(duration + BUCKET_SUFFIX, *count.of, bound): number for bound, number in zip(BUCKET_LABELS, count.durations, strict=True)}
        samples[duration + SUM_NS_SUFFIX, *count.of] = count.sum_ns
    return samples


def _copy(count: ModelCount) -> ModelCount:
    return msgspec.structs.replace(count, codes=dict(count.codes), errors=dict(count.errors), durations=list(count.durations))


def _room_for(of: Counted, now_ns: int, known: dict[Counted, ModelCount]) -> ModelCount:
    """Return where an exchange of this time is counted."""
    found = known.get(of)
    if found is not None:
        return found
    if len(known) >= COUNTED_AT_MOST:
        idle = min(known.values(), key=lambda count: count.latest_ns)
        if now_ns - idle.latest_ns < _IDLE_NS:
            of = Counted("", OTHER, "", "", of.role)
        else:
            del known[idle.of]
    return known.setdefault(of, ModelCount(of, durations=[0] * len(BUCKET_LABELS)))


def _add(count: ModelCount, exchange: Exchange) -> None:
    code = str(exchange.status)
    count.codes[code] = count.codes.get(code, 0) + 1
    if exchange.error:
        count.errors[exchange.error.value] = count.errors.get(exchange.error.value, 0) + 1
    if exchange.total_ns >= 0:
        count.durations[bisect_left(_BOUNDS_NS, exchange.total_ns)] += 1
        count.sum_ns += exchange.total_ns
    count.latest_ns = max(count.latest_ns, exchange.started_at_ns)
