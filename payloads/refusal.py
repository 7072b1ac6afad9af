"""Why a body is given up, and how much of one is worth reading."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from records.payload import Undecodable

MAX_CONTENT_BYTES: Final = 4 * 1024 * 1024
"""The longest body, after decompression, that is parsed at all."""

MAX_VALUES: Final = 100_000
"""The most values that one body may hold."""

MAX_RANK: Final = 32
"""The most dimensions of a tensor."""

MAX_PATH_LENGTH: Final = 2_000
"""The most characters of a path that is compared with the formats' patterns."""


class Refused(Exception):  # noqa: N818 - an expected outcome that stays inside this room, not an error
    """Leaves a format's reader as soon as the body turns out to give no tensors; `decoding` makes it a value."""

    def __init__(self, reason: Undecodable) -> None:
        super().__init__(reason)
        self.reason = reason


def size_of(shape: Sequence[int]) -> int:
    """Return how many values a tensor of this shape has, one or more lengths of at least 0; refuse too many of either."""
    if len(shape) > MAX_RANK:  # before they are multiplied: thousands of lengths make a number of megabytes
        raise Refused(Undecodable.MALFORMED)
    count = math.prod(shape)
    if not 0 < count <= MAX_VALUES:
        require_few_values(max(count, *shape))  # a length of 0 hides others: [0, 1000000000] has no values either
    return count


def require_few_values(count: int) -> None:
    """Refuse more than `MAX_VALUES`; asked before values are multiplied, so that a small body cannot grow large."""
    if count > MAX_VALUES:
        raise Refused(Undecodable.TOO_LARGE)
