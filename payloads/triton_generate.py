"""Triton's generate extension, which vLLM and TensorRT-LLM backends answer: a text in, a text or a stream of pieces of it out.

Source: Triton's `extension_generate.md`. Inputs and outputs are members of the object by name, and `parameters` those that are for the model's
configuration. `text_input` and `text_output` are free text; the outputs of a stream's further events are pieces of text to be put together, or replace
what an earlier event said.
"""

from __future__ import annotations

import re
from typing import Any, Final

from payloads.event_streams import events, is_stream, timing_tensors
from payloads.json_documents import load_object
from payloads.nested_lists import tensors_of_records
from payloads.refusal import Refused
from payloads.texts import text_tensors
from records.exchange import Body
from records.payload import Decoded, Tensor, Undecodable

NAME: Final = "generate"
PATH: Final = re.compile(r".*/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?/generate(?:_stream)?/?")


def decode_request(content: bytes, body: Body, model: str, version: str) -> Decoded:  # noqa: ARG001 - every format reads alike
    """Return the text, and the other inputs and parameters by name."""
    return Decoded(NAME, _tensors(load_object(content), "text_input"), model, version)


def decode_reply(content: bytes, body: Body, model: str, version: str) -> Decoded:
    """Return the text as a whole, and the other outputs by name."""
    if is_stream(body):
        return _decode_stream(content, body, model, version)
    return _decoded(load_object(content), [], model, version)


def version_of(content: bytes, body: Body) -> str:
    """Return the version that a reply, or the first event of a stream, names; empty where it names none."""
    if b'"model_version"' not in content:
        return ""
    document = next((event.document for event in events(content)), {}) if is_stream(body) else load_object(content)
    return str(document.get("model_version") or "")


def _decode_stream(content: bytes, body: Body, model: str, version: str) -> Decoded:
    outputs: dict[str, Any] = {}
    pieces: list[str] = []
    ends_bytes: list[int] = []
    for event in events(content):
        outputs |= event.document
        piece = event.document.get("text_output")
        if piece and isinstance(piece, str):
            pieces.append(piece)
            ends_bytes.append(event.end_bytes)
    if not outputs:
        raise Refused(Undecodable.NO_DATA)
    if pieces:
        outputs["text_output"] = "".join(pieces)
    timing = timing_tensors(ends_bytes[0], ends_bytes[-1], len(pieces), body) if pieces else []
    return _decoded(outputs, timing, model, version)


def _decoded(outputs: dict[str, Any], timing: list[Tensor], model: str, version: str) -> Decoded:
    model, version = (str(outputs.pop(f"model_{part}", "") or said) for part, said in (("name", model), ("version", version)))
    return Decoded(NAME, _tensors(outputs, "text_output") + timing, model, version)


def _tensors(members: dict[str, Any], text_name: str) -> list[Tensor]:
    """Return the member that is free text, one or a list, and the others as one row."""
    text = members.pop(text_name, None)
    others = tensors_of_records([{name: value for name, value in members.items() if name != "id"}])
    texts = text if type(text) is list else [text]
    if set(map(type, texts)) == {str}:
        return text_tensors(text_name, texts, (1, len(texts))) + others
    if text is not None or not others:
        raise Refused(Undecodable.UNKNOWN_FORMAT)
    return others
