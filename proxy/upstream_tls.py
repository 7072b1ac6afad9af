"""TLS to an upstream: whom to trust, what to show, and under which name; from files that may change."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Final

from config.settings import RouteSettings, ShadowSettings, UpstreamTlsSettings
from proxy.certificates import ContextOfFiles, load_authorities, load_pair

_REFRESH_SECONDS: Final = 1.0


class UpstreamTls:
    """How new connections to an upstream are encrypted. Raises ValueError with a sentence for the user."""

    def __init__(self, settings: UpstreamTlsSettings, where: str) -> None:
        """`where` is for messages: whose settings they are."""
        self.server_name = settings.server_name
        """The name that certificates must have; empty for the host of the endpoint's URL."""
        files = (settings.ca, settings.certificate, settings.key)
        self._files = ContextOfFiles(files, lambda: client_context(settings, where), where)
        self._refresh_due = 0.0

    @property
    def context(self) -> ssl.SSLContext:
        """For the next connection."""
        return self._files.context

    def expire(self, now: float) -> None:
        """Take the files again where they have changed. `now` is in seconds."""
        if now >= self._refresh_due:
            self._refresh_due = now + _REFRESH_SECONDS
            self._files.refresh()


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
