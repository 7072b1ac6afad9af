"""Rows of a CSV or Parquet file as the inputs of a model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from driftline.tools.row_source import Block
from driftline.tools.tables import FileTable, array_of
from runtime.session import Array
from runtime.signature import Signature, TensorSpec
from runtime.tools.errors import ToolError
from runtime.tools.rows import inputs_of


class FileRows:
    """One file; `excluded` columns are not looked at, `kept` ones are handed on beside the rows. Raises `ToolError`."""

    def __init__(self, file: Path, signature: Signature, *, excluded: Collection[str] = (), kept: Collection[str] = ()) -> None:
        self._table = FileTable(file)
        self._table.require([*excluded, *kept])
        self._signature = signature
        self._kept = list(kept)
        self._features = [name for name in self._table.names if name not in {*excluded, *kept}]

    @property
    def described(self) -> str:
        """The file's name."""
        return self._table.file.name

    @property
    def identity(self) -> Mapping[str, str]:
        """The file as it is now, and its columns."""
        status = self._table.file.stat()
        columns = {"features": ",".join(self._features), "kept": ",".join(self._kept)}
        return {"file": str(self._table.file.resolve()), "size_bytes": str(status.st_size), "changed_at_ns": str(status.st_mtime_ns), **columns}

    def total_rows(self) -> int | None:
        """Return how many rows a Parquet file has; a CSV file does not say it."""
        return self._table.total_rows()

    def blocks(self, after: str, rows: int) -> Iterator[Block]:
        """Yield blocks of exactly `rows` rows, the last one apart; an end is the number of rows before it."""
        start = int(after or 0)
        for table in self._table.cut([*self._features, *self._kept], self._types(), start=start, rows=rows):
            yield self._block(table, start)
            start += table.num_rows

    def _block(self, table: Any, start: int) -> Block:
        end = start + table.num_rows
        kept = {"row": np.arange(start, end), **{name: table.column(name) for name in self._kept}}
        try:
            inputs = inputs_of(self._signature, {name: array_of(name, table.column(name)) for name in self._features})
        except ToolError as error:
            raise ToolError(f"{self._table.file}, rows {start:,} to {end - 1:,}: {error}") from None
        return Block(inputs, kept, table.num_rows, 0, str(end))

    def _types(self) -> dict[str, Any]:
        """Say what the model's columns are: pyarrow would guess it from a CSV file's beginning."""
        named = {spec.name: spec for spec in self._signature.inputs}
        if named.keys() <= set(self._features):
            return {name: _type(spec) for name, spec in named.items()}
        return {name: _type(self._signature.inputs[0]) for name in self._features} if len(named) == 1 else {}


def sample_columns(file: Path, *, excluded: Collection[str], rows: int) -> dict[str, Array]:
    """Return the first rows of a file, whatever model they are for. Raises `ToolError`."""
    table = FileTable(file)
    table.require(excluded)
    names = [name for name in table.names if name not in excluded]
    for first in table.cut(names, {}, start=0, rows=rows):
        return {name: array_of(name, first.column(name)) for name in names}
    raise ToolError(f"{file} has no rows")


def _type(spec: TensorSpec) -> Any:
    if spec.datatype == "BYTES":
        return pa.string()
    return pa.float64() if spec.dtype.kind == "f" else pa.bool_() if spec.dtype.kind == "b" else pa.int64()
