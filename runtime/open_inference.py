"""Open Inference V2 as a server speaks it: JSON, and JSON followed by binary tensors.

Source: the protocol's `inference_rest.md`; Triton's binary tensor data extension; Triton's request parameters `priority` and `timeout`
(`extension_schedule_policy.md`), which it takes in microseconds.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from payloads.json_documents import load
from payloads.refusal import Refused as Undecoded
from runtime.inference import DEFAULT_PRIORITY, PRIORITIES, Inference, Result, Shape
from runtime.messages import InferRequest, InferTensor, RecordedSample
from runtime.packing import MAX_RANK, Content, flatten, pack, packed_texts, texts_of
from runtime.refusal import Refused
from runtime.signature import Signature, TensorSpec

JSON_LENGTH: Final = b"inference-header-content-length"
JSON: Final = b"application/json"
BINARY: Final = b"application/octet-stream"


class Asked(NamedTuple):
    """How a reply is to look."""

    id: str | None
    outputs: tuple[int, ...]
    """Positions in the signature."""
    binary: tuple[bool, ...]
    """For each of them, whether its values come as bytes."""


_decode: Final = msgspec.json.Decoder(InferRequest).decode
_PLAIN: Final = Asked(None, (), ())


def read_request(body: bytes, json_length: bytes | None, signature: Signature, *, missing: bool) -> tuple[Inference, Asked]:
    """Return what is to be computed, and how the reply is to look. Raises Refused."""
    if json_length is None:
        return _read(_document(body), b"", signature, missing)
    if not json_length.isdigit() or len(json_length) > 10 or int(json_length) > len(body):
        raise Refused(400, f"expected in Inference-Header-Content-Length the JSON's length, at most the body's {len(body)} bytes, found {_text(json_length)}")
    length = int(json_length)
    return _read(_document(body[:length]), body[length:], signature, missing) if length else _read_raw(body, signature)


def read_samples(content: bytes, signature: Signature) -> list[tuple[Inference, dict[str, tuple[Shape, Content]]]]:
    """Return recorded requests with the outputs that were recorded for each, by name. Raises Refused."""
    try:
        recorded = msgspec.json.decode(content, type=list[RecordedSample])
    except msgspec.DecodeError as error:
        raise Refused(400, f"expected a list of objects with inputs and outputs of Open Inference V2: {error}") from None
    specs = {spec.name: spec for spec in signature.outputs}
    return [(_inference(sample.inputs, b"", signature, missing=True), dict(_recorded(tensor, specs) for tensor in sample.outputs)) for sample in recorded]


def reply(result: Result, asked: Asked, signature: Signature, model: str, version: str) -> tuple[bytes, int]:
    """Return a reply's body, and the length of its JSON; 0 where it is nothing else."""
    chosen = asked.outputs or range(len(signature.outputs))
    written: list[bytes] = []
    blobs: list[bytes] = []
    for number, position in enumerate(chosen):
        head = _head(signature.outputs[position], result.shape(position))
        if asked.binary and asked.binary[number]:
            blob = _blob(result, position)
            blobs.append(blob)
            written.append(head + b'"parameters":{"binary_data_size":%d}}' % len(blob))
        else:
            written.append(head + b'"data":[' + result.text(position) + b"]}")
    identity = b"" if asked.id is None else b'"id":' + orjson.dumps(asked.id) + b","
    document = b'{"model_name":"%s","model_version":"%s",%s"outputs":[%s]}' % (model.encode(), version.encode(), identity, b",".join(written))
    return (b"".join((document, *blobs)), len(document)) if blobs else (document, 0)


def error(text: str) -> bytes:
    """Return the body of an error."""
    return orjson.dumps({"error": text})


def _text(value: bytes) -> str:
    return value[:40].decode("latin-1")


def _document(content: bytes) -> InferRequest:
    try:
        return _decode(content)
    except msgspec.ValidationError as error:
        raise Refused(400, f"expected a request of Open Inference V2: {error}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        return _lenient(content, str(error))


def _lenient(content: bytes, fault: str) -> InferRequest:
    """Read bare NaN and Infinity, which clients write that know no better."""
    try:
        return msgspec.convert(load(content), InferRequest)
    except (Undecoded, msgspec.ValidationError):
        raise Refused(400, f"expected JSON: {fault}") from None


def _read(request: InferRequest, blobs: bytes, signature: Signature, missing: bool) -> tuple[Inference, Asked]:
    inference = _inference(request.inputs, blobs, signature, missing=missing)
    parameters = request.parameters
    if parameters:
        _set_schedule(inference, parameters)
    if request.id is None and request.outputs is None and not parameters:
        return inference, _PLAIN
    return inference, _asked(request, signature)


def _inference(tensors: list[InferTensor], blobs: bytes, signature: Signature, *, missing: bool) -> Inference:
    specs = signature.inputs
    if [tensor.name for tensor in tensors] != [spec.name for spec in specs]:
        return _in_order(tensors, blobs, signature, missing)
    contents: list[Content] = []
    shapes: list[Shape] = []
    position = 0
    for tensor, spec in zip(tensors, specs, strict=True):
        shape = _shape(tensor, spec)
        shapes.append(shape)
        if tensor.data is not None:
            contents.append(_listed(tensor, shape, spec, missing=missing))
        else:
            size = _blob_size(tensor)
            contents.append(_cut_out(blobs, position, size, math.prod(shape), spec))
            position += size
    if position != len(blobs):
        raise Refused(400, f"expected {position} bytes of binary tensors behind the JSON, as binary_data_size says, found {len(blobs)}")
    return Inference(contents, shapes)


def _in_order(tensors: list[InferTensor], blobs: bytes, signature: Signature, missing: bool) -> Inference:
    """Read tensors that come in another order than the model's: blobs come in that order too."""
    found = [tensor.name for tensor in tensors]
    if sorted(found) != sorted(spec.name for spec in signature.inputs):
        raise Refused(400, f"expected the inputs {', '.join(map(str, signature.inputs))}, found {', '.join(found) or 'none'}"[:2000])
    by_name = {spec.name: spec for spec in signature.inputs}
    as_sent = Signature(tuple(by_name[name] for name in found), signature.outputs)
    read = _inference(tensors, blobs, as_sent, missing=missing)
    places = [found.index(spec.name) for spec in signature.inputs]
    return Inference([read.contents[place] for place in places], [read.shapes[place] for place in places])


def _shape(tensor: InferTensor, spec: TensorSpec) -> Shape:
    if tensor.datatype != spec.datatype:
        raise Refused(400, f"input {spec.name}: expected datatype {spec.datatype}, found {tensor.datatype[:40]}")
    shape = tuple(tensor.shape)
    if len(shape) > MAX_RANK or not _admits(spec.shape, shape):
        raise Refused(400, f"input {spec.name}: expected shape {spec.sizes}, found {str(tensor.shape)[:80]}")
    return shape


def _admits(expected: tuple[int | str, ...], found: Shape) -> bool:
    if len(expected) != len(found):
        return False
    return all(length >= 0 and (not isinstance(axis, int) or axis == length) for axis, length in zip(expected, found, strict=True))


def _listed(tensor: InferTensor, shape: Shape, spec: TensorSpec, *, missing: bool) -> Content:
    data = tensor.data or []
    if data and type(data[0]) is list:
        data = flatten(spec.name, data)
    count = 1
    for length in shape:
        count *= length
    if len(data) != count:
        raise Refused(400, f"input {spec.name}: expected {count} values for shape {list(shape)}, found {len(data)}")
    return pack(spec.name, spec.datatype, data, missing=missing)


def _blob_size(tensor: InferTensor) -> int:
    parameters = tensor.parameters or {}
    size = parameters.get("binary_data_size")
    if type(size) is not int or size < 0:
        where = "shared memory, which is not offered" if "shared_memory_region" in parameters else "neither"
        raise Refused(400, f"input {tensor.name}: expected data, or binary_data_size and as many bytes behind the JSON, found {where}")
    return size


def _cut_out(blobs: bytes, position: int, size: int, count: int, spec: TensorSpec) -> Content:
    content = blobs[position : position + size]
    if len(content) != size:
        raise Refused(400, f"input {spec.name}: expected {size} bytes, as binary_data_size says, found {len(content)}")
    return _binary(content, count, spec)


def _binary(content: bytes, count: int, spec: TensorSpec) -> Content:
    if spec.datatype == "BYTES":
        texts = texts_of(spec.name, content)
        if len(texts) != count:
            raise Refused(400, f"input {spec.name}: expected {count} elements, found {len(texts)}")
        return texts
    if len(content) != count * spec.dtype.itemsize:
        raise Refused(400, f"input {spec.name}: expected {count * spec.dtype.itemsize} bytes for {count} values of {spec.datatype}, found {len(content)}")
    return content


def _read_raw(body: bytes, signature: Signature) -> tuple[Inference, Asked]:
    """Read the raw binary request: nothing but the values of the model's only input, of which one axis at most may have any length."""
    spec = signature.inputs[0]
    free = [axis for axis, length in enumerate(spec.shape) if not isinstance(length, int)]
    if len(signature.inputs) != 1 or len(free) > 1 or spec.datatype == "BYTES":
        raise Refused(
            400,
            f"expected JSON before the binary tensors (a length above 0): only a model with one input of one free length takes raw values, this one takes {', '.join(map(str, signature.inputs))}",
        )
    row_bytes = spec.dtype.itemsize * math.prod(length for length in spec.shape if isinstance(length, int))
    length, rest = divmod(len(body), row_bytes) if row_bytes else (0, 1)
    if rest or (not free and length != 1):
        raise Refused(
            400, f"input {spec.name}: expected {'a multiple of ' if free else ''}{row_bytes} bytes for shape {spec.sizes} of {spec.datatype}, found {len(body)}"
        )
    shape = tuple(fixed if isinstance(fixed, int) else length for fixed in spec.shape)
    every = tuple(range(len(signature.outputs)))
    return Inference([body], [shape]), Asked(None, every, tuple(True for _ in every))


def _set_schedule(inference: Inference, parameters: dict[str, Any]) -> None:
    priority, timeout_us = parameters.get("priority", 0), parameters.get("timeout", 0)
    if type(priority) is not int or not 0 <= priority <= PRIORITIES:
        raise Refused(400, f"expected a priority from 1, which goes first, to {PRIORITIES}, found {str(priority)[:40]}")
    if type(timeout_us) is not int or timeout_us < 0:
        raise Refused(400, f"expected a timeout in whole microseconds, found {str(timeout_us)[:40]}")
    inference.priority = priority or DEFAULT_PRIORITY
    inference.timeout_ns = timeout_us * 1000


def _asked(request: InferRequest, signature: Signature) -> Asked:
    binary = bool((request.parameters or {}).get("binary_data_output"))
    if not request.outputs:
        every = tuple(range(len(signature.outputs)))
        return Asked(request.id, every, tuple(binary for _ in every))
    known = {spec.name: position for position, spec in enumerate(signature.outputs)}
    unknown = [output.name for output in request.outputs if output.name not in known]
    if unknown:
        raise Refused(400, f"expected outputs among {', '.join(known)}, found {', '.join(unknown)}"[:2000])
    wanted = tuple(known[output.name] for output in request.outputs)
    return Asked(request.id, wanted, tuple(bool((output.parameters or {}).get("binary_data", binary)) for output in request.outputs))


@lru_cache(maxsize=1024)
def _head(spec: TensorSpec, shape: Shape) -> bytes:
    return b'{"name":%s,"datatype":"%s","shape":%s,' % (orjson.dumps(spec.name), spec.datatype.encode(), orjson.dumps(shape))


def _blob(result: Result, position: int) -> bytes:
    array = result.array(position)
    return packed_texts(array.reshape(-1).tolist()) if array.dtype.hasobject else array.tobytes()


def _recorded(tensor: InferTensor, specs: dict[str, TensorSpec]) -> tuple[str, tuple[Shape, Content]]:
    spec = specs.get(tensor.name)
    if spec is None:
        raise Refused(400, f"expected outputs among {', '.join(specs)}, found {tensor.name}")
    return tensor.name, (_shape(tensor, spec), _listed(tensor, tuple(tensor.shape), spec, missing=True))
