"""Who may send requests through the data plane, and how often: by the gate alone, and over real sockets."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest

from access.authenticator import credential
from access.gate import Gate, make_gate
from access.keys import make_key
from config.settings import AccessSettings, GrantSettings, ProxySettings, RateLimitSettings
from records.access import AccessRole, Denied, Identity
from records.exchange import ErrorKind
from tests.proxy.conftest import Bench, answering, bench  # noqa: F401 - a fixture

INFER = b"/v2/models/m/infer"


class Keys:
    """A file with a key for each role."""

    def __init__(self, directory: Path) -> None:
        made = {role: make_key(str(role), role) for role in AccessRole}
        self.of = {role: key.encode() for role, (key, _) in made.items()}
        self.file = directory / "keys"
        self.file.write_text("\n".join(stored.line for _, stored in made.values()))

    def gate(self, **proxy) -> Gate:
        return Gate(AccessSettings(keys=str(self.file)), ProxySettings(authenticate=True, **proxy))


@pytest.fixture
def keys(tmp_path) -> Keys:
    return Keys(tmp_path)


def admit(gate: Gate, authorization: bytes = b"", *, method: bytes = b"POST", target: bytes = INFER, certificate: str = "", address: str = "192.0.2.7"):
    return gate.admit(method, target, {b"authorization": authorization} if authorization else {}, certificate, address)


def test_without_settings_there_is_no_gate():
    assert make_gate(AccessSettings(), ProxySettings()) is None


@pytest.mark.parametrize("role", [AccessRole.CLIENT, AccessRole.ADMIN])
def test_a_key_with_the_role_passes_and_does_not_go_on(keys, role):
    assert admit(keys.gate(), b"Bearer " + keys.of[role]) == Identity(str(role), frozenset({role}), b"authorization")


@pytest.mark.parametrize("role", [AccessRole.REPORTER, AccessRole.VIEWER, AccessRole.OPERATOR])
def test_a_key_without_the_role_is_forbidden(keys, role):
    found = admit(keys.gate(), b"Bearer " + keys.of[role])
    assert (found.status, found.kind) == (403, ErrorKind.FORBIDDEN)


@pytest.mark.parametrize(
    "authorization",
    [b"", b"Bearer", b"Bearer ", b"Bearer x", b"Bearer dl_client_" + b"x" * 43, b"Basic !", b"Basic eDp5", b"Digest dl_client_" + b"x" * 43, b"\xff\x00 \xff"],
)
def test_whoever_shows_nothing_good_is_told_what_to_show(keys, authorization):
    found = admit(keys.gate(), authorization)
    assert isinstance(found, Denied)
    assert (found.status, found.kind) == (401, ErrorKind.UNAUTHENTICATED)
    assert found.field.startswith(b"WWW-Authenticate: Bearer ")


def test_a_key_may_be_the_password_of_basic_authentication(keys):
    shown = b"Basic " + base64.b64encode(b"anybody:" + keys.of[AccessRole.CLIENT])
    assert admit(keys.gate(), shown).name == "client"


def test_a_certificate_is_a_client_and_an_upstream_s_own_password_goes_on(keys):
    found = admit(keys.gate(), b"Basic " + base64.b64encode(b"upstream:password"), certificate="scoring")
    assert found == Identity("scoring", frozenset({AccessRole.CLIENT}))


def test_a_wrong_key_is_refused_also_beside_a_good_certificate(keys):
    assert admit(keys.gate(), b"Bearer dl_client_" + b"x" * 43, certificate="scoring").status == 401


def test_certificates_have_the_roles_of_the_settings(keys):
    grants = (GrantSettings(name="scoring", role=AccessRole.VIEWER), GrantSettings(name="scoring", role=AccessRole.REPORTER))
    gate = Gate(AccessSettings(certificates=grants), ProxySettings(authenticate=True))
    assert admit(gate, certificate="scoring").roles == {AccessRole.CLIENT, AccessRole.VIEWER, AccessRole.REPORTER}


@pytest.mark.parametrize(
    ("method", "target", "passes"),
    [
        (b"GET", b"/v2/health/ready", True),
        (b"HEAD", b"/healthz?full=1", True),
        (b"POST", b"/v2/health/ready", False),
        (b"GET", b"/v2/health/ready/", False),
        (b"GET", b"/v2/health/../models/m/infer", False),
        (b"GET", INFER, False),
    ],
)
def test_probes_pass_without_showing_anything_and_nothing_else_does(keys, method, target, passes):
    assert isinstance(admit(keys.gate(), method=method, target=target), Identity) is passes


def test_a_key_that_a_probe_shows_does_not_go_on_either(keys):
    assert admit(keys.gate(), b"Bearer " + keys.of[AccessRole.CLIENT], method=b"GET", target=b"/healthz").own_field == b"authorization"


def test_the_rate_is_of_names_where_these_are_known_and_of_addresses_else(keys):
    limit = RateLimitSettings(requests=1)
    known, anybody = keys.gate(rate_limit=limit), Gate(AccessSettings(), ProxySettings(rate_limit=limit))
    shown = b"Bearer " + keys.of[AccessRole.CLIENT]
    assert isinstance(admit(known, shown, address="192.0.2.1"), Identity)
    assert admit(known, shown, address="192.0.2.2").status == 429
    assert isinstance(admit(known, b"Bearer " + keys.of[AccessRole.ADMIN], address="192.0.2.1"), Identity)
    assert isinstance(admit(anybody, address="192.0.2.1"), Identity)
    assert isinstance(admit(anybody, address="192.0.2.2"), Identity)
    assert admit(anybody, address="192.0.2.2").status == 429


def test_an_address_of_version_6_is_its_network():
    gate = Gate(AccessSettings(), ProxySettings(rate_limit=RateLimitSettings(requests=1)))
    assert isinstance(admit(gate, address="2001:db8::1"), Identity)
    assert admit(gate, address="2001:db8::2").status == 429
    assert isinstance(admit(gate, address="2001:db8:0:1::1"), Identity)
    assert isinstance(admit(gate, address="fe80::1%eth0"), Identity)


@pytest.mark.parametrize(
    ("authorization", "shown"), [(b"BEARER  a ", b"a"), (b"Basic Og==", b""), (b"Basic dXNlcjphOmI=", b"a:b"), (b"Basic dXNlcg", b""), (b"", b"")]
)
def test_what_an_authorization_field_shows(authorization, shown):
    assert credential(authorization) == shown


async def request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *lines: bytes, target: bytes = INFER, method: bytes = b"GET") -> bytes:
    writer.write(b"".join(line + b"\r\n" for line in (method + b" " + target + b" HTTP/1.1", b"Host: a", *lines, b"")))
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return head + await reader.readexactly(length)


async def test_a_request_with_a_key_is_forwarded_without_it_and_recorded_with_its_name(bench: Bench, keys):  # noqa: F811
    seen: list[tuple[bytes, bytes]] = []
    proxy = await bench.proxy(await bench.upstream(answering(b"ok", seen=seen)), gate=keys.gate())
    reader, writer = await proxy.connect()
    for role in (AccessRole.CLIENT, AccessRole.ADMIN, AccessRole.CLIENT):
        assert (await request(reader, writer, b"Authorization: Bearer " + keys.of[role], b"X-Other: 1")).endswith(b"ok")
    assert [exchange.principal for exchange in await proxy.tap.recorded(3)] == ["client", "admin", "client"]
    assert all(b"dl_" not in head and b"uthorization" not in head and b"X-Other: 1\r\n" in head for head, _ in seen)


async def test_what_is_refused_is_answered_recorded_and_reaches_no_upstream(bench: Bench, keys):  # noqa: F811
    seen: list[tuple[bytes, bytes]] = []
    proxy = await bench.proxy(await bench.upstream(answering(b"ok", seen=seen)), gate=keys.gate())
    reply = await proxy.exchange(b"POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
    assert reply.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert b'\r\nWWW-Authenticate: Bearer realm="driftline"\r\n' in reply
    [exchange] = await proxy.tap.recorded(1)
    assert (exchange.error, exchange.status, exchange.principal) == (ErrorKind.UNAUTHENTICATED, 401, "")
    assert seen == []


async def test_a_kept_connection_does_not_keep_who_its_last_request_was_from(bench: Bench, keys):  # noqa: F811
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), gate=keys.gate())
    reader, writer = await proxy.connect()
    await request(reader, writer, b"Authorization: Bearer " + keys.of[AccessRole.CLIENT])
    await request(reader, writer, target=b"/healthz")
    assert (await request(reader, writer)).startswith(b"HTTP/1.1 401 ")
    assert [exchange.principal for exchange in (await proxy.tap.recorded(3))[:2]] == ["client", ""]


async def test_more_requests_than_allowed_are_told_when_to_come_back(bench: Bench):  # noqa: F811
    gate = Gate(AccessSettings(), ProxySettings(rate_limit=RateLimitSettings(requests=1, burst=2)))
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")), gate=gate)
    reader, writer = await proxy.connect()
    assert [(await request(reader, writer)).split(b" ")[1] for _ in range(3)] == [b"200", b"200", b"429"]
    assert b"\r\nRetry-After: 1\r\n" in await proxy.exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert [exchange.error for exchange in await proxy.tap.recorded(4)][2:] == [ErrorKind.RATE_LIMITED] * 2
