"""Keeps the first bytes of a body as it passes."""

from __future__ import annotations

import time
from typing import Final

from http1.fields import ContentFields
from http1.reader import Content
from records.exchange import Body

MAX_CHUNK_TIMES: Final = 4096
"""Pieces of one event stream whose times are kept."""

_SMALL_BYTES: Final = 1024
"""Smaller pieces are gathered: an object for each would take more memory than what it holds."""


def whole_body(content: Content, fields: ContentFields, limit_bytes: int) -> Body:
    """Return the record of a body that came in one piece, in a message with these fields."""
    content_type, content_encoding, kept = fields
    size = len(content)
    if size > limit_bytes:
        return Body(bytes(content[:limit_bytes]), size, True, content_type, content_encoding, kept)
    whole = content if isinstance(content, bytes) else bytes(content)
    return Body(whole, size, False, content_type, content_encoding, kept)


class BodyCapture:
    """The pieces of one body, up to a limit in bytes."""

    __slots__ = ("_chunk_ends", "_chunk_ns", "_gathered", "_kept_bytes", "_limit", "_pieces", "_since_ns", "size_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._pieces: list[bytes | bytearray] = []
        self._gathered: bytearray | None = None
        self._kept_bytes = 0
        self._since_ns = 0
        self._chunk_ends: list[int] = []
        self._chunk_ns: list[int] = []
        self.size_bytes = 0

    def note_times(self, since_ns: int) -> None:
        """Keep for each piece when it came, from this `time.perf_counter_ns` on."""
        self._since_ns = since_ns

    def add(self, piece: bytes) -> None:
        """A piece passed."""
        size = len(piece)
        self.size_bytes += size
        room = self._limit - self._kept_bytes
        if room > 0:
            self._keep(piece if room >= size else piece[:room])
        if self._since_ns and len(self._chunk_ends) < MAX_CHUNK_TIMES:
            self._chunk_ends.append(self.size_bytes)
            self._chunk_ns.append(time.perf_counter_ns() - self._since_ns)

    def _keep(self, piece: bytes) -> None:
        self._kept_bytes += len(piece)
        if len(piece) >= _SMALL_BYTES:
            self._gathered = None
            self._pieces.append(piece)
        elif self._gathered is None:
            self._gathered = bytearray(piece)
            self._pieces.append(self._gathered)
        else:
            self._gathered += piece

    def body(self, fields: ContentFields) -> Body:
        """Return the record of the body of a message with these fields."""
        content_type, content_encoding, kept = fields
        content = b"".join(self._pieces)  # of one piece, the piece itself
        times = (tuple(self._chunk_ends), tuple(self._chunk_ns))
        return Body(content, self.size_bytes, len(content) < self.size_bytes, content_type, content_encoding, kept, *times)
