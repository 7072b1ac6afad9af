"""Which requests a shadow is due: by what they carry, and by share. Pure, but for chance."""

from __future__ import annotations

import random
from hashlib import blake2b
from typing import Final

from config.selection import Condition, Key
from http1.request import RequestHead

_HASH_BYTES: Final = 8
_HASHES: Final = float(1 << 64)


class Sample:
    """A share of the requests that meet a condition. With a key the share is taken of the key's values, so that those that have one in common are taken
    wholly or not at all, by every worker and after every restart alike; what is in a smaller share of the same key is in a larger one too.
    """

    __slots__ = ("_field", "_hashes_below", "_key", "_key_in_query", "_share", "_value")

    def __init__(self, share: float, condition: Condition | None, key: Key | None) -> None:
        self._share = share
        self._field = b"" if condition is None else condition.field.encode()
        self._value = b"" if condition is None else condition.value.encode()
        self._key = b"" if key is None else key.name.encode()
        self._key_in_query = key is not None and key.in_query
        self._hashes_below = int(share * _HASHES)

    def takes(self, head: RequestHead) -> bool:
        """Whether this request is one of them. One that lacks the key is taken by chance."""
        if self._field and head.named.get(self._field) != self._value:
            return False
        if self._share >= 1.0:
            return True
        if self._key:
            value = _parameter(head.target, self._key) if self._key_in_query else head.named.get(self._key)
            if value is not None:
                return int.from_bytes(blake2b(value, digest_size=_HASH_BYTES).digest(), "big") < self._hashes_below
        return random.random() < self._share  # noqa: S311 - a sample, not a secret


def _parameter(target: bytes, name: bytes) -> bytes | None:
    """Return the first value of a parameter, as it is; None where the query has no such parameter."""
    for pair in target.partition(b"?")[2].split(b"&"):
        given, _, value = pair.partition(b"=")
        if given == name:
            return value
    return None
