"""Identifiers: of exchanges, UUIDv7 without a system call for each; of the spans that are made of them."""

from __future__ import annotations

import random
import time
from hashlib import blake2b
from typing import Final, TypeAlias

ExchangeId: TypeAlias = bytes

_RANDOM_BITS: Final = 56
_RANDOM_DIGITS_FROM: Final = 32 - _RANDOM_BITS // 4

_random_bits: Final = random.Random(random.SystemRandom().getrandbits(128)).getrandbits  # noqa: S311 - ids are unique, not secret

_TAIL_BYTES: Final = 10
_DRAWN_AT_ONCE: Final = 64
"""Random tails of ids, made in one step: one by one they would cost more than all the rest of an id."""
_FREE_BITS: Final = int.from_bytes(bytes.fromhex("0fff3fffffffffffffff") * _DRAWN_AT_ONCE, "big")
_FIXED_BITS: Final = int.from_bytes(bytes.fromhex("70008000000000000000") * _DRAWN_AT_ONCE, "big")
"""Version 7, variant 0b10."""


class _Source:
    """What the next ids are made of."""

    __slots__ = ("beginning", "milliseconds", "tails")

    milliseconds: int
    """Of the last id."""
    beginning: bytes
    """Of all ids of that time."""
    tails: list[bytes]

    def __init__(self) -> None:
        self.milliseconds = -1
        self.beginning = b""
        self.tails = []


_source: Final = _Source()


def new_exchange_id(now_ns: int | None = None) -> ExchangeId:
    """Return a UUIDv7 (RFC 9562 §5.7) as 16 bytes: 48 bits of Unix milliseconds, then 74 random bits.

    The random bits come from a generator that is seeded once from the operating system: ids are unique, not secret.
    For one thread of a process: two at once could disturb each other.

    >>> new_exchange_id(0)[6] >> 4
    7
    """
    milliseconds = (time.time_ns() if now_ns is None else now_ns) // 1_000_000
    source = _source
    if milliseconds != source.milliseconds:
        source.milliseconds = milliseconds
        source.beginning = (milliseconds & 0xFFFFFFFFFFFF).to_bytes(6, "big")
    if not source.tails:
        drawn = (_random_bits(8 * _TAIL_BYTES * _DRAWN_AT_ONCE) & _FREE_BITS | _FIXED_BITS).to_bytes(_TAIL_BYTES * _DRAWN_AT_ONCE, "big")
        source.tails = [drawn[at : at + _TAIL_BYTES] for at in range(0, len(drawn), _TAIL_BYTES)]
    return source.beginning + source.tails.pop()


def format_uuid(exchange_id: ExchangeId) -> str:
    """Return the canonical text of a UUID given as 16 bytes.

    >>> format_uuid(bytes(range(16)))
    '00010203-0405-0607-0809-0a0b0c0d0e0f'
    """
    text = exchange_id.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def span_id(exchange_id: ExchangeId, part: str) -> str:
    """Return the id of the span of one part of an exchange, 16 hexadecimal digits: an arm's by its name, the whole's by none.

    The same whoever works it out: the data plane, which tells the arm, and the monitor, which makes the span of the record.

    >>> span_id(bytes(16), "upstream")
    'dae6f89d13e880d7'
    """
    return blake2b(exchange_id + part.encode(), digest_size=8).hexdigest()


class TraceShare:
    """A share of all traces, by the rightmost 56 bits of their ids, which are random (W3C Trace Context Level 2, §3.2.2.3): so are those of ids of exchanges.

    Everybody who goes by it takes the same traces.
    """

    __slots__ = ("_below",)

    def __init__(self, share: float) -> None:
        self._below = int(share * (1 << _RANDOM_BITS))

    def takes(self, trace_id: str) -> bool:
        """Return whether a trace, by its 32 hexadecimal digits, is in the share."""
        return int(trace_id[_RANDOM_DIGITS_FROM:], 16) < self._below
