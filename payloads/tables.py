"""Tables to tensors, one per column: CSV with or without a header, and data frames as pandas writes them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

import msgspec

from payloads.nested_lists import tensor_of
from payloads.refusal import Refused, require_few_values
from records.payload import Tensor, Undecodable

_MISSING_CELLS: Final = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"})


def tensors_of_split(frame: Any) -> list[Tensor]:
    """Return a data frame of pandas' `split` orientation: one tensor per column, or one in all where columns have no names."""
    if type(frame) is not dict or type(frame.get("data")) is not list:
        raise Refused(Undecodable.MALFORMED)
    if "columns" not in frame:
        return [tensor_of("inputs", frame["data"])]
    return [tensor_of(name, column) for name, column in named_columns(frame["columns"], frame["data"])]


def named_columns(names: Any, rows: list[Any]) -> list[tuple[str, list[Any]]]:
    """Turn rows into named columns; every row must have a value for each name."""
    if type(names) is not list or any(type(row) is not list for row in rows):
        raise Refused(Undecodable.MALFORMED)
    if any(len(row) != len(names) for row in rows):
        raise Refused(Undecodable.RAGGED)
    columns = zip(*rows, strict=True) if rows else ([] for _ in names)
    return [(str(name), list(column)) for name, column in zip(names, columns, strict=True)]


def tensors_of_csv(content: bytes) -> list[Tensor]:
    """Return one tensor per column of CSV with a header; a column is numeric where every cell that is not missing is a number."""
    names, *rows = _csv_rows(content)
    return _named_cells(names, rows)


def tensors_of_bare_csv(name: str, content: bytes) -> list[Tensor]:
    """Return CSV that may have a header, if more rows follow it. Without one the cells are one tensor."""
    rows = _csv_rows(content)
    if len(rows) > 1 and is_header(rows[0]):
        return _named_cells(rows[0], rows[1:])
    columns = named_columns(rows[0], rows)  # of which each is parsed by itself, unless all of them are numbers
    values = _numbers([cell for row in rows for cell in row]) or list(chain.from_iterable(zip(*(_parsed(cells) for _, cells in columns), strict=True)))
    flat = tensor_of(name, values)
    return [msgspec.structs.replace(flat, shape=(len(rows), len(columns)))]


def is_header(row: list[str]) -> bool:
    """Whether a first row looks like names: none is a number, or they count from 0 as pandas does where columns have no names."""
    return not any(map(_is_number, row)) or (len(row) > 1 and row == list(map(str, range(len(row)))))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _named_cells(names: list[str], rows: list[list[str]]) -> list[Tensor]:
    return [tensor_of(name, _parsed(column)) for name, column in named_columns(names, rows)]


def _csv_rows(content: bytes) -> list[list[str]]:
    """Return the rows that are not empty, of which there is at least one (RFC 4180, in UTF-8)."""
    rows: list[list[str]] = []
    cells = 0
    try:
        for row in csv.reader(io.StringIO(content.decode("utf-8-sig"))):
            if row:
                rows.append(row)
                cells += len(row)
                require_few_values(cells)
    except (UnicodeDecodeError, csv.Error):
        raise Refused(Undecodable.MALFORMED) from None
    if not rows:
        raise Refused(Undecodable.EMPTY)
    return rows


def _parsed(cells: Sequence[str]) -> list[Any]:
    """Return numbers where every cell that is not missing is one, else text."""
    return _numbers(cells) or [None if cell in _MISSING_CELLS else cell for cell in cells]


def _numbers(cells: Sequence[str]) -> list[Any]:
    """Return the cells as numbers, nothing where one is neither missing nor a number."""
    try:
        if _MISSING_CELLS.isdisjoint(cells):
            return list(map(float, cells))
        return [None if cell in _MISSING_CELLS else float(cell) for cell in cells]
    except ValueError:
        return []
