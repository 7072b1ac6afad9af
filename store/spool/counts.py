"""captured = stored + dropped + pending, over all writers that ever were, and what their ledgers count besides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from records.status import Counts, WriterStatus
from store.spool.ledger import CounterName, LedgerSnapshot, read_ledger
from store.spool.listing import writer_names
from store.spool.state import LoaderState
from store.spool.totals import Retired, Totals, read_retired, totals_of


class Stock(NamedTuple):
    """The spool's figures at one moment."""

    counts: Counts
    writers: tuple[WriterStatus, ...]
    """Those whose directory is still there, oldest first."""
    counters: dict[CounterName, int]
    """All ledgers' counters, summed by name; gauges over living writers only."""


def take_stock(spool: Path, loader: LoaderState) -> Stock:
    """Return the figures, given the loader's state as it was last written. Raises DamagedStateError.

    A writer can be retired while the ledgers are read, and then be counted twice or not at all: so this is done again until nobody was.
    """
    while True:
        retired = read_retired(spool)
        stock = _add_up(spool, loader, retired)
        if read_retired(spool) == retired:
            return stock


def _add_up(spool: Path, loader: LoaderState, retired: Retired) -> Stock:
    totals = retired.totals
    writers = []
    for writer, ledger in _ledgers(spool):
        if writer not in retired.writers:
            its = totals_of(writer, ledger, loader)
            totals = totals.plus(its)
            writers.append(WriterStatus(writer=writer, alive=ledger.alive, captured=its.captured, pending=its.pending))
    return Stock(_counts(totals), tuple(writers), dict(totals.counters))


def _ledgers(spool: Path) -> Iterator[tuple[str, LedgerSnapshot]]:
    """Yield every readable ledger; a reader says which are not."""
    for writer in writer_names(spool):
        try:
            yield writer, read_ledger(spool / writer)
        except (FileNotFoundError, ValueError):
            continue


def _counts(totals: Totals) -> Counts:
    return Counts(captured=totals.captured, stored=totals.stored, dropped=totals.dropped, pending=totals.pending, torn=totals.torn)
