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


class Asked(NamedTuple):
    """How a reply is to look."""

    id: str | None
    outputs: tuple[int, ...]
    """Positions in the signature; empty where all outputs are written as JSON."""
    binary: tuple[bool, ...]
    """For each of them, whether its values come as bytes."""


_decode: Final = msgspec.json.Decoder(InferRequest).decode
_PLAIN: Final = Asked(None, (), ())


class TensorForm:
    """What one tensor must look like: its spec, in the form that every request is compared with."""

    __slots__ = ("datatype", "name", "sizes", "spec")

    def __init__(self, spec: TensorSpec) -> None:
        self.spec = spec
        self.name = spec.name
        self.datatype = spec.datatype
        self.sizes = spec.sizes


class RequestForm:
    """What the requests of one model must look like."""

    __slots__ = ("inputs", "missing", "signature")

    def __init__(self, signature: Signature, *, missing: bool) -> None:
        """With `missing`, null among floats is NaN."""
        self.signature = signature
        self.missing = missing
        self.inputs = [TensorForm(spec) for spec in signature.inputs]


class ReplyForm:
    """What the replies of one version have in common."""

    __slots__ = ("outputs", "start")

    def __init__(self, signature: Signature, model: str, version: str) -> None:
        self.outputs = signature.outputs
        self.start = b'{"model_name":%b,"model_version":%b,' % (orjson.dumps(model), orjson.dumps(version))


def read_request(body: bytes, json_length: bytes | None, form: RequestForm) -> tuple[Inference, Asked]:
    """Return what is to be computed, and how the reply is to look. Raises Refused."""
    if json_length is None:
        return _read(_document(body), b"", form)
    if not json_length.isdigit() or len(json_length) > 10 or int(json_length) > len(body):
        raise Refused(400, f"expected in Inference-Header-Content-Length the JSON's length, at most the body's {len(body)} bytes, found {_text(json_length)}")
    length = int(json_length)
    return _read(_document(body[:length]), body[length:], form) if length else _read_raw(body, form.signature)


def read_samples(content: bytes, signature: Signature) -> list[tuple[Inference, dict[str, tuple[Shape, Content]]]]:
    """Return recorded requests with the outputs that were recorded for each, by name. Raises Refused."""
    form = RequestForm(signature, missing=True)
    try:
        recorded = msgspec.json.decode(content, type=list[RecordedSample])
    except msgspec.DecodeError as error:
        raise Refused(400, f"expected a list of objects with inputs and outputs of Open Inference V2: {error}") from None
    outputs = {spec.name: TensorForm(spec) for spec in signature.outputs}
    return [(_inference(sample.inputs, b"", form), dict(_recorded(tensor, outputs) for tensor in sample.outputs)) for sample in recorded]


def reply(result: Result, asked: Asked, form: ReplyForm) -> tuple[bytes, int]:
    """Return a reply's body, and the length of its JSON; 0 where it is nothing else."""
    start = form.start if asked.id is None else form.start + b'"id":' + orjson.dumps(asked.id) + b","
    if not asked.outputs:
        return start + _every_output(result, form), 0
    written: list[bytes] = []
    blobs: list[bytes] = []
    for number, position in enumerate(asked.outputs):
        head = _head(form.outputs[position], result.shape(position))
        if asked.binary[number]:
            blob = _blob(result, position)
            blobs.append(blob)
            written.append(head + b'"parameters":{"binary_data_size":%d}}' % len(blob))
        else:
            written.append(head + b'"data":[' + result.text(position) + b"]}")
    document = start + b'"outputs":[' + b",".join(written) + b"]}"
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


def _read(request: InferRequest, blobs: bytes, form: RequestForm) -> tuple[Inference, Asked]:
    inference = _inference(request.inputs, blobs, form)
    parameters = request.parameters
    if parameters:
        _set_schedule(inference, parameters)
    if request.id is None and request.outputs is None and not parameters:
        return inference, _PLAIN
    return inference, _asked(request, form.signature)


def _inference(tensors: list[InferTensor], blobs: bytes, form: RequestForm) -> Inference:
    inputs = form.inputs
    if len(tensors) != len(inputs):
        raise _other_inputs(tensors, form.signature)
    contents: list[Content] = []
    shapes: list[Shape] = []
    position = 0
    for number in range(len(inputs)):
        tensor, expected = tensors[number], inputs[number]
        if tensor.name != expected.name:
            return _in_order(tensors, blobs, form)
        shape = _shape(tensor, expected)
        shapes.append(shape)
        data = tensor.data
        if data is not None:
            contents.append(_listed(data, shape, expected, form.missing))
        else:
            size = _blob_size(tensor)
            contents.append(_cut_out(blobs, position, size, math.prod(shape), expected.spec))
            position += size
    if position != len(blobs):
        raise Refused(400, f"expected {position} bytes of binary tensors behind the JSON, as binary_data_size says, found {len(blobs)}")
    return Inference(contents, shapes)


def _in_order(tensors: list[InferTensor], blobs: bytes, form: RequestForm) -> Inference:
    """Read tensors that come in another order than the model's: blobs come in that order too."""
    found = [tensor.name for tensor in tensors]
    signature = form.signature
    if sorted(found) != sorted(spec.name for spec in signature.inputs):
        raise _other_inputs(tensors, signature)
    by_name = {spec.name: spec for spec in signature.inputs}
    as_sent = Signature(tuple(by_name[name] for name in found), signature.outputs)
    read = _inference(tensors, blobs, RequestForm(as_sent, missing=form.missing))
    places = [found.index(spec.name) for spec in signature.inputs]
    return Inference([read.contents[place] for place in places], [read.shapes[place] for place in places])


def _other_inputs(tensors: list[InferTensor], signature: Signature) -> Refused:
    found = ", ".join(tensor.name for tensor in tensors) or "none"
    return Refused(400, f"expected the inputs {', '.join(map(str, signature.inputs))}, found {found}"[:2000])


def _shape(tensor: InferTensor, expected: TensorForm) -> Shape:
    if tensor.datatype != expected.datatype:
        raise Refused(400, f"input {expected.name}: expected datatype {expected.datatype}, found {tensor.datatype[:40]}")
    lengths = tensor.shape
    if not _admits(expected.sizes, lengths):
        raise Refused(400, f"input {expected.name}: expected shape {expected.sizes}, found {str(lengths)[:80]}")
    return tuple(lengths)


def _admits(sizes: list[int], lengths: list[int]) -> bool:
    """Whether a shape fits, where −1 stands for any length."""
    if len(lengths) != len(sizes) or len(lengths) > MAX_RANK:
        return False
    for axis in range(len(sizes)):
        length = lengths[axis]
        if length < 0 or (length != sizes[axis] and sizes[axis] >= 0):
            return False
    return True


def _listed(data: list[Any], shape: Shape, expected: TensorForm, missing: bool) -> Content:
    if data and type(data[0]) is list:
        data = flatten(expected.name, data)
    count = 1
    for length in shape:
        count *= length
    if len(data) != count:
        raise Refused(400, f"input {expected.name}: expected {count} values for shape {list(shape)}, found {len(data)}")
    return pack(expected.name, expected.datatype, data, missing=missing)


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
        every = tuple(range(len(signature.outputs))) if binary else ()
        return Asked(request.id, every, tuple(True for _ in every))
    known = {spec.name: position for position, spec in enumerate(signature.outputs)}
    unknown = [output.name for output in request.outputs if output.name not in known]
    if unknown:
        raise Refused(400, f"expected outputs among {', '.join(known)}, found {', '.join(unknown)}"[:2000])
    wanted = tuple(known[output.name] for output in request.outputs)
    return Asked(request.id, wanted, tuple(bool((output.parameters or {}).get("binary_data", binary)) for output in request.outputs))


def _every_output(result: Result, form: ReplyForm) -> bytes:
    """Write all outputs as JSON. What stands between the values is the same for all requests of a batch with as many rows, and made once."""
    frame = result.computed.frames.get(result.rows)
    if frame is None:
        frame = result.computed.frames[result.rows] = _frame(result, form)
    written: list[bytes] = []
    for position in range(len(frame) - 1):
        written.append(frame[position])
        written.append(result.text(position))
    written.append(frame[-1])
    return b"".join(written)


def _frame(result: Result, form: ReplyForm) -> list[bytes]:
    """Return what stands before the first output's values, between them, and behind the last one's."""
    heads = [_head(spec, result.shape(position)) + b'"data":[' for position, spec in enumerate(form.outputs)]
    return [b'"outputs":[' + heads[0], *(b"]}," + head for head in heads[1:]), b"]}]}"]


@lru_cache(maxsize=1024)
def _head(spec: TensorSpec, shape: Shape) -> bytes:
    return b'{"name":%s,"datatype":"%s","shape":%s,' % (orjson.dumps(spec.name), spec.datatype.encode(), orjson.dumps(shape))


def _blob(result: Result, position: int) -> bytes:
    array = result.array(position)
    return packed_texts(array.reshape(-1).tolist()) if array.dtype.hasobject else array.tobytes()


def _recorded(tensor: InferTensor, outputs: dict[str, TensorForm]) -> tuple[str, tuple[Shape, Content]]:
    expected = outputs.get(tensor.name)
    if expected is None:
        raise Refused(400, f"expected outputs among {', '.join(outputs)}, found {tensor.name}")
    shape = _shape(tensor, expected)
    return tensor.name, (shape, _listed(tensor.data or [], shape, expected, missing=True))
