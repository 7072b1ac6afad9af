"""Tokens of an issuer: JSON Web Tokens (RFC 7519) that are checked as RFC 8725 asks, by the issuer's keys."""

from __future__ import annotations

import hashlib
import math
from typing import Any, Final

import jwt

from access.jwks import Jwks
from config.settings import TokenSettings
from records.access import AccessRole, Denied, Identity
from records.exchange import ErrorKind

LEEWAY_SECONDS: Final = 30
"""How far the issuer's clock may be from ours."""

_LONGEST_TOKEN_BYTES: Final = 16 * 1024
_LONGEST_NAME: Final = 255
"""OpenID Connect Core §2. Names are in records, and in what is kept of each client."""

_REMEMBERED: Final = 4096
"""Tokens whose signature is known to be good: a client shows the same one with each request for minutes, and a signature costs more than forwarding does."""

_INVALID: Final = b'WWW-Authenticate: Bearer realm="driftline", error="invalid_token"\r\n'
_NO_KEYS_YET: Final = Denied(503, ErrorKind.UNAUTHENTICATED, "the key of this token is being fetched; try again", b"Retry-After: 1\r\n")


class Tokens:
    """Says who shows a token. Raises ValueError, with a sentence for the user, where a file of keys is of no use."""

    def __init__(self, settings: TokenSettings) -> None:
        self._settings = settings
        self._algorithms = tuple(algorithm.value for algorithm in settings.algorithms)
        self._roles: dict[str, frozenset[AccessRole]] = {}
        for grant in settings.grants:
            self._roles[grant.name] = self._roles.get(grant.name, frozenset()) | {grant.role}
        self._jwks = Jwks(settings.jwks)
        self._remembered: dict[bytes, tuple[Identity, float]] = {}
        self._generation = self._jwks.generation

    def __call__(self, token: bytes, now: float) -> Identity | Denied:
        """Return who shows this token at this Unix time."""
        if len(token) > _LONGEST_TOKEN_BYTES:
            return _denied("it is too long")
        if self._generation != self._jwks.generation:
            self._remembered, self._generation = {}, self._jwks.generation
        digest = hashlib.sha256(token).digest()
        known = self._remembered.get(digest)
        if known is not None and now < known[1]:
            return known[0]
        found = self._verified(token)
        if isinstance(found, Denied):
            return found
        if len(self._remembered) >= _REMEMBERED:
            self._remembered = {}
        self._remembered[digest] = found
        return found[0]

    def refresh(self) -> None:
        """Have keys taken anew where it is time. Never waits."""
        self._jwks.refresh()

    def _verified(self, token: bytes) -> tuple[Identity, float] | Denied:
        """Return who it is, and until when."""
        settings = self._settings
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
            key = self._jwks.find(key_id if isinstance(key_id, str) else None)
            if key is None:
                return _NO_KEYS_YET if self._jwks.awaited else _denied("it is signed by a key that its issuer does not publish")
            claims = jwt.decode(
                token,
                key,
                algorithms=self._algorithms,
                audience=settings.audience,
                issuer=settings.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            return _denied(_reason(error))
        except (ValueError, TypeError, RecursionError):  # claims of a strange kind
            return _denied("it cannot be read")
        ends_at = float(claims["exp"]) + LEEWAY_SECONDS
        name = claims["sub"]
        if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME or not name.isprintable() or not math.isfinite(ends_at):
            return _denied("it does not say whose it is")
        values = _values(claims, settings.claim)
        return Identity(name, frozenset().union(*(self._roles.get(value, frozenset()) for value in values))), ends_at


def _values(claims: dict[str, Any], claim: str) -> list[str]:
    """Return the values of a claim: one text, with spaces between several as `scope` has them (RFC 8693 §4.2), or a list; or one within another, `a.b`."""
    found: Any = claims.get(claim)
    if found is None and "." in claim:
        found = claims
        for name in claim.split("."):
            found = found.get(name) if isinstance(found, dict) else None
    if isinstance(found, str):
        return found.split()
    return [value for value in found if isinstance(value, str)] if isinstance(found, list) else []


def _denied(reason: str) -> Denied:
    return Denied(401, ErrorKind.UNAUTHENTICATED, f"this token is not taken: {reason}", _INVALID)


def _reason(error: jwt.PyJWTError) -> str:
    """Say what is wrong, without a word of the token."""
    reasons = {
        jwt.ExpiredSignatureError: "it is out of date",
        jwt.ImmatureSignatureError: "it is not good yet",
        jwt.InvalidAudienceError: "it is for somebody else (aud)",
        jwt.InvalidIssuerError: "it is by somebody else (iss)",
        jwt.MissingRequiredClaimError: "it lacks one of exp, iss, aud and sub",
        jwt.InvalidAlgorithmError: "it is signed in a way that is not allowed (alg)",
        jwt.InvalidSignatureError: "its signature is wrong",
    }
    return reasons.get(type(error), "it cannot be read")
