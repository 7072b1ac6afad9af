"""The types of arrays that the detectors pass around, and batches of them joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]
Column: TypeAlias = npt.NDArray[Any]
"""float64 with NaN where missing, or objects: str with None where missing."""
Columns: TypeAlias = Mapping[str, Column]
"""Columns by name, all of one length: one entry per row of traffic."""


def is_numeric(column: Column) -> bool:
    """Return whether a column holds numbers; any other one holds levels."""
    return column.dtype.kind in "fiub"


def joined(batches: Sequence[Columns]) -> Columns:
    """Return the batches one after the other; a column that one of them lacks is missing in its rows."""
    names = dict.fromkeys(name for batch in batches for name in batch)
    return {name: _joined_column(batches, name) for name in names}


def _joined_column(batches: Sequence[Columns], name: str) -> Column:
    known = next(batch[name] for batch in batches if name in batch)
    absent = np.nan if is_numeric(known) else None
    return np.concatenate([batch[name] if name in batch else np.full(_rows(batch), absent, dtype=known.dtype) for batch in batches])


def _rows(batch: Columns) -> int:
    return len(next(iter(batch.values()), ()))
