"""Clipper's query frontend: `POST /{application}/predict`.

Source: Clipper's `query_frontend.hpp`. An input is a list of numbers or a text, and `input_batch` a list of them; a reply has an `output`, and says
whether it is only the application's default.
"""

from __future__ import annotations

import re
from typing import Any, Final

from payloads.json_documents import Forms, load_object, read_form
from payloads.nested_lists import tensor_of, tensors_of_records
from payloads.refusal import Refused
from records.exchange import Body, Exchange
from records.payload import Decoded, Tensor, Undecodable

NAME: Final = "clipper"
PATH: Final = re.compile(r"/(?P<model>[^/]+)/predict")

_PREDICTED: Final = ("output", "default")


def is_meant_by(exchange: Exchange) -> bool:
    """Whether an exchange on a path that any service may have is by its members Clipper's."""
    return b'"input' in exchange.request.content or b'"query_id"' in exchange.response.content


def decode_request(content: bytes, body: Body, model: str, version: str) -> Decoded:  # noqa: ARG001 - every format reads alike
    """Return the inputs, a row each."""
    return Decoded(NAME, read_form(load_object(content), _REQUEST_FORMS), model, version)


def decode_reply(content: bytes, body: Body, model: str, version: str) -> Decoded:  # noqa: ARG001 - every format reads alike
    """Return the outputs, and whether each is the default."""
    document = load_object(content)
    replies = document.get("batch_predictions", [document])
    if type(replies) is not list or not all(type(reply) is dict and "output" in reply for reply in replies):
        raise Refused(Undecodable.UNKNOWN_FORMAT)
    rows = [{member: reply[member] for member in _PREDICTED if member in reply} for reply in replies]
    return Decoded(NAME, tensors_of_records(rows), model, version)


def tensors_of_input(value: Any) -> list[Tensor]:
    """Return one input as one row."""
    return [tensor_of("inputs", [value])]


def _tensors_of_batch(values: Any) -> list[Tensor]:
    return [tensor_of("inputs", values)]


_REQUEST_FORMS: Final[Forms] = {"input": tensors_of_input, "input_batch": _tensors_of_batch}
