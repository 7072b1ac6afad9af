"""The process of the admission webhook: its certificate, its socket, its figures."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import platform
import ssl
import sys
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import Final, Protocol

from aiohttp import ClientSession, web
from cryptography import x509
from msgspec.structs import replace

from config.settings import InjectorSettings, TlsSettings
from console.metrics import page_of
from driftline.children import stop_event
from driftline.listening import address_of, listen
from injection.cluster import Cluster, ClusterError
from injection.patching import Injection
from injection.renewal import SharedCertificate
from injection.review import Outcome
from injection.server import build_app
from proxy.certificates import ContextOfFiles, changing_context
from proxy.tls import server_context
from records.metrics import Metric

_log: Final = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 60.0
"""How often certificates are looked after; docs/inject.md says so."""
_FIRST_NATIVE: Final = (1, 29)
_SHUTDOWN_SECONDS: Final = 5.0


class Shown(Protocol):
    """A certificate that is looked after."""

    @property
    def context(self) -> ssl.SSLContext:
        """What new connections are encrypted by."""
        ...

    @property
    def end_seconds(self) -> float:
        """When it ends, in Unix seconds."""
        ...

    async def look(self) -> None:
        """Take it anew where it has changed, or make a new one. Raises ClusterError."""
        ...


class FileCertificate:
    """Implements Shown with files that others keep, such as cert-manager. Raises ValueError with a sentence for the user."""

    def __init__(self, settings: TlsSettings) -> None:
        files = (settings.certificate, settings.key, settings.client_ca)
        self._certificate = Path(settings.certificate)
        self._files = ContextOfFiles(files, lambda: server_context(settings), "injector.tls")

    @property
    def context(self) -> ssl.SSLContext:
        """See Shown."""
        return self._files.context

    @property
    def end_seconds(self) -> float:
        """See Shown."""
        return x509.load_pem_x509_certificate(self._certificate.read_bytes()).not_valid_after_utc.timestamp()

    async def look(self) -> None:
        """See Shown."""
        self._files.refresh()


def run_injector(injection: Injection) -> int:
    """Run until SIGTERM or SIGINT; return the exit status. Raises OSError or ValueError with a sentence for the user."""
    return asyncio.run(_run(injection))


async def _run(injection: Injection) -> int:
    stop = stop_event(supervised=False)
    settings = injection.settings
    async with ClientSession() as session:
        cluster = Cluster.inside(session)
        try:
            if cluster is not None:
                injection = injection._replace(settings=await _fitting(settings, cluster))
            shown = _certificate(settings, cluster)
            await shown.look()
        except ClusterError as error:
            raise OSError(str(error)) from None
        return await _serve(injection, shown, stop)


async def _serve(injection: Injection, shown: Shown, stop: asyncio.Event) -> int:
    app = build_app(injection, lambda counts, accept: _page(counts, accept, shown))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    listener = listen(injection.settings.listen, "injector.listen in the settings")
    await web.SockSite(runner, listener, ssl_context=changing_context(lambda: shown.context)).start()
    sys.stderr.write(f"driftline: answering the API server on https://{address_of(listener)}/inject\n")
    looking = asyncio.create_task(_look_after(shown))
    await stop.wait()
    looking.cancel()
    await runner.cleanup()
    return 0


async def _look_after(shown: Shown) -> None:
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            await shown.look()
        except ClusterError as error:
            _log.error("the certificate is not looked after now, the one that is shown stays: %s", error)


async def _fitting(settings: InjectorSettings, cluster: Cluster) -> InjectorSettings:
    """Return the settings without native sidecars where the cluster is too old for these. Raises ClusterError."""
    version = await cluster.version()
    if settings.native_sidecars and version < _FIRST_NATIVE:
        _log.warning("Kubernetes %d.%d has no native sidecars: pods get ordinary containers", *version)
        return replace(settings, native_sidecars=False)
    return settings


def _certificate(settings: InjectorSettings, cluster: Cluster | None) -> Shown:
    if settings.tls is not None:
        return FileCertificate(settings.tls)
    if cluster is None:
        raise ValueError("injector.tls: expected a certificate and its key, as this is not run in a cluster that could keep one; or use `driftline inject`")
    service = f"{settings.name}.{cluster.namespace}.svc"
    return SharedCertificate(cluster, settings.name, (service, f"{service}.cluster.local"), lambda: dt.datetime.now(dt.UTC))


def _page(counts: Counter[Outcome], accept: str, shown: Shown) -> tuple[bytes, str]:
    return page_of(
        {
            **{(Metric.INJECTOR_REVIEWS.metric_name, outcome): float(counts[outcome]) for outcome in Outcome},
            (Metric.CERTIFICATE_EXPIRY.metric_name, "injector.tls"): shown.end_seconds,
            (Metric.UP.metric_name, "injector"): 1.0,
            (Metric.BUILD_INFO.metric_name, metadata.version("driftline"), platform.python_version()): 1.0,
        },
        accept,
    )
