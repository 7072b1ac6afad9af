"""Seldon Core's V1 protocol: `POST /api/v1.0/predictions`, of which `/seldon/{namespace}/{deployment}` may come first.

Source: Seldon Core's `prediction.proto` in its JSON form.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from payloads.json_documents import convert, integer, load_object
from payloads.nested_lists import flatten, tensor_of, tensors_of_document
from payloads.refusal import Refused, size_of
from records.exchange import Body
from records.payload import Decoded, Tensor, Undecodable

NAME: Final = "seldon"
PATH: Final = re.compile(r".*?(?:/seldon/[^/]+/(?P<model>[^/]+))?/api/v(?:0\.1|1\.0)/(?:predictions|explanations)/?")

_LISTS: Final = ("floatVal", "doubleVal", "halfVal", "intVal", "int64Val", "uint32Val", "uint64Val", "boolVal", "stringVal")


class _Dense(msgspec.Struct, gc=False):
    shape: list[int]
    values: list[float]


class _Dimension(msgspec.Struct, gc=False):
    size: int | str = 1


class _Shape(msgspec.Struct, gc=False):
    dim: list[_Dimension] = []


class _Data(msgspec.Struct, gc=False):
    names: list[str] = []
    ndarray: list[Any] | None = None
    tensor: _Dense | None = None
    tftensor: dict[str, Any] | None = None


class _Status(msgspec.Struct, gc=False):
    status: str | int = ""


class _Message(msgspec.Struct, gc=False, rename="camel"):
    data: _Data | None = None
    str_data: str | None = None
    json_data: Any = None
    status: _Status | None = None


def decode_request(content: bytes, body: Body, model: str, version: str) -> Decoded:  # noqa: ARG001 - every format reads alike
    """Return the inputs."""
    return Decoded(NAME, tensors_of_message("inputs", load_object(content)), model, version)


def decode_reply(content: bytes, body: Body, model: str, version: str) -> Decoded:  # noqa: ARG001 - every format reads alike
    """Return the predictions."""
    return Decoded(NAME, tensors_of_message("predictions", load_object(content)), model, version)


def tensors_of_message(name: str, document: Any) -> list[Tensor]:
    """Return what a `SeldonMessage` holds."""
    message = convert(document, _Message)
    if message.status is not None and message.status.status in {"FAILURE", 1}:
        raise Refused(Undecodable.ERROR_REPLY)
    if message.data is not None:
        return [_tensor_of_data(name, message.data)]
    if message.str_data is not None:
        return [tensor_of(name, message.str_data)]
    if message.json_data is not None:
        return tensors_of_document(name, message.json_data)
    raise Refused(Undecodable.NO_DATA if {"binData", "customData"} & document.keys() else Undecodable.UNKNOWN_FORMAT)


def _tensor_of_data(name: str, data: _Data) -> Tensor:
    """Return the one tensor; of a matrix the names are those of its columns."""
    if data.ndarray is not None:
        tensor = tensor_of(name, data.ndarray)
    elif data.tensor is not None:
        tensor = _shaped(name, data.tensor.shape, list(data.tensor.values))
    elif data.tftensor is not None:
        tensor = _shaped(name, _tensorflow_shape(data.tftensor), _tensorflow_values(data.tftensor))
    else:
        raise Refused(Undecodable.NO_DATA)
    is_named = data.names and tensor.shape[1:] == (len(data.names),)
    return msgspec.structs.replace(tensor, columns=tuple(data.names)) if is_named else tensor


def _shaped(name: str, shape: list[int], values: list[Any]) -> Tensor:
    """Return a tensor of this shape (of one row, where it has no dimension), which must fit the values."""
    shape = shape or [1]
    if min(shape) < 0 or size_of(shape) != len(values):
        raise Refused(Undecodable.MALFORMED)
    flat = tensor_of(name, values)
    return Tensor(name, flat.datatype, tuple(shape), flat.values)


def _tensorflow_shape(proto: dict[str, Any]) -> list[int]:
    """Return the shape of a `TensorProto` in JSON, where 64-bit integers are text."""
    shape = convert(proto.get("tensorShape", {}), _Shape)
    try:
        return [int(dimension.size) for dimension in shape.dim]
    except ValueError:
        raise Refused(Undecodable.MALFORMED) from None


def _tensorflow_values(proto: dict[str, Any]) -> list[Any]:
    """Return the values of a `TensorProto`, where they are listed; 64-bit integers are text, and texts base64."""
    name = next((name for name in _LISTS if proto.get(name)), None)
    if name is None:
        raise Refused(Undecodable.NO_DATA)  # in `tensorContent`, whose bytes are in the order of the machine that wrote them
    values = proto[name]
    if type(values) is not list or len(flatten(values)[0]) != 1:
        raise Refused(Undecodable.MALFORMED)
    if name == "stringVal":
        return tensor_of("", [{"b64": value} for value in values]).values
    try:
        return [integer(value) if name in {"int64Val", "uint64Val"} else value for value in values]
    except (TypeError, ValueError):
        raise Refused(Undecodable.MALFORMED) from None
