"""Identifiers: UUIDv7 without a system call per exchange."""

from __future__ import annotations

import random
import struct
import time
from typing import TypeAlias

ExchangeId: TypeAlias = bytes

_HALVES = struct.Struct(">QQ")
_random_bits = random.Random(random.SystemRandom().getrandbits(128)).getrandbits  # noqa: S311 - ids are unique, not secret


def new_exchange_id(now_ns: int | None = None) -> ExchangeId:
    """Return a UUIDv7 (RFC 9562 §5.7) as 16 bytes: 48 bits of Unix milliseconds, then 74 random bits.

    The random bits come from a generator that is seeded once from the operating system: ids are unique, not secret.

    >>> new_exchange_id(0)[6] >> 4
    7
    """
    milliseconds = (time.time_ns() if now_ns is None else now_ns) // 1_000_000
    return _HALVES.pack((milliseconds & 0xFFFFFFFFFFFF) << 16 | 0x7000 | _random_bits(12), 0b10 << 62 | _random_bits(62))


def format_uuid(exchange_id: ExchangeId) -> str:
    """Return the canonical text of a UUID given as 16 bytes.

    >>> format_uuid(bytes(range(16)))
    '00010203-0405-0607-0809-0a0b0c0d0e0f'
    """
    text = exchange_id.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
