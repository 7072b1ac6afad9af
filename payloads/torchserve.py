"""TorchServe's inference API: `POST /predictions/{model}[/{version}]` and `/explanations/{model}`.

Source: TorchServe's `inference_api.md` and its default handlers. A body is whatever the handler reads: JSON, text, a form with fields such as
`data`, or a file. An object of classes and falling scores, which the image classifier answers, is a ranking: `classes` and `scores`.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, Final

from payloads.json_documents import load
from payloads.media_types import media_type
from payloads.multipart import Part, parts
from payloads.nested_lists import tensor_of, tensors_of_document, tensors_of_rows
from payloads.refusal import Refused
from records.exchange import Body
from records.payload import Decoded, Tensor, Undecodable

NAME: Final = "torchserve"
PATH: Final = re.compile(r".*/(?:predictions|explanations)/(?P<model>[^/]+)(?:/(?P<version>[^/]+))?/?")


def decode_request(content: bytes, body: Body, model: str, version: str) -> Decoded:
    """Return the inputs; of a form one or more tensors per field."""
    kind = media_type(body.content_type)
    if kind == "multipart/form-data":
        return Decoded(NAME, _tensors_of_form(parts(content, body.content_type)), model, version)
    return Decoded(NAME, _tensors("inputs", content, kind), model, version)


def decode_reply(content: bytes, body: Body, model: str, version: str) -> Decoded:
    """Return the predictions."""
    return Decoded(NAME, _tensors("predictions", content, media_type(body.content_type)), model, version)


def _tensors_of_form(fields: list[Part]) -> list[Tensor]:
    """Return the fields that are JSON or text; refuse a form of nothing but files."""
    tensors: list[Tensor] = []
    for field in fields:
        try:
            tensors += _tensors("inputs" if field.name in {"data", "body"} else field.name, field.content, field.media_type)
        except Refused as refused:
            if refused.reason is not Undecodable.NO_DATA:
                raise
    if not tensors:
        raise Refused(Undecodable.NO_DATA)
    return tensors


def _tensors(name: str, content: bytes, kind: str) -> list[Tensor]:
    """Read JSON, whatever it is called, else text that is called text."""
    try:
        return _tensors_of_json(name, load(content))
    except Refused as refused:
        if refused.reason is not Undecodable.MALFORMED or kind == "application/json":
            raise
    if not kind.startswith("text/"):
        raise Refused(Undecodable.NO_DATA)
    return [tensor_of(name, content.decode(errors="backslashreplace"))]


def _tensors_of_json(name: str, document: Any) -> list[Tensor]:
    if type(document) is dict:
        if "instances" in document:
            return tensors_of_rows(name, document["instances"])
        if _is_ranking(document):
            return [tensor_of("classes", [list(document)]), tensor_of("scores", [list(document.values())])]
    return tensors_of_document(name, document)


def _is_ranking(document: dict[str, Any]) -> bool:
    """Whether an object gives scores between 0 and 1, the largest first, as the classifiers' `topk` writes them."""
    scores = list(document.values())
    if len(scores) < 2 or set(map(type, scores)) != {float}:
        return False
    return scores[0] <= 1 and scores[-1] >= 0 and all(first >= second for first, second in pairwise(scores))
