"""What clients send to the serving system when the truth is known: Seldon's feedback and Clipper's updates.

They pass through the proxy as exchanges of their own, which are no predictions. Seldon's source is `prediction.proto` (`Feedback`), Clipper's
`query_frontend.hpp` (`/update`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from payloads import clipper, seldon
from payloads.content_coding import plain_content
from payloads.json_documents import convert, load_object
from payloads.nested_lists import tensor_of
from payloads.refusal import MAX_PATH_LENGTH, Refused
from records.exchange import Exchange
from records.payload import Failed, Tensor, Undecodable

_SELDON_PATH: Final = re.compile(r".*?(?:/seldon/[^/]+/(?P<model>[^/]+))?/api/v(?:0\.1|1\.0)/feedback/?")
_CLIPPER_PATH: Final = re.compile(r"/(?P<model>[^/]+)/update")


class Feedback(msgspec.Struct, frozen=True):
    """The truth about one prediction, whose rows are those of `truth`."""

    format: str
    model: str
    """As the path names it; empty where it does not."""
    prediction_id: str = ""
    """Seldon's `puid`, which the prediction's reply had in its `meta`; empty where the sender left it out, and for Clipper, which has none."""
    truth: list[Tensor] = []
    """What the prediction should have been."""
    reward: float | None = None
    """How good it was, where the sender says so instead or as well."""
    inputs: list[Tensor] = []
    """The request that was answered, where the feedback repeats it: Clipper knows its predictions by nothing else."""

    @property
    def key(self) -> str:
        """The name of the prediction, as `prediction_key` gives it; empty where the sender did not say which one it was."""
        return self.prediction_id if self.format == seldon.NAME else _input_key(self.model, self.inputs)


class _Meta(msgspec.Struct):
    puid: str = ""


class _Answered(msgspec.Struct):
    meta: _Meta | None = None


class _SeldonFeedback(msgspec.Struct):
    request: dict[str, Any] | None = None
    response: _Answered | None = None
    reward: float | None = None
    truth: dict[str, Any] | None = None


def prediction_key(exchange: Exchange) -> str:
    """Return the name by which feedback knows a prediction: Seldon's `puid`, for Clipper a hash of its only input. Empty for other exchanges. Never raises."""
    target = _recognise_prediction(exchange.path.partition("?")[0])
    if target is None:
        return ""
    name, model = target
    try:
        if name == seldon.NAME:
            answered = convert(load_object(plain_content(exchange.response)), _Answered)
            return answered.meta.puid if answered.meta else ""
        document = load_object(plain_content(exchange.request))
        return _input_key(model, clipper.tensors_of_input(document["input"])) if "input" in document else ""
    except Refused:
        return ""


def is_feedback(path: str) -> bool:
    """Whether a request target, query included, takes feedback."""
    return _recognise(path.partition("?")[0]) is not None


def read_feedback(exchange: Exchange) -> Feedback | Failed | None:
    """Return what the exchange said about a prediction; None where its path takes no feedback, or the service refused it. Never raises."""
    target = _recognise(exchange.path.partition("?")[0])
    if target is None or not 200 <= exchange.status < 300:
        return None
    name, model = target
    try:
        content = plain_content(exchange.request)
        return _seldon_feedback(content, model) if name == seldon.NAME else _clipper_update(content, model)
    except Refused as refused:
        return Failed(name, refused.reason, model)


def _input_key(model: str, inputs: list[Tensor]) -> str:
    """Return a name of an input: the same for the same numbers, however they are written."""
    if not inputs:
        return ""
    values = [float(value) if isinstance(value, int) else value for value in inputs[0].values]
    return blake2b(msgspec.json.encode((model, values)), digest_size=16).hexdigest()


@lru_cache(maxsize=256)
def _recognise(path: str) -> tuple[str, str] | None:
    return _matched(path, ((seldon.NAME, _SELDON_PATH), (clipper.NAME, _CLIPPER_PATH)))


@lru_cache(maxsize=256)
def _recognise_prediction(path: str) -> tuple[str, str] | None:
    return _matched(path, ((seldon.NAME, seldon.PATH), (clipper.NAME, clipper.PATH)))


def _matched(path: str, patterns: Iterable[tuple[str, re.Pattern[str]]]) -> tuple[str, str] | None:
    """Return the format and the model."""
    if len(path) > MAX_PATH_LENGTH:
        return None
    for name, pattern in patterns:
        if match := pattern.fullmatch(path):
            return name, unquote(match["model"] or "")
    return None


def _seldon_feedback(content: bytes, model: str) -> Feedback:
    said = convert(load_object(content), _SeldonFeedback)
    if not said.truth and said.reward is None:
        raise Refused(Undecodable.NO_DATA)
    return Feedback(
        format=seldon.NAME,
        model=model,
        prediction_id=said.response.meta.puid if said.response and said.response.meta else "",
        truth=seldon.tensors_of_message("truth", said.truth) if said.truth else [],
        reward=said.reward,
        inputs=_inputs(said.request),
    )


def _inputs(request: dict[str, Any] | None) -> list[Tensor]:
    """Return the request that the feedback repeats; it is only a help, so what cannot be read is left out."""
    try:
        return seldon.tensors_of_message("inputs", request) if request else []
    except Refused:
        return []


def _clipper_update(content: bytes, model: str) -> Feedback:
    document = load_object(content)
    if "label" not in document:
        raise Refused(Undecodable.UNKNOWN_FORMAT)
    inputs = clipper.tensors_of_input(document["input"]) if "input" in document else []
    return Feedback(format=clipper.NAME, model=model, truth=[tensor_of("truth", document["label"])], inputs=inputs)
