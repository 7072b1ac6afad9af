"""Header fields as requests and replies share them (RFC 9110 §5, RFC 9112 §5 and §6)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from proxy.wire.grammar import FIELD_SECTION, FIELDS
from proxy.wire.reader import WireError

Field = tuple[bytes, bytes]

ContentFields = tuple[str, str, dict[str, str]]
"""What is recorded of a message's fields: content type, content encoding, and those without which its body cannot be decoded."""

_SINGLE: Final = frozenset({b"host", b"content-length"})
_NO_OPTIONS: Final[frozenset[bytes]] = frozenset()


def parse_fields(section: bytes, start: int, error_status: int) -> tuple[list[Field], dict[bytes, bytes]]:
    """Return the fields in order as received, and their values by lower-case name, repeated ones joined by commas.

    Raises WireError for a malformed field, and where Host or Content-Length is repeated.
    """
    if not FIELD_SECTION.match(section, start):
        raise WireError(error_status, "a header field is malformed")
    fields: list[Field] = FIELDS.findall(section, start)
    if b" \r\n" in section or b"\t\r\n" in section:
        fields = [(name, value.rstrip(b" \t")) for name, value in fields]
    named = {name.lower(): value for name, value in fields}
    if len(named) < len(fields):
        _join_repeated(fields, named, error_status)
    return fields, named


def _join_repeated(fields: list[Field], named: dict[bytes, bytes], error_status: int) -> None:
    named.clear()
    for name, value in fields:
        key = name.lower()
        if key not in named:
            named[key] = value
        elif key in _SINGLE:
            raise WireError(error_status, f"{name.decode('latin-1')} is given more than once")
        else:
            named[key] += b", " + value


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
