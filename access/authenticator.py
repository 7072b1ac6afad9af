"""Who shows which key, token or certificate."""

from __future__ import annotations

import binascii
import time
from typing import TYPE_CHECKING, Final

from access.keys import KeyFile, is_key
from config.settings import AccessSettings, TokenSettings
from records.access import AccessRole, Denied, Identity
from records.exchange import ErrorKind

if TYPE_CHECKING:
    from access.tokens import Tokens

_WRONG_KEY: Final = Denied(
    401, ErrorKind.UNAUTHENTICATED, "this key is unknown, revoked or out of date", b'WWW-Authenticate: Bearer realm="driftline", error="invalid_token"\r\n'
)


class Authenticator:
    """Implements `records.ports.Authenticate`. Raises ValueError, with a sentence for the user, where keys cannot be had."""

    def __init__(self, settings: AccessSettings) -> None:
        self._keys = KeyFile(settings.keys) if settings.keys else None
        self._tokens = _tokens(settings.tokens) if settings.tokens else None
        self._certificates: dict[str, frozenset[AccessRole]] = {}
        for grant in settings.certificates:
            self._certificates[grant.name] = self._certificates.get(grant.name, frozenset()) | {grant.role}

    def __call__(self, authorization: bytes, certificate: str) -> Identity | Denied | None:
        """See Authenticate."""
        shown = credential(authorization)
        if is_key(shown):
            return self._by_key(shown)
        if self._tokens is not None and shown.count(b".") == 2:  # RFC 7515 §3.1: three parts
            return self._tokens(shown, time.time())
        if certificate:
            # Whoever signs certificates for clients was named in the settings: these are clients at least.
            return Identity(certificate, self._certificates.get(certificate, frozenset()) | {AccessRole.CLIENT})
        return None

    def refresh(self) -> None:
        """Take what lies in files again where they have changed."""
        if self._keys is not None:
            self._keys.refresh()
        if self._tokens is not None:
            self._tokens.refresh()

    def _by_key(self, key: bytes) -> Identity | Denied:
        stored = self._keys.find(key, time.time()) if self._keys else None
        return _WRONG_KEY if stored is None else stored.identity


def _tokens(settings: TokenSettings) -> Tokens:
    try:
        from access.tokens import Tokens  # noqa: PLC0415 - cryptography takes memory in each worker, which most do not need
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("access"):
            raise
        raise ValueError(f"access.tokens needs the package {error.name}; install it with: pip install 'driftline[tokens]'") from None
    return Tokens(settings)


def credential(authorization: bytes) -> bytes:
    """Return what an Authorization field shows: the token of `Bearer` (RFC 6750 §2.1), the password of `Basic` (RFC 7617 §2); empty for anything else.

    >>> credential(b"bearer dl_a_b"), credential(b"Basic dXNlcjpkbF9hX2I="), credential(b"Digest x")
    (b'dl_a_b', b'dl_a_b', b'')
    """
    scheme, _, value = authorization.partition(b" ")
    if scheme.lower() == b"bearer":
        return value.strip()
    if scheme.lower() == b"basic":
        try:
            return binascii.a2b_base64(value.strip(), strict_mode=True).partition(b":")[2]
        except binascii.Error:
            return b""
    return b""
