"""A CSV or Parquet file, read in pieces with pyarrow: it may be larger than memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from runtime.session import Array
from runtime.tools.errors import ToolError

_SUFFIXES: Final = (".csv", ".csv.gz", ".parquet")
_CSV_BLOCK_BYTES: Final = 8 << 20


class FileTable:
    """One file. Whatever is wrong with it raises `ToolError`."""

    def __init__(self, file: Path) -> None:
        if not file.name.lower().endswith(_SUFFIXES):
            raise ToolError(f"{file} is of no known format: expected a file named *.csv, *.csv.gz or *.parquet")
        self.file = file
        self._is_csv = not file.name.lower().endswith(".parquet")
        with _told(file):
            self.names = list(self._schema().names)
        twice = next((name for name in self.names if self.names.count(name) > 1), None)
        if twice is not None:
            raise ToolError(f"{file}: two columns are named {twice!r}; give each its own name")

    def require(self, wanted: Collection[str]) -> None:
        """Raise where a column is not there."""
        absent = next((name for name in wanted if name not in self.names), None)
        if absent is not None:
            raise ToolError(f"{self.file}: there is no column {absent!r}; its columns are {', '.join(self.names[:20])}{', …' if len(self.names) > 20 else ''}")

    def total_rows(self) -> int | None:
        """Return what Parquet's footer says; a CSV file does not say it."""
        return None if self._is_csv else int(parquet.read_metadata(self.file).num_rows)

    def cut(self, names: Collection[str], types: Mapping[str, Any], *, start: int, rows: int) -> Iterator[Any]:
        """Yield Arrow tables of `rows` rows each, the last one apart, of the rows from `start` on. `types` are those of a CSV file's columns."""
        with _told(self.file):
            pieces = self._csv_batches(names, types) if self._is_csv else self._parquet_batches(names)
            yield from _joined(_behind(pieces, start), rows)

    def _schema(self) -> Any:
        if not self._is_csv:
            return parquet.read_schema(self.file)
        with csv.open_csv(self.file) as reader:
            return reader.schema

    def _csv_batches(self, names: Collection[str], types: Mapping[str, Any]) -> Iterator[Any]:
        options = csv.ConvertOptions(column_types=types, strings_can_be_null=True, include_columns=list(names))
        with csv.open_csv(self.file, read_options=csv.ReadOptions(block_size=_CSV_BLOCK_BYTES), convert_options=options) as reader:
            yield from reader

    def _parquet_batches(self, names: Collection[str]) -> Iterator[Any]:
        with parquet.ParquetFile(self.file) as opened:
            yield from opened.iter_batches(columns=list(names))


def array_of(name: str, column: Any) -> Array:
    """Return an Arrow column as NumPy has it: lists of one length as further axes, missing numbers as NaN. Raises `ToolError`."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return array_of(name, column.cast(kind.value_type))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _stacked(name, column.combine_chunks())
    if pa.types.is_decimal(kind) or pa.types.is_null(kind) or (pa.types.is_boolean(kind) and column.null_count):
        return array_of(name, column.cast(pa.float64()))
    if not any(check(kind) for check in _TAKEN):
        raise ToolError(f"the column {name!r} is of type {kind}, which no model takes; leave it out with --exclude")
    return np.asarray(column.to_numpy())


_TAKEN: Final = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_string, pa.types.is_large_string)


def _stacked(name: str, lists: Any) -> Array:
    values = array_of(name, pa.chunked_array([lists.flatten()]))
    if lists.null_count or lists.value_lengths().unique().null_count or len(lists.value_lengths().unique()) > 1:
        raise ToolError(f"the column {name!r} holds lists of different lengths; a model takes rows of one shape")
    return values.reshape(len(lists), -1, *values.shape[1:])


def _behind(batches: Iterator[Any], start: int) -> Iterator[Any]:
    for batch in batches:
        if start < batch.num_rows:
            yield pa.Table.from_batches([batch.slice(start)])
        start = max(0, start - batch.num_rows)


def _joined(tables: Iterator[Any], rows: int) -> Iterator[Any]:
    """Yield the same rows in tables of `rows` rows each; the last one may be shorter."""
    waiting: list[Any] = []
    held = 0
    for table in tables:
        waiting.append(table)
        held += table.num_rows
        while held >= rows:
            joined = pa.concat_tables(waiting)
            yield joined.slice(0, rows)
            waiting, held = [joined.slice(rows)], held - rows
    if held:
        yield pa.concat_tables(waiting)


@contextmanager
def _told(file: Path) -> Iterator[None]:
    """Turn what reading a file raises into one sentence."""
    try:
        yield
    except OSError as error:
        raise ToolError(f"cannot read {file}: {error.strerror or error}") from None
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0].strip()
        advice = "; leave out what is no feature with --exclude" if "conversion error" in reason else ""
        raise ToolError(f"cannot read {file}: {reason}{advice}") from None
