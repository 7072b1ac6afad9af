"""Decoded exchanges to columns: one entry per row of traffic, one column per feature, in batches.

Exchanges of one *layout* (the same tensor names and shapes) only extend flat lists; NumPy sees them once per batch.

Names: a tensor of shape [n] or [n, 1] is the column `tensor`; [n, k] gives `tensor[0]` … `tensor[k-1]`, [n, k, m] gives
`tensor[0,0]` … ; columns that have names of their own keep them. A wider tensor without such names is a vector, in one column `tensor` (rows × width), and
`tensor.dimension` tells its width. Outputs are prefixed with `output.`. Free text (`TEXT`) has a column of its own type, and
its length comes as a tensor of its own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum, StrEnum
from itertools import islice, product
from typing import Any, Final

import numpy as np

from detectors.arrays import FREE_TEXT, Column, Floats, Integers, missing_like
from detectors.derived import DIMENSION, made_of
from detectors.vectors import NARROWEST, folded, folded_width
from records.baseline import Baseline
from records.payload import TEXT, Decoded, DecodeResult, Tensor

MAX_TEXT_LENGTH: Final = 256
"""Characters of a text that are kept: enough to tell levels apart, and a bound on what a batch holds."""

MAX_FREE_TEXT_LENGTH: Final = 1_000
"""Characters of a free text that are read."""

_FREE_TEXT_SIZE: Final = MAX_FREE_TEXT_LENGTH // 8  # in numbers, which take 8 bytes each
_NOT_NUMERIC: Final = frozenset({"BYTES", "JSON"})


class LeftOut(StrEnum):
    """Why something decoded did not become a column's entry."""

    ROWS_DIFFER = "rows_differ"  # exchanges of which a tensor has not as many rows as the first one
    BUFFER_FULL = "buffer_full"  # exchanges
    MAX_FEATURES = "max_features"  # columns, counted once in each batch and layout


class _Kind(Enum):
    NUMBER = "number"
    TEXT = "text"
    VECTOR = "vector"
    FREE_TEXT = "free text"


class _FreeTextColumn:
    """The texts of one tensor over the exchanges of a layout: of each row the first one."""

    __slots__ = ("_name", "_values", "width")

    def __init__(self, name: str) -> None:
        self.width = _FREE_TEXT_SIZE
        self._name = name
        self._values: list[str | None] = []

    def extend(self, tensor: Tensor) -> None:
        texts = tensor.values[:: len(tensor.values) // tensor.shape[0]]
        self._values += [text[:MAX_FREE_TEXT_LENGTH] if type(text) is str else None for text in texts]

    def columns(self, rows: int) -> Iterator[tuple[str, Column]]:  # noqa: ARG002 - like that of vectors
        yield self._name, np.array([(text,) for text in self._values], dtype=FREE_TEXT)


class _VectorColumn:
    """The vectors of one tensor over the exchanges of a layout."""

    __slots__ = ("_dimension", "_values", "name", "width")

    def __init__(self, name: str, width: int, dimension: int) -> None:
        """Vectors of another `width` than the feature's `dimension` are missing."""
        self.name = name
        self.width = width
        self._dimension = dimension
        self._values: list[Any] = []

    def extend(self, tensor: Tensor) -> None:
        self._values += tensor.values

    def columns(self, rows: int) -> Iterator[tuple[str, Column]]:
        if self.width == self._dimension:
            yield self.name, folded(np.array(self._values, dtype=np.float64).reshape(rows, self.width))
        else:
            yield self.name, np.full((rows, folded_width(self._dimension)), np.nan, dtype=np.float32)
        yield self.name + DIMENSION, np.full(rows, float(self.width))


class _TensorColumns:
    """The values of one tensor over the exchanges of a layout, row-major."""

    __slots__ = ("is_numeric", "names", "values", "width")

    def __init__(self, names: list[str | None], width: int) -> None:
        self.names = names  # None where a column is left out; at most `width` entries
        self.width = width
        self.values: list[Any] = []
        self.is_numeric = True

    def extend(self, tensor: Tensor) -> None:
        if tensor.datatype in _NOT_NUMERIC:
            self.is_numeric = False
            self.values += [value[:MAX_TEXT_LENGTH] if type(value) is str else value for value in tensor.values]
        else:
            self.values += tensor.values


class _Layout:
    """Exchanges whose tensors have the same names and shapes."""

    __slots__ = ("positions", "rows", "rows_differ", "size", "tensors")

    def __init__(self, rows: int, tensors: list[_TensorColumns | _VectorColumn | _FreeTextColumn | None], *, rows_differ: bool) -> None:
        self.rows = rows  # of each exchange
        self.tensors = tensors  # None where the tensor has another number of rows, or is left out
        self.rows_differ = rows_differ
        self.size = rows * (1 + sum(tensor.width for tensor in tensors if tensor))
        self.positions: list[int] = []  # of its rows in the batch


class ColumnBuffer:
    """Collects exchanges until `take` returns them as columns, rows in the order in which they were added.

    A column is of numbers or of text: whatever most of its values were when `take` first met any. Afterwards values of the
    other kind make it a column of both. A column of which no value was seen yet is not there.
    """

    def __init__(
        self,
        *,
        max_features: int,
        input_names: tuple[str, ...] = (),
        max_values: int = 1_000_000,
        vector_width: int = NARROWEST,
        vectors: Mapping[str, int] | None = None,
    ) -> None:
        """`input_names` name the columns of a request's only tensor, where it has as many and names none itself. `max_values` are held, and those of one exchange more.

        Other tensors without names are vectors from `vector_width` values per row on, and where `vectors` has their name: it has the dimension of those that are known.
        """
        self._max_features = max_features
        self._vector_width = vector_width
        self._dimensions = dict(vectors or {})
        self._input_names = input_names
        self._max_values = max_values
        self._kinds: dict[str, _Kind | None] = dict.fromkeys(self._dimensions, _Kind.VECTOR)  # of every column that was admitted
        self._layouts: dict[Any, _Layout] = {}
        self._times_ns: list[int] = []
        self.size = 0
        self.left_out: Counter[LeftOut] = Counter()

    @classmethod
    def of(cls, baseline: Baseline, *, max_features: int, vector_width: int) -> ColumnBuffer:
        """Return a buffer for traffic that is compared with a baseline: it knows the names of its inputs, and its vectors."""
        made = made_of(baseline)
        inputs = tuple(feature.name for feature in baseline.features if not feature.name.startswith("output.") and feature.name not in made)
        vectors = {vector.name: vector.dimension for vector in baseline.vectors}
        return cls(max_features=max_features, input_names=inputs, vector_width=vector_width, vectors=vectors)

    def __len__(self) -> int:
        """Return the number of rows since the last `take`."""
        return len(self._times_ns)

    @property
    def is_full(self) -> bool:
        """Whether the next exchange would be left out: time to `take`."""
        return self.size >= self._max_values

    def add(self, request: DecodeResult, response: DecodeResult, started_at_ns: int) -> int:
        """Add the rows of one exchange and return how many they are; what could not be decoded adds no columns."""
        inputs = request.tensors if type(request) is Decoded else []
        outputs = response.tensors if type(response) is Decoded else []
        tensors = inputs + outputs
        if not tensors or not tensors[0].shape[0]:
            return 0
        if self.is_full:
            self.left_out[LeftOut.BUFFER_FULL] += 1
            return 0
        layout = self._layout_of(tensors, len(inputs))
        self.size += layout.size
        if layout.rows_differ:
            self.left_out[LeftOut.ROWS_DIFFER] += 1
        for columns, tensor in zip(layout.tensors, tensors, strict=True):
            if columns is not None:
                columns.extend(tensor)
        position = len(self._times_ns)
        layout.positions += range(position, position + layout.rows)
        self._times_ns += [started_at_ns] * layout.rows
        return layout.rows

    def take(self) -> tuple[dict[str, Column], Integers]:
        """Return the columns and the time (Unix nanoseconds) of every row since the last call."""
        times_ns = np.array(self._times_ns, dtype=np.int64)
        layouts = list(self._layouts.values())
        self._layouts, self._times_ns, self.size = {}, [], 0
        if len(layouts) == 1:
            return dict(self._columns(layouts[0])), times_ns
        return self._aligned(layouts, len(times_ns)), times_ns

    def _layout_of(self, tensors: list[Tensor], inputs: int) -> _Layout:
        key = (inputs, *[(tensor.name, tensor.shape, tensor.columns) for tensor in tensors])
        layout = self._layouts.get(key)
        if layout is None:
            layout = self._layouts[key] = self._new_layout(tensors, inputs)
        return layout

    def _new_layout(self, tensors: list[Tensor], inputs: int) -> _Layout:
        rows = tensors[0].shape[0]
        columns: list[_TensorColumns | _VectorColumn | _FreeTextColumn | None] = []
        for index, tensor in enumerate(tensors):
            width = math.prod(tensor.shape[1:])
            name = ("" if index < inputs else "output.") + tensor.name
            if tensor.shape[0] != rows:
                columns.append(None)
            elif tensor.datatype == TEXT:
                columns.append(self._free_text_column(name, width))
            elif index == 0 and inputs == 1 and width == len(self._input_names) and not tensor.columns:
                columns.append(_TensorColumns(self._admitted(self._input_names, width), width))
            elif self._is_vector(name, tensor, width):
                columns.append(self._vector_column(name, tensor, width))
            else:
                columns.append(_TensorColumns(self._admitted(_column_names(tensor, "" if index < inputs else "output."), width), width))
        return _Layout(rows, columns, rows_differ=any(tensor.shape[0] != rows for tensor in tensors))

    def _free_text_column(self, name: str, width: int) -> _FreeTextColumn | None:
        if not width:
            return None
        if not self._admit(name):
            self.left_out[LeftOut.MAX_FEATURES] += 1
            return None
        self._kinds[name] = _Kind.FREE_TEXT
        return _FreeTextColumn(name)

    def _is_vector(self, name: str, tensor: Tensor, width: int) -> bool:
        if tensor.columns or not width:
            return False
        return name in self._dimensions or (width >= self._vector_width and tensor.datatype not in _NOT_NUMERIC)

    def _vector_column(self, name: str, tensor: Tensor, width: int) -> _VectorColumn | None:
        if tensor.datatype in _NOT_NUMERIC:
            return None  # missing
        if name not in self._dimensions:
            if not self._admit(name):
                self.left_out[LeftOut.MAX_FEATURES] += 1
                return None
            self._kinds[name] = _Kind.VECTOR
            self._dimensions[name] = width
        return _VectorColumn(name, width, self._dimensions[name])

    def _admitted(self, names: Iterable[str], width: int) -> list[str | None]:
        """Return the names of those columns that are watched, None in the place of others."""
        admitted = [name if self._admit(name) else None for name in islice(names, self._max_features)]
        self.left_out[LeftOut.MAX_FEATURES] += width - len(admitted) + admitted.count(None)
        return admitted

    def _admit(self, name: str) -> bool:
        if name not in self._kinds and len(self._kinds) < self._max_features:
            self._kinds[name] = None
        return name in self._kinds

    def _aligned(self, layouts: list[_Layout], rows: int) -> dict[str, Column]:
        """Return the columns of several layouts, missing where a row's layout lacks the column."""
        columns: dict[str, Column] = {}
        for layout in layouts:
            for name, column in self._columns(layout):
                if name not in columns:
                    columns[name] = missing_like(column, rows)
                elif column.dtype == np.object_:
                    columns[name] = columns[name].astype(np.object_)  # of both types from now on
                columns[name][layout.positions] = column
        return columns

    def _columns(self, layout: _Layout) -> Iterator[tuple[str, Column]]:
        for tensor in layout.tensors:
            if isinstance(tensor, _VectorColumn | _FreeTextColumn):
                yield from tensor.columns(len(layout.positions))
            elif tensor is not None:
                yield from self._numeric_columns(tensor, len(layout.positions)) if tensor.is_numeric else self._other_columns(tensor)

    def _numeric_columns(self, tensor: _TensorColumns, rows: int) -> Iterator[tuple[str, Column]]:
        """Yield the columns of a tensor without text: one conversion for all of them."""
        matrix = np.array(tensor.values, dtype=np.float64).reshape(rows, tensor.width)
        for name, numbers in zip(tensor.names, np.ascontiguousarray(matrix.T), strict=False):
            if name is not None:
                yield name, self._number_column(name, numbers)

    def _other_columns(self, tensor: _TensorColumns) -> Iterator[tuple[str, Column]]:
        """Yield the columns of a tensor that may hold text, numbers or both."""
        for index, name in enumerate(tensor.names):
            if name is not None:
                column = self._mixed_column(name, tensor.values[index :: tensor.width])
                if column is not None:
                    yield name, column

    def _number_column(self, name: str, numbers: Floats) -> Column:
        if self._kinds[name] is _Kind.TEXT:
            mixed = numbers.astype(np.object_)
            mixed[np.isnan(numbers)] = None
            return mixed
        self._kinds[name] = _Kind.NUMBER
        return numbers

    def _mixed_column(self, name: str, values: list[Any]) -> Column | None:
        texts = sum(type(value) is str for value in values)
        numbers = len(values) - values.count(None) - texts
        kind = self._kinds[name]
        if kind is None:
            if not texts and not numbers:
                return None
            kind = self._kinds[name] = _Kind.TEXT if texts > numbers else _Kind.NUMBER
        if kind is _Kind.NUMBER and not texts:
            return np.array(values, dtype=np.float64)
        return np.array([value if type(value) is str or value is None else float(value) for value in values], dtype=np.object_)


def _column_names(tensor: Tensor, prefix: str) -> Iterator[str]:
    """Yield the names of a tensor's columns, in its row-major order."""
    if tensor.columns:
        yield from (prefix + name for name in tensor.columns)
        return
    trailing = tensor.shape[1:]
    if math.prod(trailing) == 1:
        yield prefix + tensor.name
        return
    for index in product(*map(range, trailing)):
        yield f"{prefix}{tensor.name}[{','.join(map(str, index))}]"


def _missing_texts(rows: int) -> Column:
    return np.full(rows, None, dtype=np.object_)
