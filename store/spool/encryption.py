"""Records at rest under AES-256-GCM (NIST SP 800-38D), a key for each segment.

    segment's key   HKDF-SHA-256 (RFC 5869) of the secret, with 24 random bytes that the segment's header keeps
    frame's nonce   how many frames of the segment were encrypted before it: 8 bytes, kept in front of the ciphertext, and 4 zeros
    context         the frame's sequence and kind, so that no frame passes for another

No nonce comes twice under one key, by construction: a segment is written by one process, in one life, and a file that is used again gets another key. The header names
the secret by 8 bytes that HKDF makes of it, so a reader that lacks it says so instead of taking records for damaged.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final
from zlib import crc32

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from store.spool.cipher import UnknownKeyError
from store.spool.format import KEY_HEADER

_ID_BYTES: Final = 8
_SALT_BYTES: Final = 24
_COUNTER_BYTES: Final = 8
_NONCE_END: Final = bytes(4)


class FrameCipher:
    """Implements `store.spool.cipher.SegmentCipher`."""

    def __init__(self, key: bytes) -> None:
        self._aes = AESGCM(key)
        self._encrypted = 0

    def encrypt(self, payload: bytes, context: bytes) -> bytes:
        """Return the payload encrypted."""
        counter = self._encrypted.to_bytes(_COUNTER_BYTES, "little")
        self._encrypted += 1
        return counter + self._aes.encrypt(counter + _NONCE_END, payload, context)

    def decrypt(self, encrypted: bytes, context: bytes) -> bytes | None:
        """Return the payload, None where this was not encrypted so."""
        try:
            return self._aes.decrypt(encrypted[:_COUNTER_BYTES] + _NONCE_END, encrypted[_COUNTER_BYTES:], context)
        except (InvalidTag, ValueError):
            return None


class Keyring:
    """Implements `store.spool.cipher.SpoolKeys`. `secrets` are names and secrets; the first one encrypts."""

    def __init__(self, secrets: Sequence[tuple[str, bytes]]) -> None:
        self._secrets = {_derived(secret, b"", b"driftline spool key id")[:_ID_BYTES]: secret for _, secret in secrets}
        self._names = ", ".join(name for name, _ in secrets)

    def begin(self) -> tuple[bytes, FrameCipher]:
        """Return what a new segment's header says about its key, and the cipher."""
        identifier, secret = next(iter(self._secrets.items()))
        salt = os.urandom(_SALT_BYTES)
        return KEY_HEADER.pack(identifier, salt, crc32(identifier + salt)), FrameCipher(_segment_key(secret, salt))

    def resume(self, header: bytes) -> FrameCipher | None:
        """Return the cipher of a segment whose header says this, None where the header is damaged. Raises UnknownKeyError."""
        identifier, salt, crc = KEY_HEADER.unpack(header)
        if crc32(identifier + salt) != crc:
            return None
        if identifier not in self._secrets:
            raise UnknownKeyError(f"encrypted with a key that is none of spool.keys ({self._names}); add it there, behind the one that encrypts")
        return FrameCipher(_segment_key(self._secrets[identifier], salt))


def _segment_key(secret: bytes, salt: bytes) -> bytes:
    return _derived(secret, salt, b"driftline spool segment")


def _derived(secret: bytes, salt: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, purpose).derive(secret)
