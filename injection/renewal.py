"""Certificates that all replicas of the injector share, in a Secret: renewed in time, and trusted by the API server before they are shown.

Each replica looks now and then. Whoever finds the Secret missing, ending or useless writes another one; if two do, the API server takes one of
them. A new certificate is shown one look after it was first seen: by then the API server knows whom to trust for it. Who vouched
for the one before stays trusted, as other replicas may still show it.
"""

from __future__ import annotations

import datetime as dt
import logging
import ssl
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from injection.certificates import Pair, context_of, end_seconds, fault, make_pair
from injection.cluster import ClusterError, Secret

_log: Final = logging.getLogger(__name__)

_CERTIFICATE, _KEY, _AUTHORITIES = "tls.crt", "tls.key", "ca.crt"


class Keeper(Protocol):
    """What keeps the Secret, and trusts; `injection.cluster` has it."""

    async def read_secret(self, name: str) -> Secret | None:
        """See Cluster."""
        ...

    async def write_secret(self, name: str, data: dict[str, bytes], former: Secret | None) -> bool:
        """See Cluster."""
        ...

    async def trust(self, name: str, authorities: bytes) -> bool:
        """See Cluster."""
        ...


class SharedCertificate:
    """The certificate that is shown now."""

    def __init__(self, keeper: Keeper, name: str, names: Sequence[str], now: Callable[[], dt.datetime]) -> None:
        """`name` is the webhook configuration's; `names` are DNS names under which the API server asks."""
        self._keeper = keeper
        self._name = name
        self._names = names
        self._now = now
        self._seen = b""
        self._shown = b""
        self._context: ssl.SSLContext | None = None

    @property
    def context(self) -> ssl.SSLContext:
        """What new connections are encrypted by. There is one after the first look."""
        assert self._context is not None
        return self._context

    @property
    def end_seconds(self) -> float:
        """When it ends, in Unix seconds."""
        return end_seconds(self._shown)

    async def look(self) -> None:
        """Bring the Secret, what is trusted, and what is shown up to date. Raises ClusterError; what was shown before then stays."""
        pair = await self._shared()
        await self._keeper.trust(self._name, pair.authorities)
        if self._context is None or (pair.certificate == self._seen and pair.certificate != self._shown):
            self._context = context_of(pair)
            self._shown = pair.certificate
            _log.info("new connections use the certificate in the Secret %s-tls", self._name)
        self._seen = pair.certificate

    async def _shared(self) -> Pair:
        """Return what is in the Secret, or put something better there."""
        secret_name = f"{self._name}-tls"
        for _ in range(3):
            secret = await self._keeper.read_secret(secret_name)
            found = _pair(secret)
            why = fault(found, self._names, self._now()) if secret else "there is none"
            if not why:
                return found
            made = make_pair(self._names, self._now(), found.authorities)
            data = {_CERTIFICATE: made.certificate, _KEY: made.key, _AUTHORITIES: made.authorities}
            if await self._keeper.write_secret(secret_name, data, secret):
                _log.info("made a new certificate for the Secret %s: %s", secret_name, why)
                return made
        raise ClusterError(f"cannot renew the Secret {secret_name}: others change it all the time")


def _pair(secret: Secret | None) -> Pair:
    data = secret.data if secret else {}
    return Pair(data.get(_CERTIFICATE, b""), data.get(_KEY, b""), data.get(_AUTHORITIES, b""))
