"""Keeps the first bytes of a body as it passes."""

from __future__ import annotations

from proxy.wire.fields import ContentFields
from records.exchange import Body


class BodyCapture:
    """The pieces of one body, up to a limit in bytes."""

    __slots__ = ("_kept_bytes", "_limit", "_pieces", "size_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._pieces: list[bytes] = []
        self._kept_bytes = 0
        self.size_bytes = 0

    def add(self, piece: bytes) -> None:
        """A piece passed."""
        size = len(piece)
        self.size_bytes += size
        room = self._limit - self._kept_bytes
        if room >= size:
            self._pieces.append(piece)
            self._kept_bytes += size
        elif room > 0:
            self._pieces.append(piece[:room])
            self._kept_bytes += room

    def content(self) -> bytes:
        """Return what was kept."""
        return b"".join(self._pieces)

    def body(self, fields: ContentFields, limit_bytes: int) -> Body:
        """Return the record of the body of a message with these fields."""
        content_type, content_encoding, kept = fields
        content = b"".join(self._pieces)  # of one piece, the piece itself
        if self._kept_bytes > limit_bytes:
            content = content[:limit_bytes]
        return Body(content, self.size_bytes, len(content) < self.size_bytes, content_type, content_encoding, kept)

    def size_only(self) -> Body:
        """Return the record of a body whose content is kept elsewhere."""
        return Body(size_bytes=self.size_bytes)
