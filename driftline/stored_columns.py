"""A model's stored traffic as columns, for baselines."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from config.settings import Settings
from detectors.arrays import Column, Columns, Integers, joined
from detectors.baseline import BaselineError
from detectors.columns import ColumnBuffer
from driftline.decoding import Decoding
from driftline.stored_exchanges import Period, StoredExchange, stored_exchanges
from records.ports import QueryFailedError, QueryRefusedError, StoreUnavailableError

EXCHANGES_AT_MOST: Final = 1_000_000
BYTES_AT_MOST: Final = 2**30
"""What columns may take: 350,000 vectors of 768 values, or a million rows of 130 numbers."""

_BATCH_ROWS: Final = 10_000


def columns_from_store(settings: Settings, period: Period) -> tuple[Columns, Integers]:
    """Return what was served in the period, a row per prediction, in the order of the traffic, and the time of each row (Unix nanoseconds).

    Raises `BaselineError` where the store cannot be asked, or holds nothing that can be decoded, and what `Decoding` raises.
    """
    try:
        columns, times_ns = columns_of(
            _counted(stored_exchanges(settings, period)),
            Decoding(settings.routes),
            ColumnBuffer(max_features=settings.drift.max_features, vector_width=settings.drift.vector_width),
        )
    except (QueryFailedError, QueryRefusedError, StoreUnavailableError, OSError) as error:
        raise BaselineError(str(error)) from error
    if not len(times_ns):
        where = f"on {settings.store.clickhouse}" if settings.store.clickhouse else f"in {settings.data_dir}"
        raise BaselineError(f"the store {where} has no traffic of the model {period.model!r} that can be decoded, in this period")
    return columns, times_ns


def columns_of(exchanges: Iterable[StoredExchange], decode: Decoding, buffer: ColumnBuffer, rows_at_most: int | None = None) -> tuple[Columns, Integers]:
    """Return the rows of exchanges, in their order, and the time of each row (Unix nanoseconds); of more than `rows_at_most` about the last ones.

    Of rows that are wider than fits memory, likewise; without `rows_at_most` raises `BaselineError` instead.
    """
    batches: deque[tuple[dict[str, Column], Integers]] = deque()
    rows = size_bytes = 0
    for stored in exchanges:
        buffer.add(*decode(stored.exchange), stored.exchange.started_at_ns)
        if buffer.is_full or len(buffer) >= _BATCH_ROWS:
            batches.append(buffer.take())
            rows, size_bytes = rows + len(batches[-1][1]), size_bytes + _size_bytes(batches[-1][0])
        if rows_at_most is None and size_bytes > BYTES_AT_MOST:
            raise BaselineError(f"the rows of the period take more than {BYTES_AT_MOST // 2**20:,} MiB: choose a shorter one with --since and --until")
        while rows_at_most is not None and batches and (rows - len(batches[0][1]) >= rows_at_most or size_bytes > BYTES_AT_MOST):
            columns, times_ns = batches.popleft()
            rows, size_bytes = rows - len(times_ns), size_bytes - _size_bytes(columns)
    batches.append(buffer.take())
    return joined([columns for columns, _ in batches]), np.concatenate([times_ns for _, times_ns in batches])


def _size_bytes(columns: Columns) -> int:
    return sum(column.nbytes for column in columns.values())


def _counted(exchanges: Iterable[StoredExchange]) -> Iterator[StoredExchange]:
    for count, stored in enumerate(exchanges, start=1):
        if count > EXCHANGES_AT_MOST:
            raise BaselineError(f"the period holds more than {EXCHANGES_AT_MOST:,} exchanges: choose a shorter one with --since and --until")
        yield stored
