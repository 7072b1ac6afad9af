"""Keys to hash with, and what they make of a value."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Final

from config.secrets import Secret

_DIGEST_BYTES: Final = 16
"""128 bits of HMAC-SHA-256 (RFC 2104, §5 on truncation): two values of billions hardly ever share them."""


class Hasher:
    """HMAC-SHA-256 under one key. Equal values have equal hashes until the key is another one."""

    def __init__(self, name: str, key: bytes) -> None:
        self._prefix = f"{name}:"
        self._key = key

    def __call__(self, value: bytes) -> str:
        """Return `<name of the key>:<32 hexadecimal digits>`."""
        return self._prefix + hmac.digest(self._key, value, "sha256")[:_DIGEST_BYTES].hex()


def hashers(keys: Sequence[Secret]) -> tuple[Hasher, ...]:
    """Read the keys, in their order. Raises ValueError with a sentence for the user."""
    return tuple(Hasher(key.name, key.secret()) for key in keys)
