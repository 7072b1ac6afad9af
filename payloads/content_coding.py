"""Content codings (RFC 9110 §8.4.1): what was compressed, within a bound."""

from __future__ import annotations

import zlib
from typing import Final

from payloads.refusal import MAX_CONTENT_BYTES, Refused
from records.payload import Undecodable

_GZIP: Final = zlib.MAX_WBITS | 16
_ZLIB: Final = zlib.MAX_WBITS
_RAW_DEFLATE: Final = -zlib.MAX_WBITS  # some clients send `deflate` without zlib's wrapper, against RFC 9110 §8.4.1.2
_WINDOW_BITS: Final = {"gzip": (_GZIP,), "x-gzip": (_GZIP,), "deflate": (_ZLIB, _RAW_DEFLATE)}


def decompress(content: bytes, coding: str) -> bytes:
    """Return `content` without `coding`, the value of Content-Encoding; refuse what does not end within the bound."""
    coding = coding.strip().lower()
    if coding in {"", "identity"}:
        return content
    for window_bits in _WINDOW_BITS.get(coding, ()):
        plain = _inflate(content, window_bits)
        if plain is not None:
            return plain
    raise Refused(Undecodable.ENCODED)


def _inflate(content: bytes, window_bits: int) -> bytes | None:
    """Return the one whole stream in `content`, or None where it is broken, longer than allowed or followed by more."""
    stream = zlib.decompressobj(window_bits)
    try:
        plain = stream.decompress(content, MAX_CONTENT_BYTES)
    except zlib.error:
        return None
    return plain if stream.eof and not stream.unused_data else None
