"""Content codings (RFC 9110 §8.4.1, RFC 7932 for `br`, RFC 8878 for `zstd`): what was compressed, within a bound."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import brotli

from payloads.refusal import MAX_CONTENT_BYTES, Refused
from records.exchange import Body
from records.payload import Undecodable

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_RATIO: Final = 256
"""How many times longer than it was sent a body may become. JSON of numbers compresses to a fifth, of nothing but zeros to less than a hundredth."""

MAX_SMALL_BYTES: Final = 64 * 1024
"""What a body may become whatever the ratio."""

_GZIP: Final = zlib.MAX_WBITS | 16
_ZLIB: Final = zlib.MAX_WBITS
_RAW_DEFLATE: Final = -zlib.MAX_WBITS  # some clients send `deflate` without zlib's wrapper, against RFC 9110 §8.4.1.2
_ZSTD_WINDOW: Final[Mapping[int, int]] = {zstd.DecompressionParameter.window_log_max: 23}  # 8 MiB, the most that HTTP allows (RFC 9659 §3)

_Reader: TypeAlias = Callable[[bytes, int], bytes | None]
"""Takes the one whole stream and the most bytes that it may become; returns None where it is broken, longer, or followed by more."""


def plain_content(body: Body) -> bytes:
    """Return the whole body without its content coding, or refuse one that is not whole, empty or too long."""
    if body.truncated:
        raise Refused(Undecodable.TRUNCATED)
    if not body.content:
        raise Refused(Undecodable.EMPTY)
    content = decompress(body.content, body.content_encoding) if body.content_encoding else body.content
    if len(content) > MAX_CONTENT_BYTES:
        raise Refused(Undecodable.TOO_LARGE)
    return content


def decompress(content: bytes, coding: str) -> bytes:
    """Return `content` without `coding`, the value of Content-Encoding; refuse what does not end within the bounds."""
    coding = coding.strip().lower()
    if coding in {"", "identity"}:
        return content
    limit_bytes = min(MAX_CONTENT_BYTES, max(MAX_SMALL_BYTES, MAX_RATIO * len(content)))
    for reader in _READERS.get(coding, ()):
        plain = reader(content, limit_bytes)
        if plain is not None:
            return plain
    raise Refused(Undecodable.ENCODED)


def _inflater(window_bits: int) -> _Reader:
    def inflate(content: bytes, limit_bytes: int) -> bytes | None:
        stream = zlib.decompressobj(window_bits)
        try:
            plain = stream.decompress(content, limit_bytes)
        except zlib.error:
            return None
        return plain if stream.eof and not stream.unused_data else None

    return inflate


def _read_zstd(content: bytes, limit_bytes: int) -> bytes | None:
    stream = zstd.ZstdDecompressor(options=_ZSTD_WINDOW)
    try:
        plain = stream.decompress(content, limit_bytes)
    except zstd.ZstdError:
        return None
    return plain if stream.eof and not stream.unused_data else None


def _read_brotli(content: bytes, limit_bytes: int) -> bytes | None:
    stream = brotli.Decompressor()
    try:
        plain: bytes = stream.process(content, output_buffer_limit=limit_bytes)
    except brotli.error:  # also for what follows the stream
        return None
    return plain if stream.is_finished() and len(plain) <= limit_bytes else None


_READERS: Final[Mapping[str, tuple[_Reader, ...]]] = {
    "gzip": (_inflater(_GZIP),),
    "x-gzip": (_inflater(_GZIP),),
    "deflate": (_inflater(_ZLIB), _inflater(_RAW_DEFLATE)),
    "zstd": (_read_zstd,),
    "br": (_read_brotli,),
}
