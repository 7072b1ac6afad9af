"""Encryption of records at rest, as writers and readers see it; `store.spool.encryption` is what does it, loaded only where it is wanted."""

from __future__ import annotations

from typing import Protocol


class UnknownKeyError(ValueError):
    """Records are encrypted with a key that is not at hand; the text names it and says what to do."""


class SegmentCipher(Protocol):
    """What encrypts and decrypts the frames of one segment."""

    def encrypt(self, payload: bytes, context: bytes) -> bytes:
        """Return the payload encrypted, `CIPHER_OVERHEAD_BYTES` longer. It can be decrypted in the same context only, which is kept elsewhere."""
        ...

    def decrypt(self, encrypted: bytes, context: bytes) -> bytes | None:
        """Return the payload, None where this was not encrypted so."""
        ...


class SpoolKeys(Protocol):
    """The keys of a spool: one to encrypt with, and older ones, to read what was encrypted with them."""

    def begin(self) -> tuple[bytes, SegmentCipher]:
        """Return what a new segment's header says about its key, and the cipher."""
        ...

    def resume(self, header: bytes) -> SegmentCipher | None:
        """Return the cipher of a segment whose header says this, None where the header is damaged. Raises UnknownKeyError."""
        ...
