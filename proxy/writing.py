"""Hands pieces of a message to a connection."""

from __future__ import annotations

import asyncio
from typing import Final

from http1.reader import Content

_JOINED_BELOW_BYTES: Final = 16 * 1024
_JOINED_FROM_PIECES: Final = 16


def write(transport: asyncio.Transport, pieces: list[Content]) -> None:
    """Write all pieces at once: joined, unless copying them costs more than a buffer for each."""
    size = 0
    for piece in pieces:
        size += len(piece)
    if size < _JOINED_BELOW_BYTES or len(pieces) >= _JOINED_FROM_PIECES:
        transport.write(b"".join(pieces))
    else:
        transport.writelines(pieces)
