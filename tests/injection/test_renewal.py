"""Certificates that replicas share: made, trusted before they are shown, renewed in time, and mended where somebody broke them."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from injection.certificates import LIFETIME, Pair, end_seconds, fault, make_pair
from injection.cluster import Cluster, ClusterError
from injection.renewal import SharedCertificate

from .api_server import NAME, ApiServer

NAMES = (f"{NAME}.driftline-system.svc",)
NOW = dt.datetime.now(dt.UTC)


class Clock:
    now = NOW

    def __call__(self) -> dt.datetime:
        return self.now


@pytest.fixture
async def api_server(tmp_path: Path) -> AsyncIterator[ApiServer]:
    server = ApiServer(tmp_path)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def cluster(api_server: ApiServer) -> AsyncIterator[Cluster]:
    async with ClientSession() as session:
        found = Cluster.inside(session, api_server.environment, api_server.account)
        assert found is not None
        yield found


def shown_by(shared: SharedCertificate, trusted: bytes) -> bytes:
    """Return the certificate that somebody is shown who trusts these, after a handshake in memory."""
    client = ssl.create_default_context(cadata=trusted.decode())
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server, server_hostname=NAMES[0])
    answering = shared.context.wrap_bio(to_server, to_client, server_side=True)
    for end in (asking, answering) * 4:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    der = asking.getpeercert(binary_form=True)
    assert der is not None
    return ssl.DER_cert_to_PEM_cert(der).encode()


async def test_the_first_look_makes_a_certificate_and_has_every_webhook_trust_it(api_server: ApiServer, cluster: Cluster) -> None:
    shared = SharedCertificate(cluster, NAME, NAMES, Clock())
    await shared.look()
    assert api_server.writes == ["POST", "PATCH"]
    first, second = api_server.trusted()
    assert first == second == api_server.pair().authorities
    assert shown_by(shared, first) == api_server.pair().certificate
    assert shared.end_seconds == end_seconds(api_server.pair().certificate)
    await shared.look()
    assert api_server.writes == ["POST", "PATCH"]


async def test_replicas_that_begin_at_once_share_one(api_server: ApiServer, cluster: Cluster) -> None:
    replicas = [SharedCertificate(cluster, NAME, NAMES, Clock()) for _ in range(5)]
    await asyncio.gather(*(replica.look() for replica in replicas))
    trusted = api_server.trusted()[0]
    assert {shown_by(replica, trusted) for replica in replicas} == {api_server.pair().certificate}


async def test_a_new_one_is_trusted_before_it_is_shown_and_the_old_one_for_as_long_as_others_show_it(api_server: ApiServer, cluster: Cluster) -> None:
    clock = Clock()
    first, second = (SharedCertificate(cluster, NAME, NAMES, clock) for _ in range(2))
    await first.look()
    await second.look()
    old = api_server.pair()
    clock.now = NOW + LIFETIME - dt.timedelta(days=29)
    await first.look()
    new = api_server.pair()
    trusted = api_server.trusted()[0]
    assert new.certificate != old.certificate
    assert old.authorities in trusted
    assert fault(new, NAMES, clock.now) == ""
    assert shown_by(first, old.authorities) == old.certificate
    assert shown_by(second, trusted) == old.certificate
    await first.look()
    assert shown_by_in_the_future(first) == new.certificate
    await second.look()
    await second.look()
    assert shown_by_in_the_future(second) == new.certificate
    clock.now = NOW + LIFETIME + dt.timedelta(days=40)
    await first.look()
    assert old.authorities not in api_server.trusted()[0]


def shown_by_in_the_future(shared: SharedCertificate) -> bytes:
    return shared._shown


def expired() -> Pair:
    return make_pair(NAMES, NOW - LIFETIME - dt.timedelta(days=1))


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (expired(), "it ends on"),
        (make_pair(NAMES, NOW - LIFETIME + dt.timedelta(days=29)), "it ends on"),
        (make_pair(NAMES, NOW + dt.timedelta(days=2)), "it begins on"),
        (make_pair(["other.svc"], NOW), "it is for other.svc"),
        (make_pair(NAMES, NOW)._replace(key=make_pair(NAMES, NOW).key), "the key is another certificate's"),
        (make_pair(NAMES, NOW)._replace(authorities=make_pair(NAMES, NOW).authorities), "none of the authorities"),
        (make_pair(NAMES, NOW)._replace(authorities=b""), "it cannot be read"),
        (make_pair(NAMES, NOW)._replace(certificate=b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"), "it cannot be read"),
        (Pair(b"", b"", b""), "it cannot be read"),
    ],
)
async def test_what_is_of_no_use_in_the_secret_is_replaced(api_server: ApiServer, cluster: Cluster, broken: Pair, why: str) -> None:
    assert why in fault(broken, NAMES, NOW)
    api_server.put(broken)
    shared = SharedCertificate(cluster, NAME, NAMES, Clock())
    await shared.look()
    assert fault(api_server.pair(), NAMES, NOW) == ""
    assert shown_by(shared, api_server.trusted()[0]) == api_server.pair().certificate


async def test_when_the_api_server_refuses_the_old_one_goes_on(api_server: ApiServer, cluster: Cluster) -> None:
    shared = SharedCertificate(cluster, NAME, NAMES, Clock())
    await shared.look()
    api_server.forbidden = True
    with pytest.raises(ClusterError, match=r"cannot read the Secret driftline-injector-tls: 403 .*apply the roles"):
        await shared.look()
    assert shown_by(shared, api_server.trusted()[0]) == api_server.pair().certificate


async def test_an_api_server_that_is_not_there_is_said(api_server: ApiServer, cluster: Cluster) -> None:
    await api_server.stop()
    with pytest.raises(ClusterError, match="does not answer"):
        await cluster.version()


async def test_the_token_is_read_again_as_the_kubelet_renews_it(api_server: ApiServer, cluster: Cluster) -> None:
    (api_server.account / "token").write_text("too-old")
    with pytest.raises(ClusterError, match="401"):
        await cluster.version()
    (api_server.account / "token").write_text("let-me-in")
    assert await cluster.version() == (1, 31)


@pytest.mark.parametrize("version", [{}, {"major": "one", "minor": "31"}])
async def test_a_version_that_is_none_is_said(api_server: ApiServer, cluster: Cluster, version: dict[str, str]) -> None:
    api_server.version = version
    with pytest.raises(ClusterError, match="cannot read the version"):
        await cluster.version()
