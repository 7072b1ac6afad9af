"""A model's stored traffic as columns, for `driftline baseline --from-store`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from config.settings import Settings
from detectors.arrays import Column, Columns, Integers, joined
from detectors.baseline import BaselineError
from detectors.columns import ColumnBuffer
from driftline.stored_exchanges import Period, stored_exchanges
from payloads.decoding import decode
from records.ports import QueryFailedError, QueryRefusedError, StoreUnavailableError

EXCHANGES_AT_MOST: Final = 1_000_000


def columns_from_store(*, data_dir: Path, model: str, version: str, since_ns: int | None, until_ns: int | None) -> tuple[Columns, Integers]:
    """Return what was served by the model in [since, until), a row per prediction, in the order of the traffic, and the time of each row (Unix nanoseconds).

    Raises `BaselineError` where the store cannot be asked, or holds nothing that can be decoded.
    """
    try:
        batches = _batches(Settings(data_dir=str(data_dir)), Period(model, version, since_ns, until_ns))
    except (QueryFailedError, QueryRefusedError, StoreUnavailableError, OSError) as error:
        raise BaselineError(str(error)) from error
    if not batches:
        raise BaselineError(f"the store in {data_dir} has no traffic of the model {model!r} that can be decoded, in this period")
    return joined([columns for columns, _ in batches]), np.concatenate([times_ns for _, times_ns in batches])


def _batches(settings: Settings, period: Period) -> list[tuple[dict[str, Column], Integers]]:
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
