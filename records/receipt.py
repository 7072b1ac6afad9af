"""What became of the lines, or events, that a caller sent in one body."""

from __future__ import annotations

import msgspec


class Refusal(msgspec.Struct, frozen=True):
    """One that was not taken."""

    line: int
    """Counted from 1; in a JSON array the element."""
    error: str


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of all."""

    accepted: int
    refused: int
    errors: tuple[Refusal, ...] = ()
    """The first ones of those that were refused."""
