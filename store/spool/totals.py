"""What one writer's life added up to, and the sum over those that are gone (`retired.json`)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from records.metrics import Metric, MetricType
from store.spool.cursor import Cursor
from store.spool.ledger import CounterName, LedgerSnapshot
from store.spool.state import LoaderState, add_counts, read_state

RETIRED_NAME: Final = "retired.json"
_GAUGES: Final = frozenset(metric.metric_name for metric in Metric if metric.value.type is MetricType.GAUGE)


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Counts in records, and whatever else the ledgers count."""

    captured: int = 0
    stored: int = 0
    dropped: dict[str, int] = {}
    pending: int = 0
    torn: int = 0
    counters: list[tuple[CounterName, int]] = []

    def plus(self, other: Totals) -> Totals:
        """Return the sums."""
        return Totals(
            captured=self.captured + other.captured,
            stored=self.stored + other.stored,
            dropped=add_counts(self.dropped, other.dropped),
            pending=self.pending + other.pending,
            torn=self.torn + other.torn,
            counters=list(add_counts(dict(self.counters), dict(other.counters)).items()),
        )


class Retired(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `retired.json`."""

    totals: Totals = Totals()
    writers: tuple[str, ...] = ()
    """Writers that are in the totals and whose directory may still be there. It is to be deleted, and not counted again."""


def totals_of(writer: str, ledger: LedgerSnapshot, loader: LoaderState) -> Totals:
    """Return what this writer and the loader did so far. The gauges of a dead writer are left out: nothing is open there any more."""
    cursor = loader.cursors.get(writer, Cursor())
    sequence = max(ledger.sequence, cursor.sequence)
    refused = {name[1]: count for name, count in ledger.counters.items() if name[0] == Metric.DROPPED.metric_name and count}
    return Totals(
        captured=sequence + sum(refused.values()),
        stored=loader.stored.get(writer, 0),
        dropped=add_counts(loader.dropped.get(writer, {}), refused),
        pending=sequence - cursor.sequence,
        torn=cursor.torn,
        counters=[(name, count) for name, count in ledger.counters.items() if ledger.alive or name[0] not in _GAUGES],
    )


def read_retired(spool: Path) -> Retired:
    """Return the totals of the writers that are gone. Raises DamagedStateError."""
    return read_state(spool / RETIRED_NAME, Retired, advice="move it away to count without the writers that are gone") or Retired()
