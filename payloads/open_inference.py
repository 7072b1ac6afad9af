"""Open Inference V2 (KServe, Triton, MLServer, Seldon Core 2): JSON, and JSON followed by binary tensors.

Source: the protocol's `inference_rest.md`, and Triton's binary tensor data extension, where the header field
Inference-Header-Content-Length gives the length of the JSON and the tensors' `binary_data_size` that of each blob.
"""

from __future__ import annotations

import re
from types import NoneType
from typing import Any, Final, TypeVar

import msgspec

from payloads.binary_tensors import Datatype, unpack
from payloads.json_documents import convert, load
from payloads.nested_lists import flatten
from payloads.open_inference_messages import Described, NamedReply, Reply, Request
from payloads.refusal import Refused, size_of
from records.exchange import Body
from records.payload import Decoded, Tensor, Undecodable

NAME: Final = "v2"
PATH: Final = re.compile(r".*/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?/infer/?")

_NUMBERS: Final = frozenset({int, float, bool, NoneType})
_TEXTS: Final = frozenset({str, NoneType})

_Message = TypeVar("_Message", Request, Reply)
_requests: Final = msgspec.json.Decoder(Request)
_replies: Final = msgspec.json.Decoder(Reply)
_decode_named: Final = msgspec.json.Decoder(NamedReply).decode


def decode_request(content: bytes, body: Body, model: str, version: str) -> Decoded:
    """Return the inputs; `model` and `version` are those of the path."""
    document, blobs = _split(content, body)
    request = _read(document, _requests)
    return Decoded(NAME, _tensors(request.inputs, blobs), model, version)


def decode_reply(content: bytes, body: Body, model: str, version: str) -> Decoded:
    """Return the outputs; the reply knows best which model and version made it."""
    document, blobs = _split(content, body)
    reply = _read(document, _replies)
    return Decoded(NAME, _tensors(reply.outputs, blobs), reply.model_name or model, reply.model_version or version)


def version_of(content: bytes, body: Body) -> str:
    """Return the version that a reply names, without reading its tensors; empty where it names none."""
    if b'"model_version"' not in content:
        return ""
    length = body.fields.get("inference-header-content-length", "")
    document = content[: int(length)] if length.isascii() and length.isdigit() and len(length) <= 10 else content
    try:
        return _decode_named(document).model_version or ""
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def _read(document: bytes, messages: msgspec.json.Decoder[_Message]) -> _Message:
    """Return a message in one step, or by way of what the readers of other formats take: they tell NaN from what is malformed."""
    try:
        return messages.decode(document)
    except (ValueError, RecursionError):
        return convert(load(document), messages.type)


def _split(content: bytes, body: Body) -> tuple[bytes, bytes]:
    """Return the JSON document and the blobs that follow it."""
    length = body.fields.get("inference-header-content-length")
    if length is None:
        return content, b""
    if not (length.isascii() and length.isdigit()) or len(length) > 10 or int(length) > len(content):
        raise Refused(Undecodable.MALFORMED)
    if int(length) == 0:
        # Triton's raw binary request: only the model's own configuration tells the input's name, datatype and shape.
        raise Refused(Undecodable.NO_DATA)
    return content[: int(length)], content[int(length) :]


def _tensors(described: list[Described], blobs: bytes) -> list[Tensor]:
    """Return the tensors whose values are on the wire; refuse a message that has none."""
    tensors: list[Tensor] = []
    position = 0
    for tensor in described:
        shape = tensor.shape or (1,)  # a scalar is one row
        count = size_of(shape)
        if tensor.data is not None:
            values = _listed_values(tensor.data, count, tensor.datatype)
        elif tensor.parameters is not None and tensor.parameters.binary_data_size is not None:
            start, position = position, position + tensor.parameters.binary_data_size
            values = unpack(tensor.datatype, count, blobs[start:position])
        else:
            continue  # a shared memory region
        tensors.append(Tensor(tensor.name, tensor.datatype, shape, values))
    if position != len(blobs):
        raise Refused(Undecodable.MALFORMED)
    if not tensors:
        raise Refused(Undecodable.NO_DATA)
    return tensors


def _listed_values(data: list[Any], count: int, datatype: Datatype) -> list[Any]:
    """Return the values of `data`, which may be flat or nested, once they fit the datatype and number `count`."""
    if data and type(data[0]) is list:
        data = flatten(data)[1]
    types = set(map(type, data))
    if not types <= (_TEXTS if datatype == "BYTES" else _NUMBERS) or len(data) != count:
        raise Refused(Undecodable.MALFORMED)
    return list(map(_fitting, data)) if int in types else data


def _fitting(value: Any) -> Any:
    """Return an integer that is too long for 64 bits as a float, as readers of JSON do."""
    if type(value) is not int or -(2**63) <= value < 2**64:
        return value
    try:
        return float(value)
    except OverflowError:
        raise Refused(Undecodable.MALFORMED) from None
