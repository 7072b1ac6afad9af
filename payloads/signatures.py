"""What a model says of its inputs and outputs, for what bodies leave out: the names of columns, and what the bytes of a raw request are.

Read from the file that has it: the `MLmodel` of MLflow, or the metadata of Open Inference V2, as `GET /v2/models/{model}` answers it.
"""

from __future__ import annotations

import math
from typing import Final, Literal

import msgspec
import yaml

from payloads.binary_tensors import Datatype, unpack, width_bytes
from payloads.content_coding import plain_content
from payloads.refusal import Refused, require_few_values, size_of
from records.exchange import Exchange
from records.payload import Decoded, DecodeResult, Failed, Tensor, Undecodable

_EXPECTED: Final = "expected MLflow's MLmodel with a signature, or the metadata that GET /v2/models/NAME answers"
_RAW_LENGTH: Final = "0"


class _Field(msgspec.Struct, frozen=True):
    """One input or output."""

    name: str = ""
    datatype: Datatype | Literal[""] = ""
    """Empty where the bodies tell it."""
    shape: tuple[int, ...] = (-1,)
    """−1 where a length is not fixed."""

    @property
    def is_column(self) -> bool:
        return bool(self.name) and math.prod(self.shape[1:]) == 1


class _Metadata(msgspec.Struct):
    """Of Open Inference V2."""

    inputs: tuple[_Field, ...] = ()
    outputs: tuple[_Field, ...] = ()


class _TensorSpec(msgspec.Struct):
    shape: tuple[int, ...] = (-1,)


class _MlflowField(msgspec.Struct, rename={"tensor_spec": "tensor-spec"}):
    name: str = ""
    tensor_spec: _TensorSpec | None = None


class _MlflowSignature(msgspec.Struct):
    """Each side is JSON in a text."""

    inputs: str | None = None
    outputs: str | None = None


class _MlModel(msgspec.Struct):
    signature: _MlflowSignature


class Signature:
    """Adds to what was decoded what the model says of itself."""

    def __init__(self, metadata: _Metadata) -> None:
        self._inputs = _column_names(metadata.inputs)
        self._outputs = _column_names(metadata.outputs)
        self._raw = metadata.inputs[0] if len(metadata.inputs) == 1 and metadata.inputs[0].datatype else None

    def completed(self, exchange: Exchange, request: DecodeResult, reply: DecodeResult) -> tuple[DecodeResult, DecodeResult]:
        """Return request and reply with names for the columns of their only tensor, if it has as many and names none; and a raw request read."""
        if self._raw is not None and isinstance(request, Failed) and exchange.request.fields.get("inference-header-content-length") == _RAW_LENGTH:
            request = _read_raw(self._raw, exchange, request)
        return _named(request, self._inputs), _named(reply, self._outputs)


def read_signature(text: str) -> Signature:
    """Return the signature in a file. Raises ValueError with a sentence for the user."""
    try:
        document = yaml.safe_load(text)  # JSON too, which is YAML
        is_mlflow = isinstance(document, dict) and "signature" in document
        metadata = _of_mlflow(msgspec.convert(document, _MlModel).signature) if is_mlflow else msgspec.convert(document, _Metadata)
    except (yaml.YAMLError, msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"{_EXPECTED}, found: {' '.join(str(error).split())}") from None
    if not metadata.inputs:
        raise ValueError(f"{_EXPECTED}, found none of its inputs")
    return Signature(metadata)


def _of_mlflow(signature: _MlflowSignature) -> _Metadata:
    sides = [msgspec.json.decode(side or "[]", type=tuple[_MlflowField, ...]) for side in (signature.inputs, signature.outputs)]
    inputs, outputs = (tuple(_Field(field.name, shape=field.tensor_spec.shape if field.tensor_spec else (-1,)) for field in side) for side in sides)
    return _Metadata(inputs, outputs)


def _column_names(fields: tuple[_Field, ...]) -> tuple[str, ...]:
    return tuple(field.name for field in fields) if all(field.is_column for field in fields) else ()


def _named(result: DecodeResult, names: tuple[str, ...]) -> DecodeResult:
    if not isinstance(result, Decoded) or len(result.tensors) != 1:
        return result
    tensor = result.tensors[0]
    if tensor.columns or len(tensor.shape) < 2 or math.prod(tensor.shape[1:]) != len(names):
        return result
    return msgspec.structs.replace(result, tensors=[msgspec.structs.replace(tensor, columns=names)])


def _read_raw(field: _Field, exchange: Exchange, failed: Failed) -> DecodeResult:
    """Read a request of Triton's that is nothing but the bytes of the model's only input."""
    try:
        return Decoded(failed.format, [_raw_tensor(field, plain_content(exchange.request))], failed.model, failed.version)
    except Refused as refused:
        return msgspec.structs.replace(failed, reason=refused.reason)


def _raw_tensor(field: _Field, content: bytes) -> Tensor:
    if field.datatype == "BYTES":
        return Tensor(field.name, "BYTES", (1,), [content.decode(errors="backslashreplace")])
    fixed = [length for length in field.shape if length >= 0]
    count, rest = divmod(len(content), width_bytes(field.datatype))
    require_few_values(count)
    rows, left = divmod(count, size_of([1, *fixed]) or 1)
    if rest or left or len(field.shape) - len(fixed) > 1:
        raise Refused(Undecodable.MALFORMED)
    shape = tuple(length if length >= 0 else rows for length in field.shape) or (1,)
    if math.prod(shape) != count:
        raise Refused(Undecodable.MALFORMED)
    return Tensor(field.name, field.datatype, shape, unpack(field.datatype, count, content))
