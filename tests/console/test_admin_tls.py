"""The admin address over TLS: whom a certificate names, and certificates that are renewed."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from access.authenticator import Authenticator
from config.settings import AccessSettings, GrantSettings, TlsSettings
from console.api import build_app
from console.listening import listen_tcp, serving
from proxy.certificates import ContextOfFiles, changing_context
from proxy.tls import principal, server_context
from records.access import AccessRole
from tests.proxy.certificates import Authority


class Site:
    """An admin address with TLS, at which `ci` may report."""

    def __init__(self, directory) -> None:
        self.authority, self.clients = Authority(directory), Authority(directory, "clients")
        self.pair = self.authority.issue("server", "/CN=server", "IP:127.0.0.1")
        tls = TlsSettings(certificate=str(self.pair.certificate), key=str(self.pair.key), client_ca=str(self.clients.certificate))
        self.files = ContextOfFiles((tls.certificate,), lambda: server_context(tls, "admin_tls", required=False), "admin_tls")
        self.authenticate = Authenticator(AccessSettings(certificates=(GrantSettings(name="ci", role=AccessRole.REPORTER),)))
        self.url = ""

    def trusting(self, authority: Authority, pair=None) -> aiohttp.TCPConnector:
        context = ssl.create_default_context(cafile=authority.certificate)
        if pair is not None:
            context.load_cert_chain(pair.certificate, pair.key)
        return aiohttp.TCPConnector(ssl=context)


@pytest.fixture
async def site(tmp_path, views, take_labels, take_events, accept, guard) -> AsyncIterator[Site]:
    site = Site(tmp_path)
    guard = guard._replace(authenticate=site.authenticate, anonymous=frozenset(), certified=principal)
    listener = listen_tcp("127.0.0.1", 0)
    site.url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    async with serving(build_app(views, take_labels, take_events, accept, guard), listener, changing_context(lambda: site.files.context)):
        yield site


@asynccontextmanager
async def asking(site: Site, authority: Authority, pair=None) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(site.url, connector=site.trusting(authority, pair)) as session:
        yield session


async def test_health_needs_no_certificate_and_the_rest_does(site):
    async with asking(site, site.authority) as session:
        assert (await session.get("/healthz")).status == 200
        assert (await session.get("/metrics")).status == 401


async def test_a_certificate_may_do_what_its_name_was_granted(site, audit):
    async with asking(site, site.authority, site.clients.issue("ci", "/CN=ci")) as session:
        assert (await session.post("/api/v1/labels", data=b"")).status == 200
        assert (await session.get("/metrics")).status == 403
    assert audit.entries == [("ci", "refused", "GET /metrics")]


async def test_a_certificate_without_a_grant_may_do_nothing_here(site):
    async with asking(site, site.authority, site.clients.issue("other", "/CN=other")) as session:
        assert (await session.post("/api/v1/labels", data=b"")).status == 403


async def test_a_certificate_by_somebody_else_is_not_shaken_hands_with(site):
    async with asking(site, site.authority, site.authority.issue("ci", "/CN=ci")) as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get("/healthz")


async def test_a_renewed_certificate_is_shown_to_whoever_connects_next(site, tmp_path):
    (tmp_path / "other").mkdir()
    renewed = Authority(tmp_path / "other", "renewed")
    renewed.issue("server", "/CN=server", "IP:127.0.0.1").put_over(site.pair)
    site.files.refresh()
    async with asking(site, renewed) as session:
        assert (await session.get("/healthz")).status == 200
    async with asking(site, site.authority) as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get("/healthz")
