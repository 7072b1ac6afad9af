"""Requests to the arrays of a batch, and the outputs back to each request.

What is padded is cut again by the names of axes: an output's axis that has the name of a padded input's axis is as long as that one was.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from runtime.inference import Computed, Inference, Key, Result, Shape
from runtime.packing import Content
from runtime.session import Array
from runtime.signature import Signature, TensorSpec


def batch_key(shapes: Sequence[Shape], signature: Signature, *, pad: bool) -> Key:
    """Return what requests that can be computed together have in common: their shapes without rows, lengths that are padded up to a power of two.

    None where the inputs of the request differ in rows: nothing says then which outputs are whose.
    """
    rows = shapes[0][0]
    for shape in shapes:
        if shape[0] != rows:
            return None
    if not pad:
        return (shapes[0][1:],) if len(shapes) == 1 else tuple(shape[1:] for shape in shapes)
    return tuple(
        tuple(length if isinstance(axis, int) else _bucket(length) for length, axis in zip(shape[1:], spec.shape[1:], strict=True))
        for shape, spec in zip(shapes, signature.inputs, strict=True)
    )


def array_of(content: Content, shape: Shape, spec: TensorSpec) -> Array:
    """Return one request's input as an array. Bytes are not copied."""
    if isinstance(content, list):
        return np.array(content, dtype=np.object_).reshape(shape)
    return np.frombuffer(content, spec.dtype).reshape(shape)


def stack(batch: Sequence[Inference], signature: Signature) -> list[Array]:
    """Return the inputs of a batch, whose requests have the same key."""
    if len(batch) == 1:
        return [array_of(*tensor) for tensor in zip(batch[0].contents, batch[0].shapes, signature.inputs, strict=True)]
    return [_stacked(batch, position, spec) for position, spec in enumerate(signature.inputs)]


def results(batch: Sequence[Inference], outputs: list[Array], signature: Signature, *, padded: bool) -> list[Result]:
    """Return what each request of the batch gets; `padded` where their shapes may differ."""
    if len(batch) == 1:
        return [Result(Computed(outputs, together=False), 0, 1)]
    if padded and _differ(batch):
        return _cut(batch, outputs, signature)
    return _shared(batch, Computed(outputs, together=True))


def _stacked(batch: Sequence[Inference], position: int, spec: TensorSpec) -> Array:
    shapes = [item.shapes[position] for item in batch]
    if any(shape[1:] != shapes[0][1:] for shape in shapes):
        return _padded(batch, position, shapes, spec)
    rows = sum(shape[0] for shape in shapes)
    contents = [item.contents[position] for item in batch]
    if spec.datatype == "BYTES":
        return array_of([text for content in contents if isinstance(content, list) for text in content], (rows, *shapes[0][1:]), spec)
    return array_of(b"".join(content for content in contents if isinstance(content, bytes)), (rows, *shapes[0][1:]), spec)


def _padded(batch: Sequence[Inference], position: int, shapes: list[Shape], spec: TensorSpec) -> Array:
    longest = tuple(max(lengths) for lengths in zip(*(shape[1:] for shape in shapes), strict=True))
    padded = (
        np.full((sum(shape[0] for shape in shapes), *longest), "", np.object_)
        if spec.datatype == "BYTES"
        else np.zeros((sum(shape[0] for shape in shapes), *longest), spec.dtype)
    )
    row = 0
    for item, shape in zip(batch, shapes, strict=True):
        padded[(slice(row, row + shape[0]), *map(slice, shape[1:]))] = array_of(item.contents[position], shape, spec)
        row += shape[0]
    return padded


def _differ(batch: Sequence[Inference]) -> bool:
    first = [shape[1:] for shape in batch[0].shapes]
    return any([shape[1:] for shape in item.shapes] != first for item in batch)


def _shared(batch: Sequence[Inference], computed: Computed) -> list[Result]:
    shares: list[Result] = []
    start = 0
    for item in batch:
        shares.append(Result(computed, start, item.rows))
        start += item.rows
    return shares


def _cut(batch: Sequence[Inference], outputs: list[Array], signature: Signature) -> list[Result]:
    shares: list[Result] = []
    start = 0
    for item in batch:
        lengths = _lengths(item, signature)
        parts = [output[start : start + item.rows] for output in outputs]
        cut = [_cut_one(part, spec, lengths) for part, spec in zip(parts, signature.outputs, strict=True)]
        shares.append(Result(Computed(cut, together=False), 0, item.rows))
        start += item.rows
    return shares


def _lengths(item: Inference, signature: Signature) -> dict[str, int]:
    """Return how long the axes with names are in a request."""
    axes = [axis for shape, spec in zip(item.shapes, signature.inputs, strict=True) for axis in zip(spec.shape[1:], shape[1:], strict=True)]
    return {name: length for name, length in axes if isinstance(name, str) and name}


def _cut_one(part: Array, spec: TensorSpec, lengths: dict[str, int]) -> Array:
    kept = [slice(lengths.get(name) if isinstance(name, str) else None) for name in spec.shape[1:]]
    return np.ascontiguousarray(part[(slice(None), *kept)])


def _bucket(length: int) -> int:
    return 1 << max(0, length - 1).bit_length()
