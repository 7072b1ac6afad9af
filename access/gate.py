"""Who may send requests through the data plane, and how often."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Mapping
from typing import Final

from access.authenticator import Authenticator, credential
from access.buckets import Buckets
from access.keys import AUTHORIZATION, is_key
from config.settings import AccessSettings, ProxySettings
from records.access import AccessRole, Denied, Identity
from records.exchange import ErrorKind

_NOBODY: Final = Identity("", frozenset())
_NOBODY_WITH_KEY: Final = _NOBODY._replace(own_field=AUTHORIZATION)
_CHALLENGE: Final = b'WWW-Authenticate: Bearer realm="driftline"\r\n'
_NOTHING_SHOWN: Final = Denied(401, ErrorKind.UNAUTHENTICATED, "show who you are: Authorization: Bearer, with a key or a token", _CHALLENGE)
_PROBES: Final = frozenset({b"GET", b"HEAD"})
_FORBIDDEN: Final = Denied(
    403,
    ErrorKind.FORBIDDEN,
    "you may not send requests to the models: this needs the role client",
    b'WWW-Authenticate: Bearer realm="driftline", error="insufficient_scope"\r\n',
)


class Gate:
    """Implements `records.ports.Gate`. Raises ValueError, with a sentence for the user, where keys cannot be had."""

    def __init__(self, access: AccessSettings, proxy: ProxySettings) -> None:
        self._authenticate = Authenticator(access) if proxy.authenticate else None
        self._open_paths = frozenset(path.encode() for path in access.open_paths)
        limit = proxy.rate_limit
        self._by_name, self._by_address = (Buckets(limit.requests, limit.burst or limit.requests) if limit else None for _ in range(2))

    def admit(self, method: bytes, target: bytes, fields: Mapping[bytes, bytes], certificate: str, address: str) -> Identity | Denied:
        """See records.ports.Gate."""
        found = self._identity(method, target, fields.get(AUTHORIZATION, b""), certificate)
        if isinstance(found, Denied):
            return found
        buckets, name = (self._by_name, found.name) if found.name else (self._by_address, network(address))
        wait = buckets.take(name, time.monotonic()) if buckets is not None else 0.0
        return found if wait == 0.0 else _too_many(wait)

    def refresh(self) -> None:
        """See records.ports.Gate."""
        if self._authenticate is not None:
            self._authenticate.refresh()

    def _identity(self, method: bytes, target: bytes, authorization: bytes, certificate: str) -> Identity | Denied:
        if self._authenticate is None:
            return Identity(certificate, frozenset()) if certificate else _NOBODY
        if method in _PROBES and target.partition(b"?")[0] in self._open_paths:
            return _NOBODY_WITH_KEY if is_key(credential(authorization)) else _NOBODY
        found = self._authenticate(authorization, certificate) or _NOTHING_SHOWN
        return found if isinstance(found, Denied) or found.may(AccessRole.CLIENT) else _FORBIDDEN


def make_gate(access: AccessSettings, proxy: ProxySettings) -> Gate | None:
    """Return what the settings ask for; None where anybody may send requests, as often as they like. Raises ValueError as `Gate` does."""
    return Gate(access, proxy) if proxy.authenticate or proxy.rate_limit else None


def network(address: str) -> str:
    """Return what of an address tells clients apart: of IPv6 the first 64 bits, for whoever has one such address has as many as they like.

    >>> network("192.0.2.7"), network("2001:db8::7:1"), network("::ffff:192.0.2.7")
    ('192.0.2.7', '20010db800000000', '::ffff:192.0.2.7')
    """
    if ":" not in address or address.startswith("::ffff:"):
        return address
    try:
        return socket.inet_pton(socket.AF_INET6, address)[:8].hex()
    except OSError:  # with a zone, fe80::1%eth0
        return address


def _too_many(wait_seconds: float) -> Denied:
    seconds = math.ceil(wait_seconds)
    return Denied(
        429, ErrorKind.RATE_LIMITED, f"you send more requests than proxy.rate_limit allows; come back in {seconds} s", b"Retry-After: %d\r\n" % seconds
    )
