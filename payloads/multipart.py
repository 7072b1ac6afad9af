"""Forms with files (RFC 7578): the fields of a body of `multipart/form-data`."""

from __future__ import annotations

from email.parser import HeaderParser
from typing import Final, NamedTuple

from payloads.media_types import media_type, parameter
from payloads.refusal import Refused
from records.payload import Undecodable

MAX_PARTS: Final = 1_000
_MAX_HEAD_BYTES: Final = 4 * 1024


class Part(NamedTuple):
    """One field of a form."""

    name: str
    content: bytes
    media_type: str
    """In lower case, without parameters; empty where the part does not say."""


def parts(content: bytes, content_type: str) -> list[Part]:
    """Return the fields, or refuse a body that its boundary does not divide."""
    boundary = parameter(content_type, "boundary")
    if not boundary:
        raise Refused(Undecodable.MALFORMED)
    _, *pieces = (b"\r\n" + content).split(b"\r\n--" + boundary.encode(errors="replace"), MAX_PARTS + 1)
    if len(pieces) > MAX_PARTS:
        raise Refused(Undecodable.TOO_LARGE)
    if not pieces or not pieces[-1].startswith(b"--"):
        raise Refused(Undecodable.MALFORMED)
    return [_part(piece) for piece in pieces[:-1]]


def _part(piece: bytes) -> Part:
    head, end, content = piece.partition(b"\r\n\r\n")
    if not end or len(head) > _MAX_HEAD_BYTES:
        raise Refused(Undecodable.MALFORMED)
    fields = HeaderParser().parsestr(head.decode(errors="replace").lstrip())
    name = fields.get_param("name", header="content-disposition")
    if not isinstance(name, str):
        raise Refused(Undecodable.MALFORMED)
    return Part(name, content, media_type(fields.get("content-type", "")))
