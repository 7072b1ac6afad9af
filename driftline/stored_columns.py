"""A model's stored traffic as columns, for `driftline baseline --from-store`."""

from __future__ import annotations

from typing import Final

import numpy as np

from config.settings import Settings
from detectors.arrays import Column, Columns, Integers, joined
from detectors.baseline import BaselineError
from detectors.columns import ColumnBuffer
from driftline.decoding import Decoding
from driftline.stored_exchanges import Period, stored_exchanges
from records.ports import QueryFailedError, QueryRefusedError, StoreUnavailableError

EXCHANGES_AT_MOST: Final = 1_000_000


def columns_from_store(settings: Settings, period: Period) -> tuple[Columns, Integers]:
    """Return what was served in the period, a row per prediction, in the order of the traffic, and the time of each row (Unix nanoseconds).

    Raises `BaselineError` where the store cannot be asked, or holds nothing that can be decoded, and what `Decoding` raises.
    """
    try:
        batches = _batches(settings, period)
    except (QueryFailedError, QueryRefusedError, StoreUnavailableError, OSError) as error:
        raise BaselineError(str(error)) from error
    if not batches:
        where = f"on {settings.store.clickhouse}" if settings.store.clickhouse else f"in {settings.data_dir}"
        raise BaselineError(f"the store {where} has no traffic of the model {period.model!r} that can be decoded, in this period")
    return joined([columns for columns, _ in batches]), np.concatenate([times_ns for _, times_ns in batches])


def _batches(settings: Settings, period: Period) -> list[tuple[dict[str, Column], Integers]]:
    decode = Decoding(settings.routes)
    buffer = ColumnBuffer(max_features=settings.drift.max_features)
    batches: list[tuple[dict[str, Column], Integers]] = []
    for count, stored in enumerate(stored_exchanges(settings, period), start=1):
        buffer.add(*decode(stored.exchange), stored.exchange.started_at_ns)
        if buffer.is_full:
            batches.append(buffer.take())
        if count > EXCHANGES_AT_MOST:
            raise BaselineError(f"the period holds more than {EXCHANGES_AT_MOST:,} exchanges: choose a shorter one with --since and --until")
    if len(buffer):
        batches.append(buffer.take())
    return batches
