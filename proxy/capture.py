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

    def content(self, limit_bytes: int) -> bytes:
        """Return what was kept, at most this many bytes."""
        pieces = self._pieces
        content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return content if len(content) <= limit_bytes else content[:limit_bytes]

    def body(self, fields: ContentFields, limit_bytes: int) -> Body:
        """Return the record of the body of a message with these fields."""
        size = self.size_bytes
        content = self.content(limit_bytes)
        return Body(content, size, len(content) < size, *fields)

    def size_only(self) -> Body:
        """Return the record of a body whose content is kept elsewhere."""
        return Body(size_bytes=self.size_bytes)
