"""Encodes records with large bodies as MessagePack in pieces, so that the bodies are not copied: put together they are what msgspec makes of the record."""

from __future__ import annotations

from typing import Final

import msgspec

from records.exchange import NO_BODY, Body, Exchange

SPLIT_FROM_BYTES: Final = 8192
"""Bodies of so many bytes in all; below that one piece costs less."""

_encode: Final = msgspec.msgpack.Encoder().encode
_NO_BODIES_BYTES: Final = 2 * len(_encode(NO_BODY))
_EMPTY_BYTES: Final = len(_encode(b""))
_BEHIND_BODIES: Final = Exchange.__struct_fields__[Exchange.__struct_fields__.index("response") + 1 :]


def encode_large(exchange: Exchange) -> list[bytes]:
    """Return the pieces of a record."""
    fields = _encode(msgspec.structs.replace(exchange, request=NO_BODY, response=NO_BODY))
    behind = b"".join([_encode(getattr(exchange, name)) for name in _BEHIND_BODIES])
    request_begin, request_rest = _around_content(exchange.request)
    response_begin, response_rest = _around_content(exchange.response)
    before = fields[: len(fields) - len(behind) - _NO_BODIES_BYTES] + request_begin
    return [before, exchange.request.content, request_rest + response_begin, exchange.response.content, response_rest + behind]


def _around_content(body: Body) -> tuple[bytes, bytes]:
    """Return what comes before and behind the content, which is the first field of a body."""
    encoded = _encode(msgspec.structs.replace(body, content=b""))
    return encoded[:1] + _binary_header(len(body.content)), encoded[1 + _EMPTY_BYTES :]


def _binary_header(size: int) -> bytes:
    """The bin format family of MessagePack's specification."""
    if size < 1 << 8:
        return b"\xc4" + size.to_bytes(1, "big")
    if size < 1 << 16:
        return b"\xc5" + size.to_bytes(2, "big")
    return b"\xc6" + size.to_bytes(4, "big")
