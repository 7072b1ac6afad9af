"""Answers in the spool, as if they had been served: a part's records are one writer's life, and appear there together or not at all.

They are staged in a directory whose name begins with a dot, which readers of the spool leave alone; renaming it publishes them. Whoever finds a
part ready and nothing staged knows that they were published.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from config.settings import Settings
from config.units import Bytes
from driftline.spooling import keys_of, open_writer
from privacy.keys import hashers
from privacy.tap import private
from records.exchange import Exchange
from records.metrics import DropReason, Metric
from store.spool.format import CIPHER_OVERHEAD_BYTES, FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES, segment_name
from store.spool.ledger import LedgerWriter
from store.spool.listing import segment_indexes

_ALIGNED_BYTES: Final = 8
_PAGE_BYTES: Final = 4096
_PATIENCE_SECONDS: Final = 30
_RETRY_SECONDS: Final = 0.5


class SpoolFullError(Exception):
    """The spool has no room for a part; the text says what to do."""


class Recording:
    """Stages and publishes the records of one job's parts."""

    def __init__(self, settings: Settings, job_id: str) -> None:
        self._settings = settings
        self._spool = settings.spool_directory
        self._job_id = job_id

    def stage(self, part: int, exchanges: Sequence[Exchange]) -> None:
        """Write the part's records beside the spool's writers, when there is room; what was staged for it before is dropped.

        Raises `SpoolFullError` where room does not come, OSError.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._stage(part, exchanges):
            if time.monotonic() > deadline:
                raise SpoolFullError(
                    f"the spool {self._spool} has no room for the next part, and nobody empties it: start `driftline monitor`, or allow more (spool.max_size); "
                    "then the same command goes on where it stopped"
                )
            time.sleep(_RETRY_SECONDS)

    def _stage(self, part: int, exchanges: Sequence[Exchange]) -> bool:
        for staged in self._staged(part):
            shutil.rmtree(staged)
        started = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        directory = self._spool / f".{started}-score-{self._job_id}-{part:08d}"
        directory.mkdir(parents=True, mode=0o700)
        fits = self._write(directory, exchanges)
        if not fits:
            shutil.rmtree(directory)
        return fits

    def publish(self, part: int) -> None:
        """Let the spool's readers see what is staged for the part; nothing where nothing is staged any more."""
        for staged in self._staged(part):
            staged.rename(staged.with_name(staged.name.removeprefix(".")))

    def _staged(self, part: int) -> list[Path]:
        return list(self._spool.glob(f".*-score-{self._job_id}-{part:08d}"))

    def _write(self, directory: Path, exchanges: Sequence[Exchange]) -> bool:
        """Write one segment that holds everything; return whether it does."""
        ledger = LedgerWriter(directory)
        writer = open_writer(directory, ledger, msgspec.structs.replace(self._settings.spool, segment_size=_segment_size(exchanges)))
        tap = private(writer, self._settings.routes, self._settings.privacy, ledger)
        for exchange in exchanges:
            tap.append(exchange)
        dropped = sum(ledger.values[ledger.slot(Metric.DROPPED.metric_name, reason)] for reason in DropReason)
        writer.close()
        ledger.close()
        for index in segment_indexes(directory):
            if index > 1:
                (directory / segment_name(index)).unlink()  # prepared for a next one that never comes
        return not dropped


def require_keys(settings: Settings) -> None:
    """Raise ValueError, with a sentence for the user, where a key with which records are encrypted or hashed cannot be read."""
    keys_of(settings.spool)
    hashers(settings.privacy.hash_keys)


def _segment_size(exchanges: Sequence[Exchange]) -> Bytes:
    encode = msgspec.msgpack.Encoder().encode
    frames = sum(FRAME_HEADER_BYTES + len(encode(exchange)) + CIPHER_OVERHEAD_BYTES + _ALIGNED_BYTES for exchange in exchanges)
    return Bytes(-(-(SEGMENT_HEADER_BYTES + frames + FRAME_HEADER_BYTES + _PAGE_BYTES) // _PAGE_BYTES) * _PAGE_BYTES)
