"""Finds where good frames go on in damaged bytes."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Final, NamedTuple

from zlib_ng.zlib_ng import crc32

from store.spool.format import ENCRYPTED, FRAME_HEADER, FRAME_HEADER_BYTES, FrameKind

_KIND_OFFSET: Final = 16
"""Where in a frame its kind stands, with four zeros after it: eight bytes by which frames are searched."""

_KINDS: Final = tuple(kind | encrypted for kind in (FrameKind.RECORD, FrameKind.OUTCOME) for encrypted in (0, ENCRYPTED))


class Found(NamedTuple):
    """A good frame among damaged bytes."""

    offset: int
    passed: int
    """The last record before it: what lies between the last one read and this was lost."""


def find_frame(data: bytes, last: int, most: int, start: int) -> Found | None:
    """Return the first good frame in `data`, which begins at a multiple of 8 within its segment.

    Bodies may hold bytes that look like a frame, so besides its CRC its sequence must be plausible: `last` is the last record read, and
    `most` the last one that can lie before the frame. CRCs begin with `start`. Seals are not looked for, since nothing follows them.
    """
    for offset in heapq.merge(*(_candidates(data, kind) for kind in _KINDS)):
        length, crc, sequence, kind, _ = FRAME_HEADER.unpack_from(data, offset)
        passed = sequence - 1 if kind & ~ENCRYPTED == FrameKind.RECORD else max(sequence, last)
        if FRAME_HEADER_BYTES <= length <= len(data) - offset and last <= passed <= most and crc32(data[offset + 8 : offset + length], start) == crc:
            return Found(offset, passed)
    return None


def _candidates(data: bytes, kind: int) -> Iterator[int]:
    """Yield every aligned offset at which a frame of this kind may begin."""
    mark = kind.to_bytes(8, "little")
    at = data.find(mark, _KIND_OFFSET)
    while at >= 0:
        if at % 8 == 0:
            yield at - _KIND_OFFSET
        at = data.find(mark, at + 1)
