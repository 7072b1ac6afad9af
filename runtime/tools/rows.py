"""Columns of a table, or tensors of a stored request, as the inputs of a model."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import numpy as np

from runtime.session import Array
from runtime.signature import Signature, TensorSpec
from runtime.tools.errors import ToolError

_NAMES_AT_MOST: Final = 8


def inputs_of(signature: Signature, columns: Mapping[str, Array]) -> list[Array]:
    """Return the inputs in the signature's order; the first axis of every column counts rows.

    Where every input has a column of its name, those are taken. Otherwise a model with one input gets all columns side by side, in their order.
    Raises `ToolError`.
    """
    if all(spec.name in columns for spec in signature.inputs):
        return [_fitted(spec, columns[spec.name]) for spec in signature.inputs]
    if len(signature.inputs) == 1 and columns:
        spec = signature.inputs[0]
        return [_fitted(spec, _side_by_side(spec, columns))]
    raise ToolError(f"the model takes {', '.join(map(str, signature.inputs))}; there must be a column for each, but the columns are {_names(columns)}")


def made_up_inputs(signature: Signature, rows: int, *, seed: int = 0) -> list[Array]:
    """Return inputs drawn at random: standard normal floats, integers 0 and 1, where a length is not fixed 16. Raises `ToolError` for texts."""
    generator = np.random.default_rng(seed)
    return [_made_up(spec, rows, generator) for spec in signature.inputs]


def _side_by_side(spec: TensorSpec, columns: Mapping[str, Array]) -> Array:
    arrays = [array.reshape(len(array), -1) for array in columns.values()]
    width = sum(array.shape[1] for array in arrays)
    if len(spec.shape) == 2 and isinstance(spec.shape[1], int) and width != spec.shape[1]:
        raise ToolError(
            f"the model's input {spec.name!r} takes {spec.shape[1]} columns, but there are {width}: {_names(columns)}; "
            "leave out those that are no features with --exclude"
        )
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=1)


def _fitted(spec: TensorSpec, array: Array) -> Array:
    """Return the array in the input's type and shape."""
    values = _converted(spec, array)
    fixed = spec.shape[1:]
    if not spec.admits(values.shape) and sum(not isinstance(length, int) for length in fixed) <= 1:
        wanted = [length if isinstance(length, int) else -1 for length in fixed]
        with suppress(ValueError):
            values = values.reshape(len(values), *wanted)
    if not spec.admits(values.shape):
        raise ToolError(f"the model takes {spec}, but the rows give {list(array.shape)}")
    return np.ascontiguousarray(values)


def _converted(spec: TensorSpec, array: Array) -> Array:
    if spec.datatype == "BYTES":
        return np.array([_text(value) for value in array.reshape(-1)], dtype=np.object_).reshape(array.shape)
    if array.dtype.kind == "f" and spec.dtype.kind in "iub" and not np.all(np.isfinite(array)):
        raise ToolError(f"the model takes {spec}, but values are missing; integers cannot be")
    if array.dtype == np.object_ and spec.dtype.kind == "f":
        array = np.array([np.nan if value is None else value for value in array.reshape(-1)], dtype=np.object_).reshape(array.shape)
    try:
        return array.astype(spec.dtype)
    except (TypeError, ValueError):
        raise ToolError(f"the model takes {spec}, but the rows hold {_kind(array)}") from None


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def _kind(array: Array) -> str:
    first = next((value for value in array.reshape(-1) if isinstance(value, str)), None)
    return f"text, such as {first!r}" if first is not None else f"values of type {array.dtype}"


def _made_up(spec: TensorSpec, rows: int, generator: np.random.Generator) -> Array:
    shape = (rows, *(length if isinstance(length, int) else 16 for length in spec.shape[1:]))
    if spec.datatype == "BYTES":
        raise ToolError(f"the model takes {spec}, for which rows cannot be made up: give some with --from")
    if spec.dtype.kind == "f":
        return generator.standard_normal(shape).astype(spec.dtype)
    return generator.integers(0, 2, shape).astype(spec.dtype)


def _names(columns: Mapping[str, Array]) -> str:
    names = list(columns)
    return ", ".join(names[:_NAMES_AT_MOST]) + (f" and {len(names) - _NAMES_AT_MOST} more" if len(names) > _NAMES_AT_MOST else "") if names else "none"
