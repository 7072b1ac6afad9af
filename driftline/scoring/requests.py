"""Rows and answers as a request and its reply in Open Inference V2 with binary tensors: what a client would have sent, and got."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec
import numpy as np

from records.exchange import Body, Exchange, Role
from records.ids import format_uuid, new_exchange_id
from runtime.session import Array
from runtime.signature import Signature, TensorSpec

ARM: Final = "score"
_LENGTH: Final = struct.Struct("<I")
_DIGITS_BYTES: Final = 64
"""By how much larger shapes and sizes make the JSON before the tensors longer."""


class Scored(msgspec.Struct, frozen=True):
    """Some rows that were computed together."""

    inputs: list[Array]
    outputs: list[Array]
    started_at_ns: int
    total_ns: int


def exchange_of(scored: Scored, signature: Signature, *, model: str, version: int, route: str, capture_bytes: int) -> Exchange:
    """Return the record of one request for these rows."""
    exchange_id = new_exchange_id(scored.started_at_ns)
    return Exchange(
        exchange_id=exchange_id,
        request_id=format_uuid(exchange_id),
        role=Role.SERVED,
        route=route,
        arm=ARM,
        started_at_ns=scored.started_at_ns,
        method="POST",
        path=f"/v2/models/{quote(model, safe='')}/versions/{version}/infer",
        model=model,
        version=str(version),
        total_ns=scored.total_ns,
        status=200,
        request=_body({}, "inputs", signature.inputs, scored.inputs, capture_bytes),
        response=_body({"model_name": model, "model_version": str(version)}, "outputs", signature.outputs, scored.outputs, capture_bytes),
    )


def rows_within(capture_bytes: int, first: Exchange, scored: Scored) -> int:
    """Return how many rows fit into bodies of so many bytes, at least 1, given the request that holds only the first row."""
    sides = ((first.request, scored.inputs), (first.response, scored.outputs))
    return max(1, min(1 + (capture_bytes - body.size_bytes - _DIGITS_BYTES) // _row_bytes(arrays) for body, arrays in sides))


def _row_bytes(arrays: Sequence[Array]) -> int:
    """Return about how long one row is on the wire, at least 1."""
    return max(1, -(-sum(len(_blob(array)) for array in arrays) // max(1, len(arrays[0]))))


def _body(head: dict[str, Any], key: str, specs: Sequence[TensorSpec], arrays: Sequence[Array], capture_bytes: int) -> Body:
    blobs = [_blob(array) for array in arrays]
    described = [
        {"name": spec.name, "shape": array.shape, "datatype": spec.datatype, "parameters": {"binary_data_size": len(blob)}}
        for spec, array, blob in zip(specs, arrays, blobs, strict=True)
    ]
    document = msgspec.json.encode({**head, key: described})
    content = document + b"".join(blobs)
    fields = {"inference-header-content-length": str(len(document))}
    return Body(content[:capture_bytes], len(content), len(content) > capture_bytes, "application/octet-stream", "", fields)


def _blob(array: Array) -> bytes:
    """Little-endian, row by row; texts with their length in bytes before them."""
    if array.dtype.kind != "O":
        return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    texts = [str(value).encode() for value in np.ravel(array)]
    return b"".join(_LENGTH.pack(len(text)) + text for text in texts)
