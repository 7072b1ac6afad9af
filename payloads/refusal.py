"""Why a body is given up, and how much of one is worth reading."""

from __future__ import annotations

from typing import Final

from records.payload import Undecodable

MAX_CONTENT_BYTES: Final = 4 * 1024 * 1024
"""The longest body, after decompression, that is parsed at all."""

MAX_VALUES: Final = 100_000
"""The most values that one body may hold."""

MAX_RANK: Final = 32
"""The most dimensions of a tensor."""


class Refused(Exception):  # noqa: N818 - an expected outcome that stays inside this room, not an error
    """Leaves a format's reader as soon as the body turns out to give no tensors; `decoding` makes it a value."""

    def __init__(self, reason: Undecodable) -> None:
        super().__init__(reason)
        self.reason = reason


def require_few_values(count: int) -> None:
    """Refuse more than `MAX_VALUES`; asked before values are multiplied, so that a small body cannot grow large."""
    if count > MAX_VALUES:
        raise Refused(Undecodable.TOO_LARGE)
