"""Tensors as V1 and MLflow give them, whose datatypes and shapes follow from their values, to the inputs that a model takes; and outputs as rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Final

import orjson

from payloads.refusal import Refused as Undecoded
from records.payload import Decoded, Tensor, Undecodable
from runtime.inference import Inference, Result, Shape
from runtime.packing import Content, pack
from runtime.refusal import Refused
from runtime.signature import FLOATS, Signature, TensorSpec

_FAULTS: Final = {
    Undecodable.MALFORMED: "expected {form}, found something else, or values of several kinds",
    Undecodable.UNKNOWN_FORMAT: "expected {form}, found none of it",
    Undecodable.RAGGED: "expected rows of equal length",
    Undecodable.TOO_LARGE: "expected fewer values: for so many use Open Inference V2",
    Undecodable.ENCODED: "expected a content coding that is known, and a whole body",
    Undecodable.EMPTY: "expected {form}, found nothing",
}


def decoded(read: Callable[[], Decoded], form: str) -> Decoded:
    """Return what a format's reader returns; where it refuses, say what was expected instead. `form` describes the format. Raises Refused."""
    try:
        return read()
    except Undecoded as refused:
        raise Refused(400, _FAULTS.get(refused.reason, "expected {form}").format(form=form)) from None


def inference_of(tensors: Sequence[Tensor], signature: Signature, *, missing: bool) -> Inference:
    """Return what is to be computed: tensors by name, one without a name for the only input, or one column for each of its features. Raises Refused."""
    specs = signature.inputs
    by_name = {tensor.name: tensor for tensor in tensors}
    if by_name.keys() == {spec.name for spec in specs}:
        chosen = [by_name[spec.name] for spec in specs]
    elif len(specs) == 1 and len(tensors) == 1:
        chosen = list(tensors)
    elif len(specs) == 1 and _are_features(tensors, specs[0]):
        chosen = [_table(tensors)]
    else:
        raise Refused(400, f"expected the inputs {', '.join(map(str, specs))}, found {', '.join(by_name) or 'none'}"[:2000])
    pairs = [_fitted(tensor, spec, missing=missing) for tensor, spec in zip(chosen, specs, strict=True)]
    return Inference([content for content, _ in pairs], [shape for _, shape in pairs])


def by_rows(result: Result, signature: Signature) -> bytes:
    """Return the outputs as JSON, row by row: an object for each row where there are several outputs. Raises Refused where they do not have the same rows."""
    arrays = [result.array(position) for position in range(len(signature.outputs))]
    if len(arrays) == 1:
        return _json(arrays[0])
    if any(array.ndim == 0 or len(array) != len(arrays[0]) for array in arrays):
        raise Refused(400, "expected the column form (`inputs`), as this model's outputs differ in rows")
    names = [spec.name for spec in signature.outputs]
    return _json([dict(zip(names, row, strict=True)) for row in zip(*(array.tolist() for array in arrays), strict=True)])


def by_columns(result: Result, signature: Signature) -> bytes:
    """Return the outputs as JSON, by name where there are several."""
    arrays = [result.array(position) for position in range(len(signature.outputs))]
    return _json(arrays[0] if len(arrays) == 1 else {spec.name: _plain(array) for spec, array in zip(signature.outputs, arrays, strict=True)})


def _are_features(tensors: Sequence[Tensor], spec: TensorSpec) -> bool:
    if len(spec.shape) != 2 or not tensors or (isinstance(spec.shape[1], int) and spec.shape[1] != len(tensors)):
        return False
    return all(len(tensor.shape) == 1 and tensor.shape == tensors[0].shape for tensor in tensors)


def _table(tensors: Sequence[Tensor]) -> Tensor:
    values = list(chain.from_iterable(zip(*(tensor.values for tensor in tensors), strict=True)))
    return Tensor("", "", (tensors[0].shape[0], len(tensors)), values)


def _fitted(tensor: Tensor, spec: TensorSpec, *, missing: bool) -> tuple[Content, Shape]:
    shape = tensor.shape
    if not spec.admits(shape) and spec.admits((*shape, 1)):
        shape = (*shape, 1)  # one feature, whose rows came as plain values
    if not spec.admits(shape):
        raise Refused(400, f"input {spec.name}: expected shape {spec.sizes}, found {list(tensor.shape)}")
    return pack(spec.name, spec.datatype, _of_kind(tensor.values, spec.datatype), missing=missing), shape


def _of_kind(values: list[Any], datatype: str) -> list[Any]:
    """Whole numbers come as floats from CSV, and beside missing values."""
    if datatype in FLOATS or datatype in {"BYTES", "BOOL"}:
        return values
    return [int(value) if type(value) is float and value.is_integer() else value for value in values]


def _plain(array: Any) -> Any:
    return array.tolist() if array.dtype.hasobject or not array.flags.c_contiguous else array


def _json(value: Any) -> bytes:
    return orjson.dumps(_plain(value) if hasattr(value, "dtype") else value, option=orjson.OPT_SERIALIZE_NUMPY)
