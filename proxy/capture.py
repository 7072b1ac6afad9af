"""Keeps the first bytes of a body as it passes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from records.exchange import KEPT_FIELDS, NO_BODY, Body

_KEPT: Final = frozenset(name.encode() for name in KEPT_FIELDS)


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
        self.size_bytes += len(piece)
        room = self._limit - self._kept_bytes
        if room > 0:
            self._pieces.append(piece if len(piece) <= room else piece[:room])
            self._kept_bytes += len(self._pieces[-1])

    def content(self, limit_bytes: int) -> bytes:
        """Return what was kept, at most this many bytes."""
        pieces = self._pieces
        content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return content if len(content) <= limit_bytes else content[:limit_bytes]

    def body(self, named: Mapping[bytes, bytes], limit_bytes: int) -> Body:
        """Return the record of the body of a message with these fields."""
        size = self.size_bytes
        if not size and b"content-type" not in named:
            return NO_BODY
        content = self.content(limit_bytes)
        return Body(
            content,
            size,
            len(content) < size,
            named.get(b"content-type", b"").decode("latin-1"),
            named.get(b"content-encoding", b"").decode("latin-1"),
            {} if _KEPT.isdisjoint(named) else {name.decode(): named[name].decode("latin-1") for name in _KEPT & named.keys()},
        )

    def size_only(self) -> Body:
        """Return the record of a body whose content is kept elsewhere."""
        return Body(size_bytes=self.size_bytes)
