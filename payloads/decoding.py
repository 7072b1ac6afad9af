"""An exchange to what its request and its response said."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple, Protocol, TypeAlias
from urllib.parse import unquote

from payloads import azure_ml, clipper, mlflow, open_inference, openai_compatible, sagemaker, seldon, tensorflow_v1, torchserve, triton_generate
from payloads.content_coding import plain_content
from payloads.feedback import is_feedback
from payloads.json_services import JsonService
from payloads.refusal import MAX_PATH_LENGTH, MAX_VALUES, Refused, require_few_values
from records.exchange import Body, Exchange
from records.payload import Decoded, DecodeResult, Failed, Undecodable

Reader: TypeAlias = Callable[[bytes, Body, str, str], Decoded]
"""Takes the body without its content coding, the body as it was sent, and the path's model and version; may raise `Refused`."""


class WireFormat(Protocol):
    """What a format's module offers."""

    @property
    def NAME(self) -> str:  # noqa: N802 - a constant of the module
        """The format's name in records, tables and metrics."""
        ...

    @property
    def PATH(self) -> re.Pattern[str]:  # noqa: N802 - a constant of the module
        """Matches the whole path, without its query; may have the groups `model` and `version`."""
        ...

    @property
    def decode_request(self) -> Reader:
        """Read a request."""
        ...

    @property
    def decode_reply(self) -> Reader:
        """Read a reply that is not an error."""
        ...


FORMATS: Final[tuple[WireFormat, ...]] = (
    open_inference,
    triton_generate,
    tensorflow_v1,
    torchserve,
    seldon,
    mlflow,
    sagemaker,
    azure_ml,
    openai_compatible,
    clipper,
)
"""In the order in which they are asked whether a path is theirs."""

_VERSION_IN_REPLY: Final[dict[str, Callable[[bytes, Body], str]]] = {module.NAME: module.version_of for module in (open_inference, triton_generate)}
_LONGEST_VERSION: Final = 200

_MODEL_FIELDS: Final = ("seldon-model", "x-amzn-sagemaker-target-model", "azureml-model-deployment")
"""Header fields of requests that name the model where the path names a service."""


class Target(NamedTuple):
    """What a path asks for."""

    wire_format: WireFormat
    model: str
    version: str


def wire_format(name: str, *, features: str = "", predictions: str = "") -> WireFormat:
    """Return the format of this name, a `records.payload.Format`. Raises ValueError where an expression is none, with a sentence for the user."""
    if name == JsonService.NAME:
        return JsonService(features, predictions)
    return next(known for known in FORMATS if name == known.NAME)


def decode(exchange: Exchange, chosen: WireFormat | None = None) -> tuple[DecodeResult, DecodeResult]:
    """Return what the request and the response of `exchange` said. Never raises.

    The path tells the format, unless one is `chosen` for the route.
    """
    target = _target(exchange) if chosen is None else _as(chosen, exchange.path)
    is_error = exchange.status >= 400
    if target is None:
        return _unrecognised(exchange, exchange.request), Failed("", Undecodable.ERROR_REPLY) if is_error else _unrecognised(exchange, exchange.response)
    request = _read(target.wire_format.decode_request, exchange.request, target)
    return request, _failed(target, Undecodable.ERROR_REPLY) if is_error else _read(target.wire_format.decode_reply, exchange.response, target)


def recognise(path: str) -> Target | None:
    """Return the format, model and version that a request target names, or None where no format answers to it."""
    return _recognise(path.partition("?")[0])


def identify(exchange: Exchange, chosen: WireFormat | None = None, reply: DecodeResult | None = None) -> tuple[str, str]:
    """Return the model and version that a request names in its header fields, its path or its body; each empty where it does not.

    What a path names depends on its format, which may be `chosen` for the route. Where a path asks for a model's current version, the reply says which one that was: it is
    not read again where it is given as it was decoded.
    """
    target = _target(exchange) if chosen is None else _as(chosen, exchange.path)
    model, version = (target.model, target.version) if target else ("", "")
    if fields := exchange.request.fields:
        model = next((fields[name] for name in _MODEL_FIELDS if name in fields), model)
    if target is not None and not model and target.wire_format is openai_compatible:
        model = _model_in_body(exchange.request)
    if not version and target is not None and (version_of := _VERSION_IN_REPLY.get(target.wire_format.NAME)):
        version = reply.version if isinstance(reply, Decoded) else _version_in_reply(exchange, version_of)
        version = version if len(version) <= _LONGEST_VERSION else ""
    return model, version


def _target(exchange: Exchange) -> Target | None:
    """Return what a request asks for: by its path, and where that does not tell by what else there is."""
    target = recognise(exchange.path)
    if target is not None:
        if target.wire_format is mlflow and sagemaker.is_meant_by(exchange):
            return target._replace(wire_format=sagemaker)
        if target.wire_format is clipper and not clipper.is_meant_by(exchange):
            return None
    return target


@lru_cache(maxsize=256)
def _recognise(path: str) -> Target | None:
    if len(path) > MAX_PATH_LENGTH:
        return None
    for known in FORMATS:
        if match := known.PATH.fullmatch(path):
            return _named(known, match.groupdict())
    return None


def _as(chosen: WireFormat, path: str) -> Target:
    match = chosen.PATH.fullmatch(path.partition("?")[0])
    return _named(chosen, match.groupdict() if match else {})


def _named(known: WireFormat, named: Mapping[str, str | None]) -> Target:
    return Target(known, unquote(named.get("model") or ""), unquote(named.get("version") or ""))


def _version_in_reply(exchange: Exchange, version_of: Callable[[bytes, Body], str]) -> str:
    if exchange.status >= 400 or not exchange.response.content:
        return ""
    try:
        return version_of(plain_content(exchange.response), exchange.response)
    except Refused:
        return ""


def _model_in_body(body: Body) -> str:
    try:
        return openai_compatible.model_of(plain_content(body))
    except Refused:
        return ""


def _read(reader: Reader, body: Body, target: Target) -> DecodeResult:
    try:
        content = plain_content(body)
        decoded = reader(content, body, target.model, target.version)
        if len(content) > MAX_VALUES:  # a shorter body cannot hold more: no format writes a value in less than a byte
            require_few_values(sum(len(tensor.values) for tensor in decoded.tensors))
    except Refused as refused:
        return _failed(target, refused.reason)
    return decoded


def _failed(target: Target, reason: Undecodable) -> Failed:
    return Failed(target.wire_format.NAME, reason, target.model, target.version)


def _unrecognised(exchange: Exchange, body: Body) -> Failed:
    if is_feedback(exchange.path):
        return Failed("", Undecodable.FEEDBACK)
    return Failed("", Undecodable.UNKNOWN_FORMAT if body.content or body.truncated else Undecodable.EMPTY)
