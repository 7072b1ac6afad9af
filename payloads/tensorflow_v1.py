"""The V1 protocol of TensorFlow Serving and KServe: predict, classify, regress, and KServe's explain.

Source: TensorFlow Serving's `api_rest.md`. A tensor without a name is called `inputs` in requests and `predictions` in
replies, whether it came in the row form (`instances`, `predictions`) or in the column form (`inputs`, `outputs`).
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final

from payloads.json_documents import Forms, load_object, read_form
from payloads.nested_lists import flatten, tensor_of, tensors_of_columns, tensors_of_examples, tensors_of_rows
from payloads.refusal import Refused
from records.exchange import Body
from records.payload import Decoded, Tensor, Undecodable

NAME: Final = "v1"
PATH: Final = re.compile(r".*/v1/models/(?P<model>[^/:]+)(?:/(?:versions|labels)/(?P<version>[^/:]+))?:(?:predict|classify|regress|explain)")


def decode_request(content: bytes, body: Body, model: str, version: str) -> Decoded:  # noqa: ARG001 - every format reads alike
    """Return the inputs; in the row form with objects, and in examples, one tensor per name."""
    document = load_object(content)
    if "examples" in document:
        return Decoded(NAME, tensors_of_examples(document["examples"], document.get("context", {})), model, version)
    return Decoded(NAME, read_form(document, _REQUEST_FORMS), model, version)


def decode_reply(content: bytes, body: Body, model: str, version: str) -> Decoded:  # noqa: ARG001 - every format reads alike
    """Return the predictions; a classification gives `classes` and `scores`."""
    return Decoded(NAME, read_form(load_object(content), _REPLY_FORMS), model, version)


def _tensors_of_results(results: Any) -> list[Tensor]:
    """Return the regressed values, or the classes and scores of lists of (class, score) per example."""
    shape, values = flatten(results if type(results) is list else [results])
    if len(shape) == 3 and shape[2] == 2:
        return [_reshaped("classes", values[0::2], shape[:2]), _reshaped("scores", values[1::2], shape[:2])]
    return [tensor_of("predictions", results)]


def _reshaped(name: str, values: list[Any], shape: tuple[int, ...]) -> Tensor:
    flat = tensor_of(name, values)
    if len(flat.values) != len(values):
        raise Refused(Undecodable.RAGGED)
    return Tensor(name, flat.datatype, shape, flat.values)


_REQUEST_FORMS: Final[Forms] = {
    "instances": partial(tensors_of_rows, "inputs"),
    "inputs": partial(tensors_of_columns, "inputs"),
}
_REPLY_FORMS: Final[Forms] = {
    "predictions": partial(tensors_of_rows, "predictions"),
    "explanations": partial(tensors_of_rows, "explanations"),
    "outputs": partial(tensors_of_columns, "predictions"),
    "results": _tensors_of_results,
    "result": _tensors_of_results,  # the name in the documentation; servers write the plural
}
