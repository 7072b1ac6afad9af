"""Decoded rows as Arrow, for the table `features`: numbers and texts by column's name.

A missing number is NaN, so that a mean over it is not quietly wrong; a missing text is not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

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
    names = list(dict.fromkeys(name for batch in batches for name in batch.columns))
    keys = {name: position for position, name in enumerate(names)}
    dictionary = _strings(names)
    return pa.concat_tables([_columns(batch, keys, dictionary) for batch in batches]).unify_dictionaries()


def _columns(batch: FeatureRows, keys: Mapping[str, int], dictionary: Any) -> pa.Table:
    numbers = {name: column for name, column in batch.columns.items() if column.dtype == np.float64}
    texts = {name: column for name, column in batch.columns.items() if column.dtype != np.float64}
    for name, column in texts.items():
        values = column.tolist()
        if float in set(map(type, values)):
            numbers[name] = np.array([value if type(value) is float else np.nan for value in values])
            texts[name] = np.array([value if type(value) is str else None for value in values], dtype=np.object_)
    rows = len(batch)
    return pa.table(
        {
            "model": pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), _strings([batch.model])),
            "version": _strings(batch.versions).dictionary_encode(),
            "exchange_id": pa.array(batch.exchange_ids, pa.binary(16)),
            "row": pa.array(batch.rows, pa.uint32()),
            "started_at": pa.array(batch.times_ns, pa.timestamp("ns", "UTC")),
            "numbers": _maps(_numbers(numbers, rows), [keys[name] for name in numbers], dictionary),
            "texts": _maps(_texts(texts, rows), [keys[name] for name in texts], dictionary),
        }
    )


class _Entries(NamedTuple):
    """The entries of maps, one map after the other."""

    offsets: npt.NDArray[np.int32]
    """Where each map begins, and where the last one ends."""
    columns: npt.NDArray[np.int64]
    """Of each entry: which of the batch's columns it is of."""
    values: Any


def _numbers(columns: Mapping[str, npt.NDArray[Any]], rows: int) -> _Entries:
    matrix = np.empty((rows, len(columns)), np.float32)
    with np.errstate(over="ignore"):  # to infinity
        for index, column in enumerate(columns.values()):
            matrix[:, index] = column
    return _Entries(np.arange(rows + 1, dtype=np.int32) * len(columns), np.tile(np.arange(len(columns)), rows), pa.array(matrix.ravel()))


def _texts(columns: Mapping[str, npt.NDArray[Any]], rows: int) -> _Entries:
    matrix = np.column_stack(list(columns.values())) if columns else np.empty((rows, 0), np.object_)
    there = matrix != None  # noqa: E711 - entry by entry
    return _Entries(np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int32), np.nonzero(there)[1], _strings(matrix[there]))


def _maps(entries: _Entries, keys: Sequence[int], dictionary: Any) -> Any:
    """Return maps whose keys are sent once each, as ClickHouse keeps them; `keys` are those of the batch's columns in the dictionary."""
    codes = np.array(keys, np.int32)[entries.columns]
    return pa.MapArray.from_arrays(pa.array(entries.offsets), pa.DictionaryArray.from_arrays(codes, dictionary), entries.values)


def _strings(values: Sequence[str]) -> Any:
    """JSON may hold half of a surrogate pair, UTF-8 may not."""
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        return pa.array([value.encode("utf-8", "replace").decode() for value in values], pa.string())
