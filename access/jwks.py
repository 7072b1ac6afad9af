"""The keys by which an issuer signs tokens (RFC 7517), from a file or from where the issuer publishes them.

They are fetched off the request's path, by a thread that lives no longer than that: every five minutes, and where a token names a key that is not known, for an issuer
may have changed them. While the issuer cannot be asked the old ones are good for a day.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib import request
from urllib.error import URLError

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from config.files import stamp_of

_log: Final = logging.getLogger(__name__)

FETCH_SECONDS: Final = 300.0
AGAIN_SECONDS: Final = 10.0
"""Not sooner after the last time, whatever tokens name: nobody can have us ask without end."""

KEPT_SECONDS: Final = 86_400.0
_TIMEOUT_SECONDS: Final = 5.0
_BYTES_AT_MOST: Final = 256 * 1024
_LEAST_RSA_BITS: Final = 2048
_PUBLIC: Final = frozenset({"RSA", "EC", "OKP"})
"""Kinds of keys (RFC 7518 §6.1, RFC 8037 §2). Not `oct`: what verifies by it could sign as well."""


_PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey
VerifyingKey: TypeAlias = jwt.PyJWK | _PublicKey
"""The first where the set says for which algorithm it is, and then it is good for that one alone."""


class Jwks:
    """The keys by their id. Raises ValueError, with a sentence for the user, where a file of them is of no use."""

    def __init__(self, source: str) -> None:
        """`source` is an http or https URL, or a file."""
        self._source = source
        self._is_url = "://" in source
        self._stamp = stamp_of([source])
        self._keys: Mapping[str, VerifyingKey] = {} if self._is_url else _read(source)
        self._generation = 0
        self._asked_at = self._fetched_at = -KEPT_SECONDS
        self._fetching = False

    @property
    def generation(self) -> int:
        """Another one whenever the keys are others."""
        return self._generation

    def find(self, key_id: str | None) -> VerifyingKey | None:
        """Return a key; where a token names none, the only one there is. One that is not known is asked for, and may be known a moment later."""
        keys = self._keys
        found = keys.get(key_id) if key_id is not None else next(iter(keys.values())) if len(keys) == 1 else None
        if found is None:
            self._fetch_after(AGAIN_SECONDS)
        return found

    @property
    def awaited(self) -> bool:
        """Whether keys are being fetched now."""
        return self._fetching

    def refresh(self) -> None:
        """Take the file again where it has changed; have the URL fetched where it is time. Never waits."""
        if self._is_url:
            self._fetch_after(FETCH_SECONDS)
            if self._keys and time.monotonic() - self._fetched_at > KEPT_SECONDS:
                _log.error("the keys of %s are forgotten: they could not be fetched for a day", self._source)
                self._take({})
            return
        stamp = stamp_of([self._source])
        if stamp != self._stamp:
            self._stamp = stamp
            self._try(lambda: _read(self._source))

    def _fetch_after(self, seconds: float) -> None:
        now = time.monotonic()
        if self._is_url and not self._fetching and now - self._asked_at >= seconds:
            self._asked_at, self._fetching = now, True
            threading.Thread(target=self._fetch, name="jwks", daemon=True).start()

    def _fetch(self) -> None:
        try:
            if self._try(lambda: _parse(_get(self._source), self._source)):
                self._fetched_at = time.monotonic()
        finally:
            self._fetching = False

    def _try(self, make: Callable[[], Mapping[str, VerifyingKey]]) -> bool:
        try:
            self._take(make())
        except (ValueError, OSError) as error:
            _log.error("the keys of tokens are not taken, the old ones stay: %s", error)
            return False
        return True

    def _take(self, keys: Mapping[str, VerifyingKey]) -> None:
        self._keys = keys
        self._generation += 1


class _NoRedirects(request.HTTPRedirectHandler):
    """Keys come from where the settings say, and from nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _get(url: str) -> bytes:
    opener = request.build_opener(_NoRedirects, request.ProxyHandler({}))
    try:
        with opener.open(request.Request(url, headers={"Accept": "application/json"}), timeout=_TIMEOUT_SECONDS) as reply:  # noqa: S310 - http or https, by the rules of settings
            content: bytes = reply.read(_BYTES_AT_MOST + 1)
    except URLError as error:
        raise ValueError(f"{url} cannot be fetched: {error.reason}") from None
    if len(content) > _BYTES_AT_MOST:
        raise ValueError(f"{url} has more than {_BYTES_AT_MOST} bytes")
    return content


def _read(file: str) -> Mapping[str, VerifyingKey]:
    try:
        return _parse(Path(file).read_bytes(), file)
    except OSError as error:
        raise ValueError(f"{file}: expected a file that can be read (access.tokens.jwks), found: {error.strerror}") from None


def _parse(content: bytes, source: str) -> Mapping[str, VerifyingKey]:
    """Return the keys that may verify, without those for other uses or of kinds that are not known. Raises ValueError where there is none."""
    try:
        document = msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        document = {}
    entries = document.get("keys")
    found: dict[str, VerifyingKey] = {}
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("kty") in _PUBLIC and entry.get("use", "sig") == "sig" and (key := _key(entry)) is not None:
            found[str(entry.get("kid", ""))] = key
    if not found:
        raise ValueError(f"{source}: expected a JSON Web Key Set (RFC 7517) with public keys that verify, found none")
    return found


def _key(entry: dict[str, Any]) -> VerifyingKey | None:
    try:
        found = jwt.PyJWK(entry)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    key = found.key
    if not isinstance(key, _PublicKey) or (isinstance(key, RSAPublicKey) and key.key_size < _LEAST_RSA_BITS):
        return None
    return found if "alg" in entry else key
