"""TLS to an upstream: whom to trust, what to show, and under which name; from files that may change."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence
from typing import Final

from config.settings import RouteSettings, ShadowSettings, UpstreamTlsSettings
from proxy.certificates import load_authorities, load_pair, stamp_of

_log: Final = logging.getLogger(__name__)

_REFRESH_SECONDS: Final = 1.0


class UpstreamTls:
    """How new connections to an upstream are encrypted. Raises ValueError with a sentence for the user."""

    def __init__(self, settings: UpstreamTlsSettings, where: str) -> None:
        """`where` is for messages: whose settings they are."""
        self.server_name = settings.server_name
        """The name that certificates must have; empty for the host of the endpoint's URL."""
        self._settings = settings
        self._where = where
        self._files = tuple(filter(None, (settings.ca, settings.certificate, settings.key)))
        self._stamp = stamp_of(self._files)
        self._refresh_due = 0.0
        self.context = client_context(settings, where)
        """For the next connection."""

    def expire(self, now: float) -> None:
        """Take the files again where they have changed; where they are of no use, say so once and go on with what there is. `now` is in seconds."""
        if not self._files or now < self._refresh_due:
            return
        self._refresh_due = now + _REFRESH_SECONDS
        stamp = stamp_of(self._files)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self.context = client_context(self._settings, self._where)
        except ValueError as error:
            _log.error("the changed certificate is not taken, the old one stays: %s", error)
        else:
            _log.info("new connections to the upstream use the changed files of %s", self._where)


def client_context(settings: UpstreamTlsSettings, where: str) -> ssl.SSLContext:
    """Return what speaks TLS by these settings: the upstream's certificate is always verified. Raises ValueError with a sentence for the user."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    if settings.ca:
        load_authorities(context, settings.ca, f"{where}.ca")
    else:
        context.load_default_certs()
    if settings.certificate:
        load_pair(context, settings.certificate, settings.key, where)
    return context


def upstream_tls(route: RouteSettings, of: RouteSettings | ShadowSettings) -> UpstreamTls | None:
    """Return how a route's upstream, or one of its shadows, is spoken TLS with; None where it is not. Raises ValueError with a sentence for the user."""
    urls, name = (of.url, f"shadow {of.name}") if isinstance(of, ShadowSettings) else (of.upstream, "upstream")
    return UpstreamTls(of.tls, f"route {route.name}, {name}: tls") if urls[0].tls else None


def require_upstream_tls(routes: Sequence[RouteSettings]) -> None:
    """Raise ValueError, with a sentence for the user, where an upstream or a shadow could not be spoken TLS with."""
    for route in routes:
        upstream_tls(route, route)
        for shadow in route.shadows:
            upstream_tls(route, shadow)
