"""The protocols by which siblings use each other without importing each other; driftline/topology.py joins them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from records.alert import Alert
from records.exchange import Exchange
from records.outcome import Outcome
from records.payload import DecodeResult
from records.verdict import Verdict
from records.window import WindowSummary


class Tap(Protocol):
    """Where the data plane puts its records. Never blocks, never raises."""

    def append(self, exchange: Exchange) -> int:
        """Keep the record; return its sequence, or 0 where it was dropped and counted."""
        ...

    def amend(self, sequence: int, outcome: Outcome) -> None:
        """Add what became known after `append` returned `sequence`."""
        ...


class Counters(Protocol):
    """Plain integers that survive the process. Registering is slow, adding is one store to memory."""

    def slot(self, metric: str, *labels: str) -> int:
        """Return the index of the counter of `metric` with these label values, in the metric's label order."""
        ...

    values: memoryview[int]
    """`values[slot] += n` adds."""


class Decode(Protocol):
    """Turn the two bodies of an exchange into tensors."""

    def __call__(self, exchange: Exchange) -> tuple[DecodeResult, DecodeResult]:
        """Return what the request and what the response said."""
        ...


class VerdictSink(Protocol):
    """Where the detectors' results go: the store, the metrics and the alerts."""

    def __call__(self, summary: WindowSummary, verdict: Verdict) -> None:
        """Take one window's result."""
        ...


class Notifier(Protocol):
    """Tells people. Retries on its own; raises when it gave up."""

    async def send(self, alerts: Sequence[Alert]) -> None:
        """Tell about these changes of state."""
        ...
