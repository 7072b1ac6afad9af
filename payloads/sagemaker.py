"""SageMaker's containers: `POST /invocations`, the path that MLflow has too.

Source: SageMaker's "common data formats for inference", and what its own containers read. CSV without a header (one is recognised), JSON, JSON
Lines, RecordIO, and Triton's `application/vnd.sagemaker-triton.binary+json`, which is Open Inference V2 with the length of its JSON in the content type.
"""

from __future__ import annotations

import io
import re
from functools import partial
from typing import Any, Final

import msgspec

from payloads import open_inference, recordio
from payloads.json_documents import Forms, load, read_form
from payloads.media_types import media_type, parameter
from payloads.nested_lists import tensors_of_columns, tensors_of_document, tensors_of_rows
from payloads.refusal import Refused, require_few_values
from payloads.tables import is_header, tensors_of_bare_csv
from records.exchange import Body, Exchange
from records.payload import Decoded, Tensor, Undecodable

NAME: Final = "sagemaker"
PATH: Final = re.compile(r".*/invocations/?")

_LINES: Final = frozenset({"application/jsonlines", "application/x-jsonlines", "application/x-ndjson", "application/jsonl"})
_TRITON: Final = "application/vnd.sagemaker-triton.binary+json"
_OWN_TYPES: Final = _LINES | {_TRITON, recordio.MEDIA_TYPE}
_NO_VALUES: Final = frozenset({"application/x-npy", "application/octet-stream", "text/libsvm", "text/x-libsvm"})
_FIRST_LINE_BYTES: Final = 64 * 1024


def is_meant_by(exchange: Exchange) -> bool:
    """Whether an exchange on the path that MLflow has too is by its content types, its header fields or its CSV SageMaker's."""
    request = exchange.request
    if request.fields and any(name.startswith("x-amzn-sagemaker-") for name in request.fields):
        return True
    kind = media_type(request.content_type)
    if kind in _OWN_TYPES or media_type(exchange.response.content_type) in _OWN_TYPES | {"text/csv"}:
        return True
    return kind == "text/csv" and not request.content_encoding and _begins_with_numbers(request.content)


def decode_request(content: bytes, body: Body, model: str, version: str) -> Decoded:
    """Return the inputs."""
    if media_type(body.content_type) == _TRITON:
        return msgspec.structs.replace(open_inference.decode_request(content, _as_open_inference(body), model, version), format=NAME)
    return Decoded(NAME, _tensors("inputs", content, body, _REQUEST_FORMS, recordio.Part.FEATURES), model, version)


def decode_reply(content: bytes, body: Body, model: str, version: str) -> Decoded:
    """Return the predictions."""
    if media_type(body.content_type) == _TRITON:
        return msgspec.structs.replace(open_inference.decode_reply(content, _as_open_inference(body), model, version), format=NAME)
    return Decoded(NAME, _tensors("predictions", content, body, _REPLY_FORMS, recordio.Part.LABEL), model, version)


def _as_open_inference(body: Body) -> Body:
    length = parameter(body.content_type, "json-header-size")
    return msgspec.structs.replace(body, fields={"inference-header-content-length": length} if length else {})


def _tensors(name: str, content: bytes, body: Body, forms: Forms, part: recordio.Part) -> list[Tensor]:
    kind = media_type(body.content_type)
    if kind in _NO_VALUES:
        raise Refused(Undecodable.NO_DATA)
    if kind == "text/csv":
        return tensors_of_bare_csv(name, content)
    if kind == recordio.MEDIA_TYPE:
        return recordio.tensors_of_recordio(content, part)
    if kind in _LINES:
        return tensors_of_rows(name, _documents(content))
    document = load(content)
    if type(document) is dict and document.keys() & forms.keys():
        return read_form(document, forms)
    return tensors_of_document(name, document)


def _documents(content: bytes) -> list[Any]:
    """Return the documents of JSON Lines, one per line that is not empty."""
    documents: list[Any] = []
    for line in io.BytesIO(content):
        if not line.isspace():
            documents.append(load(line))
            require_few_values(len(documents))
    if not documents:
        raise Refused(Undecodable.EMPTY)
    return documents


def _begins_with_numbers(content: bytes) -> bool:
    """Whether the first line of CSV is no header."""
    return not is_header(content[:_FIRST_LINE_BYTES].partition(b"\n")[0].decode(errors="replace").strip().split(","))


_REQUEST_FORMS: Final[Forms] = {
    "instances": partial(tensors_of_rows, "inputs"),
    "inputs": partial(tensors_of_columns, "inputs"),
}
_REPLY_FORMS: Final[Forms] = {"predictions": partial(tensors_of_rows, "predictions")}
