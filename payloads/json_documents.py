"""JSON as inference services write it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

import msgspec
import orjson

from payloads.refusal import Refused
from records.payload import Tensor, Undecodable

_Message = TypeVar("_Message", bound=msgspec.Struct)

Forms: TypeAlias = Mapping[str, Callable[[Any], list[Tensor]]]
"""Members of an object by which a format gives values, and how each is read."""


def load(content: bytes) -> Any:
    """Return the document in `content`: its integers fit 64 bits, its text is valid Unicode, its depth is at most 1,024."""
    try:
        return orjson.loads(content)
    except ValueError:
        if b"NaN" not in content and b"Infinity" not in content:
            raise Refused(Undecodable.MALFORMED) from None
    return _load_with_non_finite(content)


def load_object(content: bytes) -> dict[str, Any]:
    """Return the document in `content`, which must be an object."""
    document = load(content)
    if type(document) is not dict:
        raise Refused(Undecodable.MALFORMED)
    return document


def convert(document: Any, message: type[_Message]) -> _Message:
    """Return the document as this struct, or refuse it where its members are of other types."""
    try:
        return msgspec.convert(document, message)
    except msgspec.ValidationError:
        raise Refused(Undecodable.MALFORMED) from None


def _load_with_non_finite(content: bytes) -> Any:
    """Read bare NaN, Infinity and −Infinity, which RFC 8259 §6 leaves out and Python and TensorFlow Serving write."""
    try:
        document = json.loads(content.decode(), parse_int=integer)
        orjson.dumps(document)  # finds what only the lenient parser lets through: lone surrogates and great depth
    except (ValueError, TypeError, RecursionError):
        raise Refused(Undecodable.MALFORMED) from None
    return document


def integer(digits: str) -> int | float:
    """Read an integer as orjson does: one that is too long for 64 bits becomes a float."""
    return int(digits) if len(digits) < 20 else float(digits)


def read_form(document: dict[str, Any], forms: Forms) -> list[Tensor]:
    """Read the one member of `document` that `forms` names, by that form's reader."""
    present = [form for form in forms if form in document]
    if not present:
        raise Refused(Undecodable.UNKNOWN_FORMAT)
    if len(present) > 1:
        raise Refused(Undecodable.MALFORMED)
    return forms[present[0]](document[present[0]])
