"""An exchange to what its request and its response said."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple, Protocol, TypeAlias
from urllib.parse import unquote

from payloads import mlflow, open_inference, tensorflow_v1
from payloads.content_coding import decompress
from payloads.refusal import MAX_CONTENT_BYTES, MAX_VALUES, Refused, require_few_values
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


FORMATS: Final[tuple[WireFormat, ...]] = (open_inference, tensorflow_v1, mlflow)


class Target(NamedTuple):
    """What a path asks for."""

    wire_format: WireFormat
    model: str
    version: str


def decode(exchange: Exchange) -> tuple[DecodeResult, DecodeResult]:
    """Return what the request and the response of `exchange` said. Never raises."""
    target = recognise(exchange.path)
    is_error = exchange.status >= 400
    if target is None:
        return _unrecognised(exchange.request), Failed("", Undecodable.ERROR_REPLY) if is_error else _unrecognised(exchange.response)
    request = _read(target.wire_format.decode_request, exchange.request, target)
    return request, _failed(target, Undecodable.ERROR_REPLY) if is_error else _read(target.wire_format.decode_reply, exchange.response, target)


def recognise(path: str) -> Target | None:
    """Return the format, model and version that a request target names, or None where no format answers to it."""
    return _recognise(path.partition("?")[0])


@lru_cache(maxsize=256)
def _recognise(path: str) -> Target | None:
    for wire_format in FORMATS:
        if match := wire_format.PATH.fullmatch(path):
            named = match.groupdict("")
            return Target(wire_format, unquote(named.get("model", "")), unquote(named.get("version", "")))
    return None


def _read(reader: Reader, body: Body, target: Target) -> DecodeResult:
    try:
        content = _plain_content(body)
        decoded = reader(content, body, target.model, target.version)
        if len(content) > MAX_VALUES:  # a shorter body cannot hold more: no format writes a value in less than a byte
            require_few_values(sum(len(tensor.values) for tensor in decoded.tensors))
    except Refused as refused:
        return _failed(target, refused.reason)
    return decoded


def _plain_content(body: Body) -> bytes:
    """Return the whole body without its content coding."""
    if body.truncated:
        raise Refused(Undecodable.TRUNCATED)
    if not body.content:
        raise Refused(Undecodable.EMPTY)
    content = decompress(body.content, body.content_encoding) if body.content_encoding else body.content
    if len(content) > MAX_CONTENT_BYTES:
        raise Refused(Undecodable.TOO_LARGE)
    return content


def _failed(target: Target, reason: Undecodable) -> Failed:
    return Failed(target.wire_format.NAME, reason, target.model, target.version)


def _unrecognised(body: Body) -> Failed:
    return Failed("", Undecodable.UNKNOWN_FORMAT if body.content or body.truncated else Undecodable.EMPTY)
