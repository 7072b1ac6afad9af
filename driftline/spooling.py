"""A writer of the spool as the settings ask for it."""

from __future__ import annotations

from pathlib import Path

from config.settings import SpoolSettings
from store.spool.ledger import LedgerWriter
from store.spool.writer import SpoolWriter


def open_writer(directory: Path, ledger: LedgerWriter, spool: SpoolSettings) -> SpoolWriter:
    """Begin to write in `directory`, which is new and empty."""
    return SpoolWriter(directory, ledger, segment_bytes=spool.segment_size, max_bytes=spool.max_size, min_free_bytes=spool.min_free, sync_seconds=spool.fsync)
