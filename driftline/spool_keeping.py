"""Keeps the spool within its bounds while the store's loader reads it: what was read is deleted, and the oldest given up where that is asked for."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from config.choices import WhenFull
from config.settings import Settings, SpoolSettings
from store.clickhouse.batch import BatchLimits
from store.clickhouse.loader import Loader
from store.spool.cursor import Cursor
from store.spool.evict import Bounds, evict
from store.spool.retire import retire

_RETIRE_SECONDS: Final = 2.0
_MAKE_ROOM_SECONDS: Final = 0.25

_log = logging.getLogger(__name__)


class SpoolKeeping:
    """Deletes, on an event loop, what both consumers of a spool have passed."""

    def __init__(self, spool: Path, settings: SpoolSettings, loader: Loader, others: Callable[[], Mapping[str, Cursor]]) -> None:
        """`others` returns how far the consumer beside the loader has come, as it was last written down."""
        self._spool = spool
        self._bounds = _bounds(settings)
        self._loader = loader
        self._others = others
        self._retiring = threading.Lock()  # a last time, while stopping, whatever the regular one is at

    async def retire(self) -> None:
        """Delete what was read, again and again."""
        while True:
            await asyncio.sleep(_RETIRE_SECONDS)
            try:
                await asyncio.to_thread(self.retire_once)
            except (OSError, ValueError) as error:
                _log.warning("cannot delete what was read from the spool: %s", error)

    async def make_room(self) -> None:
        """Give up what is beyond the bounds, again and again."""
        while True:
            await asyncio.sleep(_MAKE_ROOM_SECONDS)
            try:
                await asyncio.to_thread(self._make_room_once)
            except (OSError, ValueError) as error:
                _log.warning("cannot make room in the spool: %s", error)

    def retire_once(self) -> None:
        """Delete what was read. Raises OSError or ValueError."""
        with self._retiring:
            retire(self._spool, self._loader.state, self._others(), now_seconds=time.time())

    def _make_room_once(self) -> None:
        with self._retiring:
            evict(self._spool, self._bounds, self._loader.reader, lambda: self._loader.state, self._others(), now_seconds=time.time())


def batch_limits(settings: Settings) -> BatchLimits:
    """Return when a batch is due. What the loader holds cannot be given up: it must not be all that the spool holds."""
    size_bytes = min(settings.store.batch_size, settings.spool.max_size // 4)
    return BatchLimits(rows=settings.store.batch_rows, size_bytes=size_bytes, wait_seconds=settings.store.batch_wait)


def _bounds(spool: SpoolSettings) -> Bounds:
    return Bounds(
        max_bytes=spool.max_size,
        min_free_bytes=spool.min_free,
        reserve_bytes=min(spool.max_size // 4, 8 * spool.segment_size),
        max_age_seconds=math.inf if spool.max_age is None else spool.max_age,
        drop_oldest=spool.when_full is WhenFull.DROP_OLDEST,
    )
