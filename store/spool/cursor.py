"""How far a consumer has come with one writer."""

from __future__ import annotations

import msgspec

from store.spool.format import SEGMENT_HEADER_BYTES


class Cursor(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The position after the last frame that was passed."""

    segment: int = 1
    """Index of the segment; past the last one when a dead writer was read to its end."""
    offset: int = SEGMENT_HEADER_BYTES
    """Bytes from the segment's beginning to the next frame."""
    sequence: int = 0
    """The last record passed, be it that it was read or that it was lost."""
    torn: int = 0
    """1 when the writer's last frame was found cut short by a kill."""
