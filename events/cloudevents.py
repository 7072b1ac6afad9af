"""CloudEvents over HTTP in their three content modes.

Source: CloudEvents 1.0, its HTTP protocol binding (§3.1 binary, §3.2 structured, §3.3 batched) and its JSON format. Attributes of version 0.3, which Seldon
sends, are the same where we look.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from records.ports import UnreadableEventsError

_STRUCTURED: Final = "application/cloudevents+json"
_BATCH: Final = "application/cloudevents-batch+json"
_PREFIX: Final = "ce-"


class CloudEvent(msgspec.Struct, frozen=True, gc=False):
    """One event."""

    attributes: dict[str, str]
    """By lower-case name: `id`, `type`, `source`, `time`, and extensions."""
    data: bytes
    content_type: str
    """Of `data`; empty where nothing is said."""


class NotAnEventError(ValueError):
    """One event that is none; the text says what was expected."""


def read_events(content: bytes, fields: Mapping[str, str]) -> Iterator[CloudEvent | NotAnEventError]:
    """Yield the events of a request with these header fields (lower-case names), each by itself. Raises UnreadableEventsError where there can be none."""
    content_type = fields.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == _BATCH:
        yield from map(_event_or_error, _batch(content))
    elif kind == _STRUCTURED:
        yield _event_or_error(_decoded(content))
    elif any(name.startswith(_PREFIX) for name in fields):
        attributes = {name.removeprefix(_PREFIX): unquote(value) for name, value in fields.items() if name.startswith(_PREFIX)}
        yield CloudEvent(attributes, content, content_type)
    else:
        raise UnreadableEventsError(f"expected a CloudEvent: header fields Ce-Id, Ce-Type, …, or the content type {_STRUCTURED} or {_BATCH}, found {kind!r}")


def _batch(content: bytes) -> list[Any]:
    document = _decoded(content)
    if not isinstance(document, list):
        raise UnreadableEventsError(f"expected a JSON list of events, found {document!r:.80}")
    return document


def _decoded(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableEventsError(f"expected JSON: {error}") from None


def _event_or_error(document: Any) -> CloudEvent | NotAnEventError:
    try:
        return _event(document)
    except NotAnEventError as error:
        return error


def _event(document: Any) -> CloudEvent:
    if not isinstance(document, dict):
        raise NotAnEventError(f"expected an event as a JSON object, found {document!r:.80}")
    attributes = {name.lower(): str(value) for name, value in document.items() if name not in {"data", "data_base64"} and value is not None}
    return CloudEvent(attributes, _data(document), attributes.get("datacontenttype", ""))


def _data(document: Mapping[str, Any]) -> bytes:
    encoded = document.get("data_base64")
    if encoded is not None:
        try:
            return binascii.a2b_base64(encoded, strict_mode=True)
        except (TypeError, ValueError) as error:
            raise NotAnEventError(f"expected data_base64 in Base64: {error}") from None
    data = document.get("data")
    if isinstance(data, str) and "json" not in str(document.get("datacontenttype", "json")):
        return data.encode()
    return b"" if data is None else msgspec.json.encode(data)
