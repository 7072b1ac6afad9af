"""The types of arrays that the detectors pass around, and batches of them joined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]
Column: TypeAlias = npt.NDArray[Any]
"""float64 with NaN where missing; objects: str with None where missing, or, where a value of the other type came, of both types; or vectors: float32,
rows × width, with NaN where missing; or timestamps: datetime64; or free text: `FREE_TEXT`."""
Columns: TypeAlias = Mapping[str, Column]
"""Columns by name, all of one length: one entry per row of traffic."""

FREE_TEXT: Final = np.dtype([("text", np.object_)])
"""A type of its own, so that nobody takes a text for a level: str, None where missing."""

_NUMBERS: Final = frozenset({float, int, bool})


def is_numeric(column: Column) -> bool:
    """Return whether a column holds numbers."""
    return column.ndim == 1 and column.dtype.kind in "fiub"


def is_vector(column: Column) -> bool:
    """Return whether a column holds a vector in each row."""
    return column.ndim == 2 and column.dtype == np.float32


def is_level(column: Column) -> bool:
    """Return whether a column holds levels, or levels and numbers."""
    return column.dtype == np.object_


def present_rows(column: Column) -> int:
    """Return how many rows of a column of any kind have a value."""
    if is_vector(column):
        return int(np.count_nonzero(~np.isnan(column).all(axis=1)))
    if column.dtype.kind == "M":
        return int(np.count_nonzero(~np.isnat(column)))
    if is_numeric(column):
        return int(np.count_nonzero(~np.isnan(column)))
    values = column["text"] if column.dtype == FREE_TEXT else column
    return len(values) - list(values.tolist()).count(None)


def missing_like(column: Column, rows: int) -> Column:
    """Return so many rows of the same kind that are all missing."""
    if column.dtype == FREE_TEXT:
        return np.full(rows, (None,), dtype=FREE_TEXT)
    absent = None if is_level(column) else np.datetime64("NaT") if column.dtype.kind == "M" else np.nan
    return np.full((rows, *column.shape[1:]), absent, dtype=column.dtype)


def numbers_of(column: Column) -> tuple[Floats, int]:
    """Return a column's numbers, NaN in the place of what is none, and how many of its values are text."""
    if is_numeric(column):
        return column.astype(np.float64, copy=False), 0
    values = column.tolist()
    texts = sum(type(value) is str for value in values)
    return np.array([value if type(value) in _NUMBERS else np.nan for value in values], dtype=np.float64), texts


def levels_of(column: Column, *, are_codes: bool) -> tuple[list[str | None], int]:
    """Return a column's texts, None in the place of what is none, and how many of its values are numbers. Where levels are codes, a number is its text."""
    values: list[Any] = [None if value != value else value for value in column.tolist()]  # noqa: PLR0124 - NaN
    if are_codes:
        return [_as_code(value) if type(value) in _NUMBERS else value for value in values], 0
    texts = [value if type(value) is str else None for value in values]
    return texts, texts.count(None) - values.count(None)


def are_codes(levels: Iterable[str]) -> bool:
    """Return whether all levels, of which there are some, are numbers written as text: then numbers may come in their place."""
    known = list(levels)
    return bool(known) and all(map(_is_number, known))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _as_code(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else repr(float(number))


def joined(batches: Sequence[Columns]) -> Columns:
    """Return the batches one after the other; a column that one of them lacks is missing in its rows."""
    names = dict.fromkeys(name for batch in batches for name in batch)
    return {name: _joined_column(batches, name) for name in names}


def _joined_column(batches: Sequence[Columns], name: str) -> Column:
    known = [batch[name] for batch in batches if name in batch]
    kind = known[0] if not (is_numeric(known[0]) or is_level(known[0])) else np.empty(0, dtype=np.float64 if all(map(is_numeric, known)) else np.object_)
    return np.concatenate([batch[name].astype(kind.dtype) if name in batch else missing_like(kind, _rows(batch)) for batch in batches])


def _rows(batch: Columns) -> int:
    return len(next(iter(batch.values()), ()))
