"""The admission webhook as a process's main, over real TLS: with files that somebody keeps, and with certificates that it makes in a cluster."""

import asyncio
import base64
import datetime as dt
import io
import json
import os
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientConnectorCertificateError, ClientError, ClientSession

from driftline import injector
from driftline.cli import main
from driftline.injecting import injection_of
from injection.certificates import LIFETIME, Pair, make_pair
from injection.cluster import Cluster
from tests.injection.api_server import NAME, ApiServer
from tests.injection.pods import deployment_pod, review

from .programs import free_port

NOW = dt.datetime.now(dt.UTC)


def write(directory: Path, pair: Pair) -> None:
    """As a kubelet does it: what was there is replaced at once."""
    for name, content in (("tls.crt", pair.certificate), ("tls.key", pair.key)):
        (directory / f"{name}.new").write_bytes(content)
        (directory / f"{name}.new").rename(directory / name)


def settings(directory: Path, port: int, *, files: bool) -> Path:
    tls = f", tls: {{certificate: {directory}/tls.crt, key: {directory}/tls.key}}" if files else ""
    (directory / "injector.yaml").write_text(f"injector: {{listen: '127.0.0.1:{port}'{tls}}}\n")
    return directory / "injector.yaml"


@asynccontextmanager
async def running(directory: Path, port: int, *, files: bool) -> AsyncIterator[None]:
    serving = asyncio.create_task(injector._run(injection_of(settings(directory, port, files=files))))
    for _ in range(200):
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            break
        assert not serving.done(), serving
        await asyncio.sleep(0.02)
    try:
        yield
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        assert await serving == 0


async def ask(port: int, authorities: bytes, body: bytes = b"", path: str = "/inject", name: str = "localhost") -> tuple[int, Any]:
    """Ask in a new connection, as who trusts these authorities alone."""
    context = ssl.create_default_context(cadata=authorities.decode())
    async with (
        ClientSession() as session,
        session.request("POST" if body else "GET", f"https://127.0.0.1:{port}{path}", data=io.BytesIO(body), ssl=context, server_hostname=name) as reply,
    ):
        return reply.status, await (reply.json() if "json" in reply.content_type else reply.text())


REVIEW = json.dumps(review(deployment_pod())).encode()


async def test_reviews_are_answered_counted_and_survive_nonsense(tmp_path: Path) -> None:
    pair, port = make_pair(["localhost"], NOW), free_port()
    write(tmp_path, pair)
    async with running(tmp_path, port, files=True):
        status, reply = await ask(port, pair.authorities, REVIEW)
        assert (status, reply["response"]["patchType"]) == (200, "JSONPatch")
        status, reply = await ask(port, pair.authorities, b"[" * 100_000)
        assert (status, reply["error"][:8]) == (400, "expected")
        assert (await ask(port, pair.authorities, b"x" * (9 << 20)))[0] == 413
        assert (await ask(port, pair.authorities, path="/healthz"))[0] == 200
        _, page = await ask(port, pair.authorities, path="/metrics")
    assert 'driftline_injector_reviews_total{outcome="injected"} 1.0' in page
    assert 'driftline_injector_reviews_total{outcome="malformed"} 1.0' in page
    assert 'driftline_certificate_expiry_timestamp_seconds{file="injector.tls"}' in page


async def test_files_that_change_are_shown_without_a_restart_and_useless_ones_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(injector, "_LOOK_SECONDS", 0.02)
    old, new, port = make_pair(["localhost"], NOW), make_pair(["localhost"], NOW), free_port()
    write(tmp_path, old)
    async with running(tmp_path, port, files=True):
        assert (await ask(port, old.authorities, REVIEW))[0] == 200
        write(tmp_path, make_pair(["localhost"], NOW - 2 * LIFETIME))
        await asyncio.sleep(0.1)
        assert (await ask(port, old.authorities, REVIEW))[0] == 200
        write(tmp_path, new)
        for _ in range(200):
            with suppress(ClientConnectorCertificateError):
                assert (await ask(port, new.authorities, REVIEW))[0] == 200
                break
            await asyncio.sleep(0.02)
        with pytest.raises(ClientError):
            await ask(port, old.authorities, REVIEW)


def test_a_certificate_that_has_ended_is_said_at_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, make_pair(["localhost"], NOW - 2 * LIFETIME))
    assert main(["injector", "--config", str(settings(tmp_path, 0, files=True))]) == 2
    assert "tls.crt: expected a certificate that is valid now, found one that has expired" in capsys.readouterr().err


def test_without_files_it_needs_a_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["injector", "--config", str(settings(tmp_path, 0, files=False))]) == 2
    assert "injector.tls: expected a certificate and its key, as this is not run in a cluster" in capsys.readouterr().err


@pytest.fixture
async def api_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ApiServer]:
    server = ApiServer(tmp_path)
    await server.start()
    monkeypatch.setattr(injector, "Cluster", type("Inside", (), {"inside": lambda session: Cluster.inside(session, server.environment, server.account)}))
    yield server
    await server.stop()


@pytest.mark.parametrize(("minor", "place"), [("28", "/spec/containers/-"), ("29", "/spec/initContainers")])
async def test_in_a_cluster_it_makes_its_certificate_and_fits_the_clusters_version(api_server: ApiServer, tmp_path: Path, minor: str, place: str) -> None:
    api_server.version = {"major": "1", "minor": minor}
    port = free_port()
    async with running(tmp_path, port, files=False):
        name = f"{NAME}.driftline-system.svc"
        status, reply = await ask(port, api_server.trusted()[0], REVIEW, name=name)
        assert status == 200
    assert place in {operation["path"] for operation in json.loads(base64.b64decode(reply["response"]["patch"]))}


def test_an_account_that_may_not_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async def forbidden() -> int:
        server = ApiServer(tmp_path)
        await server.start()
        server.forbidden = True
        monkeypatch.setattr(injector, "Cluster", type("Inside", (), {"inside": lambda session: Cluster.inside(session, server.environment, server.account)}))
        try:
            return await injector._run(injection_of(settings(tmp_path, 0, files=False)))
        finally:
            await server.stop()

    with pytest.raises(OSError, match=r"cannot read the version: 403 .*apply the roles"):
        asyncio.run(forbidden())
