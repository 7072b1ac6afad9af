"""A replay, added up, in memory that does not grow with it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from driftline.replaying.comparing import Difference, Reply
from driftline.replaying.requests import NotSent
from records.exchange import Exchange
from records.ids import format_uuid

_DIFFERING_AT_MOST: Final = 100
_SAMPLE: Final = 10_000
_QUANTILES: Final = (0.5, 0.9, 0.99)


class Compared(msgspec.Struct, kw_only=True):
    """Of one aspect of the replies."""

    compared: int = 0
    equal: int = 0

    def count(self, equal: bool | None) -> None:
        """Add one reply; None where it could not be compared."""
        if equal is not None:
            self.compared += 1
            self.equal += equal


class Report(msgspec.Struct, kw_only=True):
    """All so far; written as JSON."""

    source: str
    target: str
    sent: int = 0
    answered: int = 0
    not_sent: Counter[str] = msgspec.field(default_factory=Counter)
    """By `NotSent`."""
    failed: Counter[str] = msgspec.field(default_factory=Counter)
    """Requests without a whole reply, by the kind of the error."""
    statuses: Counter[str] = msgspec.field(default_factory=Counter)
    """Of the replies."""
    status: Compared = msgspec.field(default_factory=Compared)
    body: Compared = msgspec.field(default_factory=Compared)
    outputs: Compared = msgspec.field(default_factory=Compared)
    largest_difference: float = 0.0
    """Between two numbers at the same place of the outputs, over all replies."""
    largest_difference_at: str = ""
    """The exchange that shows it."""
    differing: list[dict[str, Any]] = []
    """The first exchanges whose status or outputs differ."""
    latest_seconds: float = 0.0
    """How late a request was sent at worst, because the service or this machine was slower than the pace."""
    took_seconds: float = 0.0
    durations_ms: dict[str, dict[str, float]] = {}
    """Of the exchanges `then` and `now`: quantiles."""

    def skip(self, reason: NotSent) -> None:
        """Count an exchange that is not sent."""
        self.not_sent[reason.value] += 1

    def fail(self, kind: str) -> None:
        """Count a request without a reply."""
        self.failed[kind] += 1

    def add(self, exchange: Exchange, reply: Reply, difference: Difference) -> None:
        """Count a reply."""
        self.answered += 1
        self.statuses[str(reply.status)] += 1
        self.status.count(difference.status_equal)
        self.body.count(difference.body_equal)
        self.outputs.count(difference.outputs_agree)
        if difference.largest_difference is not None and difference.largest_difference > self.largest_difference:
            self.largest_difference, self.largest_difference_at = difference.largest_difference, format_uuid(exchange.exchange_id)
        if (not difference.status_equal or difference.outputs_agree is False) and len(self.differing) < _DIFFERING_AT_MOST:
            shown = {"exchange_id": format_uuid(exchange.exchange_id), "request_id": exchange.request_id, "status_then": exchange.status}
            self.differing.append({**shown, "status_now": reply.status, "largest_difference": difference.largest_difference})


class Durations:
    """A sample of durations, of which quantiles are taken: every one counts alike, however many there are."""

    def __init__(self) -> None:
        self._sample: list[float] = []
        self._seen = 0
        self._random = random.Random(0)  # noqa: S311 - a sample, not a secret

    def add(self, seconds: float) -> None:
        """Add one (reservoir sampling, Vitter 1985)."""
        self._seen += 1
        if len(self._sample) < _SAMPLE:
            self._sample.append(seconds)
        elif (place := self._random.randrange(self._seen)) < _SAMPLE:
            self._sample[place] = seconds

    def quantiles_ms(self) -> dict[str, float]:
        """Return the quantiles by their names, nothing where there are none."""
        return _quantiles_ms(sorted(self._sample)) if self._sample else {}


def _quantiles_ms(durations: Sequence[float]) -> dict[str, float]:
    return {f"p{share * 100:g}": round(durations[min(len(durations) - 1, int(share * len(durations)))] * 1e3, 3) for share in _QUANTILES}
