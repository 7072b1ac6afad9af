"""Header fields as requests and replies share them (RFC 9110 §5, RFC 9112 §5 and §6)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from http1.grammar import FIELD
from http1.reader import WireError

Field = tuple[bytes, bytes]

ContentFields = tuple[str, str, dict[str, str]]
"""What is recorded of a message's fields: content type, content encoding, and those without which its body cannot be decoded."""

REMEMBERED_FIELDS: Final = 1024
REMEMBERED_FIELD_BYTES: Final = 256
"""Longer lines are parsed anew each time, which bounds what is remembered to a megabyte."""

_SINGLE: Final = frozenset({b"host", b"content-length"})
_NO_OPTIONS: Final[frozenset[bytes]] = frozenset()


def parse_fields(section: bytes, error_status: int) -> tuple[list[Field], dict[bytes, bytes]]:
    """Return the fields in order as received, and their values by lower-case name, repeated ones joined by commas.

    `section` has the lines without the end of the last one. Raises WireError for a malformed field, and where Host or Content-Length is repeated.
    """
    fields: list[Field] = []
    named: dict[bytes, bytes] = {}
    for line in section.split(b"\r\n") if section else ():
        parsed = (_remembered_field if len(line) <= REMEMBERED_FIELD_BYTES else parse_field)(line)
        if parsed is None:
            raise WireError(error_status, "a header field is malformed")
        field, key = parsed
        fields.append(field)
        if key not in named:
            named[key] = field[1]
        elif key in _SINGLE:
            raise WireError(error_status, f"{field[0].decode('latin-1')} is given more than once")
        else:
            named[key] += b", " + field[1]
    return fields, named


def parse_field(line: bytes) -> tuple[Field, bytes] | None:
    """Return a line's field and its lower-case name; None where it is not one."""
    found = FIELD.match(line)
    if found is None:
        return None
    name, value = found.groups()
    return (name, value.rstrip(b" \t")), name.lower()


# Where a head as a whole does not repeat, because it has a trace context of its own, most of its lines still do.
_remembered_field = lru_cache(REMEMBERED_FIELDS)(parse_field)


def connection_options(named: dict[bytes, bytes]) -> frozenset[bytes]:
    """Return the lower-case options of the Connection field (RFC 9110 §7.6.1)."""
    value = named.get(b"connection")
    return _NO_OPTIONS if value is None else _list_options(value)


def parse_content_length(value: bytes, error_status: int) -> int:
    """Return the length. Raises WireError unless it is one whole number below 10**18."""
    if not value.isdigit() or len(value) > 18:
        raise WireError(error_status, "Content-Length is not one whole number")
    return int(value)


def require_chunked(value: bytes, error_status: int) -> None:
    """Raise WireError unless the only transfer coding is `chunked`: 501 for others that end in it (RFC 9112 §6.1)."""
    if value.lower() == b"chunked":
        return
    codings = _list(value)
    if codings[-1] != b"chunked" or codings.count(b"chunked") > 1 or b"" in codings:
        raise WireError(error_status, "Transfer-Encoding does not end in one chunked")
    raise WireError(501 if error_status == 400 else error_status, "the only transfer coding that is understood is chunked")


def _list(value: bytes) -> list[bytes]:
    return [item.strip(b" \t").lower() for item in value.split(b",")]


@lru_cache(maxsize=256)
def _list_options(value: bytes) -> frozenset[bytes]:
    return frozenset(_list(value))
