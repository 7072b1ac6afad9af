"""Decoded rows as Arrow, for the table `features`: numbers and texts by column's name.

A missing number is NaN, so that a mean over it is not quietly wrong; a missing text is not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa


class FeatureRows(msgspec.Struct, frozen=True):
    """Rows of one model: all sequences and columns are of one length."""

    model: str
    versions: Sequence[str]
    exchange_ids: Sequence[bytes]
    rows: Sequence[int]
    """Of the exchange, from 0."""
    times_ns: npt.NDArray[np.int64]
    columns: Mapping[str, npt.NDArray[Any]]
    """float64, or objects: str with None where missing; floats too where values of another type came."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    @property
    def size_bytes(self) -> int:
        """About what they take in memory."""
        return sum(column.nbytes for column in self.columns.values()) + 200 * len(self)


def feature_columns(batches: Sequence[FeatureRows]) -> pa.Table:
    """Return the columns of the table."""
    return pa.concat_tables([_columns(batch) for batch in batches])


def _columns(batch: FeatureRows) -> pa.Table:
    numbers = {name: column for name, column in batch.columns.items() if column.dtype == np.float64}
    texts = {name: column for name, column in batch.columns.items() if column.dtype != np.float64}
    for name, column in texts.items():
        values = column.tolist()
        if float in set(map(type, values)):
            numbers[name] = np.array([value if type(value) is float else np.nan for value in values])
            texts[name] = np.array([value if type(value) is str else None for value in values], dtype=np.object_)
    return pa.table(
        {
            "model": pa.array([batch.model] * len(batch), pa.string()),
            "version": pa.array(batch.versions, pa.string()),
            "exchange_id": pa.array(batch.exchange_ids, pa.binary(16)),
            "row": pa.array(batch.rows, pa.uint32()),
            "started_at": pa.array(batch.times_ns, pa.timestamp("ns", "UTC")),
            "numbers": _numbers(numbers, len(batch)),
            "texts": _texts(texts, len(batch)),
        }
    )


def _numbers(columns: Mapping[str, npt.NDArray[Any]], rows: int) -> Any:
    with np.errstate(over="ignore"):  # to infinity
        matrix = np.column_stack([column.astype(np.float32) for column in columns.values()]) if columns else np.empty((rows, 0), np.float32)
    offsets = np.arange(rows + 1, dtype=np.int32) * len(columns)
    return pa.MapArray.from_arrays(pa.array(offsets), _names(columns, np.tile(np.arange(len(columns)), rows)), pa.array(matrix.ravel()))


def _texts(columns: Mapping[str, npt.NDArray[Any]], rows: int) -> Any:
    matrix = np.column_stack(list(columns.values())) if columns else np.empty((rows, 0), np.object_)
    there = matrix != None  # noqa: E711 - entry by entry
    offsets = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int32)
    return pa.MapArray.from_arrays(pa.array(offsets), _names(columns, np.nonzero(there)[1]), _strings(matrix[there]))


def _names(columns: Mapping[str, npt.NDArray[Any]], indexes: npt.NDArray[np.int64]) -> Any:
    return _strings(list(columns)).take(pa.array(indexes))


def _strings(values: Sequence[str]) -> Any:
    """JSON may hold half of a surrogate pair, UTF-8 may not."""
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        return pa.array([value.encode("utf-8", "replace").decode() for value in values], pa.string())
