"""A spool that holds traffic already, as a worker leaves it that has ended."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from config.settings import SpoolSettings
from records.exchange import Exchange
from store.spool.ledger import LedgerWriter
from store.spool.writer import SpoolWriter, create_writer_directory


def fill_spool(spool: Path, exchanges: Iterable[Exchange], max_bytes: int = SpoolSettings().max_size) -> int:
    """Write the exchanges; return how many they are."""
    directory = create_writer_directory(spool, 0)
    ledger = LedgerWriter(directory)
    writer = SpoolWriter(directory, ledger, segment_bytes=SpoolSettings().segment_size, max_bytes=max_bytes)
    count = 0
    for exchange in exchanges:
        while not writer.append(exchange):
            time.sleep(0.001)  # faster than traffic: the next segment is not ready yet
        count += 1
    writer.close()
    ledger.close()
    return count
