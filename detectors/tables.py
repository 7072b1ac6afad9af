"""Columns of features from files: CSV and Parquet, read with pyarrow. Long lists of numbers are vectors."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import compute, csv, parquet

from detectors.arrays import Column, Integers
from detectors.derived import DIMENSION
from detectors.vectors import NARROWEST, folded

_SUFFIXES: Final = (".csv", ".csv.gz", ".parquet")


class TableError(ValueError):
    """A table that cannot be read as columns of features; the text says where and what to do."""


class Table(NamedTuple):
    """The columns of a file, rows in its order."""

    columns: dict[str, Column]
    rows: int
    left_out: dict[str, str]
    """Columns that are not features, and their type: bytes, lists of lists."""
    times_ns: Integers | None
    """Unix nanoseconds from the time column, where one was asked for."""


def read_table(
    path: Path, *, excluded: Collection[str] = (), numbers: Collection[str] = (), levels: Collection[str] = (), time_column: str | None = None
) -> Table:
    """Read a file; `numbers` and `levels` are the names of columns whose kind is known, the kind of others is that of their type."""
    arrow = _read(path, numbers, levels)
    _check_names(path, arrow.column_names, [*excluded, *([time_column] if time_column else [])])
    columns: dict[str, Column] = {}
    left_out: dict[str, str] = {}
    for name in arrow.column_names:
        if name in excluded or name == time_column:
            continue
        found = _vectors(name, arrow.column(name)) or _feature(path, name, arrow.column(name), is_number=name in numbers)
        columns |= found
        if not found:
            left_out[name] = str(arrow.column(name).type)
    times_ns = _times_ns(path, time_column, arrow.column(time_column)) if time_column else None
    return Table(columns, arrow.num_rows, left_out, times_ns)


def _read(path: Path, numbers: Collection[str], levels: Collection[str]) -> Any:
    if not path.name.lower().endswith(_SUFFIXES):
        raise TableError(f"{path} is of no known format: expected a file named *.csv, *.csv.gz or *.parquet")
    try:
        if path.suffix.lower() == ".parquet":
            return parquet.read_table(path)
        types = dict.fromkeys(numbers, pa.float64()) | dict.fromkeys(levels, pa.string())
        return csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=types, strings_can_be_null=True))
    except OSError as error:
        raise TableError(f"cannot read the table {path}: {error.strerror or error}") from None
    except pa.ArrowException as error:
        raise TableError(f"cannot read the table {path}: {_first_line(error)}") from None


def _check_names(path: Path, names: list[str], wanted: list[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise TableError(f"{path}: two columns are named {twice!r}; give each its own name")
    absent = next((name for name in wanted if name not in names), None)
    if absent is not None:
        raise TableError(f"{path}: there is no column {absent!r}; its columns are {', '.join(names[:20])}{', …' if len(names) > 20 else ''}")


def _vectors(name: str, column: Any) -> dict[str, Column]:
    """Return a column of lists of numbers as vectors, and how many values each has; nothing where its type is another.

    Short lists are a column for each of their values. Lists of another length than most are missing.
    """
    kind = column.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)) or not _is_numeric(kind.value_type):
        return {}
    lengths = np.array(compute.list_value_length(column).to_numpy(zero_copy_only=False), dtype=np.float64)
    known = lengths[lengths > 0].astype(np.int64)
    if not len(known):
        return {}
    dimension = int(np.bincount(known).argmax())
    rows = np.flatnonzero(lengths == dimension)
    values = compute.list_flatten(column.take(pa.array(rows))).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    matrix = np.array(values, dtype=np.float64).reshape(len(rows), dimension)
    if dimension < NARROWEST:
        return {f"{name}[{index}]": _placed(of_value, rows, len(lengths)) for index, of_value in enumerate(matrix.T)}
    return {name: _placed(folded(matrix), rows, len(lengths)), name + DIMENSION: lengths}


def _placed(values: Column, rows: Integers, count: int) -> Column:
    """Return so many rows of which these have values, and the others are missing."""
    placed = np.full((count, *values.shape[1:]), np.nan, dtype=values.dtype)
    placed[rows] = values
    return placed


def _feature(path: Path, name: str, column: Any, *, is_number: bool) -> dict[str, Column]:
    """Return a column of numbers or of levels; nothing where its type is neither."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return {name: np.asarray(column.cast(pa.timestamp("ns")).to_numpy(zero_copy_only=False), dtype="datetime64[ns]")}
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if is_text and not is_number:
        return {name: np.asarray(column.cast(pa.string()).to_numpy(zero_copy_only=False), dtype=np.object_)}
    if not (is_text or _is_numeric(kind)):
        return {}
    try:
        numbers = column.cast(kind).cast(pa.float64(), safe=False)
    except pa.ArrowException as error:
        raise TableError(f"{path}: the column {name!r} holds numbers in the baseline, but here: {_first_line(error)}") from None
    return {name: np.array(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)}


def _is_numeric(kind: Any) -> bool:
    return any(check(kind) for check in (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal, pa.types.is_null))


def _times_ns(path: Path, name: str, column: Any) -> Integers:
    """Return Unix nanoseconds from timestamps, dates, or numbers of seconds."""
    if column.null_count:
        raise TableError(f"{path}: the time column {name!r} lacks {column.null_count} of its values; every row needs a time")
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return np.asarray(column.cast(pa.timestamp("ns")).cast(pa.int64()).to_numpy(), dtype=np.int64)
    if _is_numeric(column.type):
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy() * 1e9, dtype=np.int64)
    raise TableError(f"{path}: the time column {name!r} is of type {column.type}; expected timestamps (ISO 8601 in CSV) or Unix seconds")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].strip()
