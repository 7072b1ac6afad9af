"""Nested lists, rows and columns of JSON to tensors. The datatype follows from the values, where the format names none."""

from __future__ import annotations

import binascii
from collections.abc import Iterable
from itertools import chain
from types import NoneType
from typing import Any, Final

from payloads.nested_objects import BASE64_KEYS, Flattening, are_records, is_record
from payloads.refusal import MAX_RANK, Refused, require_few_values
from records.payload import Tensor, Undecodable

_DATATYPES: Final = {
    types | missing: datatype
    for types, datatype in (
        (frozenset({bool}), "BOOL"),
        (frozenset({int}), "INT64"),
        (frozenset({float}), "FP64"),
        (frozenset({int, float}), "FP64"),
        (frozenset({str}), "BYTES"),
    )
    for missing in ({NoneType}, set())
}
"""The types of the values to a datatype. Others are mixed, or of nothing but missing values: JSON."""
_SCALARS: Final = frozenset({bool, int, float, str, NoneType})


def flatten(data: list[Any]) -> tuple[tuple[int, ...], list[Any]]:
    """Return the shape of nested lists and their leaves in row-major order. The leaves may be of any type but list."""
    shape = [len(data)]
    while data and type(data[0]) is list:
        width = len(data[0])
        if any(type(row) is not list or len(row) != width for row in data):
            raise Refused(Undecodable.RAGGED)
        if len(shape) == MAX_RANK:
            raise Refused(Undecodable.MALFORMED)
        require_few_values(len(data) * width)
        shape.append(width)
        data = data[0] if len(data) == 1 else list(chain.from_iterable(data))
    return tuple(shape), data


def tensor_of(name: str, data: Any) -> Tensor:
    """Return `data`, nested lists or one scalar, as a tensor; a scalar is one row."""
    shape, values = flatten(data if type(data) is list else [data])
    types = frozenset(map(type, values))
    if not types <= _SCALARS:
        values = [_scalar(value) for value in values]
        types = frozenset(map(type, values))
    return Tensor(name, _DATATYPES.get(types, "JSON"), shape, values)


def tensors_of_document(name: str, document: Any) -> list[Tensor]:
    """Return what a service without a protocol of its own says: a list is rows, anything else is one row."""
    return tensors_of_rows(name, document if type(document) is list else [document])


def tensors_of_rows(name: str, rows: Any) -> list[Tensor]:
    """Return rows: objects, or lists of objects, give one tensor per key, anything else gives one tensor called `name`."""
    first = rows[0] if type(rows) is list and rows else None
    if is_record(first):
        return tensors_of_records(rows)
    if type(first) is list and first and is_record(first[0]):
        return tensors_of_records(_transposed_rows(rows))
    return [tensor_of(name, rows)]


def tensors_of_columns(name: str, columns: Any) -> list[Tensor]:
    """Return columns: an object gives one tensor per key, anything else gives one tensor called `name`."""
    if is_record(columns):
        return [tensor_of(column, data) for column, data in Flattening().flat(columns).items()]
    return [tensor_of(name, columns)]


def tensors_of_records(records: Any) -> list[Tensor]:
    """Return one tensor per key in any of `records`; where a record lacks a key, its value is missing."""
    return tensors_of_examples(records, {})


def tensors_of_examples(examples: Any, context: Any) -> list[Tensor]:
    """Return one tensor per key; where an example lacks a key, its value is that of `context`, else missing."""
    if type(examples) is not list or not all(map(is_record, [context, *examples])):
        raise Refused(Undecodable.MALFORMED)
    flat = Flattening().flat
    context, examples = flat(context), list(map(flat, examples))
    names = dict.fromkeys(chain(context, *examples))
    return _few(tensor_of(name, [example.get(name, context.get(name)) for example in examples]) for name in names)


def _few(tensors: Iterable[Tensor]) -> list[Tensor]:
    """Collect tensors while their values together are few: names and rows that are both many multiply."""
    kept: list[Tensor] = []
    count = 0
    for tensor in tensors:
        count += len(tensor.values)
        require_few_values(count)
        kept.append(tensor)
    return kept


def _transposed_rows(rows: list[Any]) -> list[dict[str, Any]]:
    flattening = Flattening()
    if not all(map(are_records, rows)):
        raise Refused(Undecodable.RAGGED)
    return [flattening.transposed(row) for row in rows]


def _scalar(value: Any) -> bool | float | str | None:
    """Return a leaf: text for TensorFlow's `{"b64": …}`, a scalar as it is; a list among scalars is ragged."""
    if type(value) is dict and value.keys() == BASE64_KEYS:
        return _decoded_base64(value["b64"])
    if type(value) is list:
        raise Refused(Undecodable.RAGGED)
    if type(value) not in _SCALARS:
        raise Refused(Undecodable.MALFORMED)
    return value  # type: ignore[no-any-return]


def _decoded_base64(text: Any) -> str:
    try:
        return binascii.a2b_base64(text).decode(errors="backslashreplace")
    except (TypeError, ValueError):
        raise Refused(Undecodable.MALFORMED) from None
