"""The runtime under a supervisor: behind the proxy, and alone."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from aiohttp import ClientSession, UnixConnector

from tests.runtime.graphs import WEIGHTS, linear

BODY = '{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[1,0,0]}]}'


@pytest.fixture
def models(tmp_path: Path) -> Path:
    linear(tmp_path / "models/m/1/model.onnx")
    return tmp_path / "models"


async def ask(session: ClientSession, url: str) -> float:
    async with session.post(f"{url}/v2/models/m/infer", data=BODY) as reply:
        assert reply.status == 200, await reply.text()
        return (await reply.json())["outputs"][0]["data"][0]


async def test_a_directory_of_models_is_all_that_up_needs_and_a_killed_runtime_comes_back(up, models: Path) -> None:
    service = await up("--models", str(models))
    async with ClientSession() as session:
        for _ in range(10):
            assert await ask(session, service.url) == pytest.approx(WEIGHTS[0, 0])
        (runtime,) = service._running("driftline.runtime")
        os.kill(runtime, signal.SIGKILL)
        async with asyncio.timeout(40):
            while service._running("driftline.runtime") in ([], [runtime]):
                await asyncio.sleep(0.05)
        assert await ask(session, service.url) == pytest.approx(WEIGHTS[0, 0])  # it waits until the new one serves
    counts = await service.settled_counts()
    assert counts["captured"] == counts["stored"] == 11
    assert set(await service.rows("model, status")) == {("m", "200")}
    assert await service.stop() == 0


async def test_what_is_for_operators_is_not_for_clients_of_the_proxy(up, models: Path) -> None:
    service = await up("--models", str(models))
    async with ClientSession() as session:
        await ask(session, service.url)
        for method, path in (("GET", "/metrics"), ("GET", "/samples"), ("POST", "/v2/repository/index"), ("POST", "/v2/repository/models/m/unload")):
            async with session.request(method, service.url + path) as reply:
                assert (reply.status, "runtime.admin" in await reply.text()) == (404, True), path
        async with session.get(f"{service.admin}/metrics") as reply:
            page = await reply.text()
        assert 'driftline_runtime_requests_total{model="m",version="1"} 1.0' in page
        assert 'driftline_up{component="runtime"} 1.0' in page
    async with ClientSession(connector=UnixConnector(str(service.data_dir / "runtime-admin.sock"))) as session:
        async with session.post("http://x/v2/repository/models/m/unload") as reply:
            assert reply.status == 200
        async with session.post("http://x/v2/models/m/infer", data=BODY) as reply:
            assert reply.status == 503


async def test_operators_may_have_an_address_of_their_own_when_the_runtime_is_alone(models: Path, tmp_path: Path, free_address) -> None:
    listen, admin = free_address(), free_address()
    (tmp_path / "driftline.yaml").write_text(f"runtime:\n  admin: {admin}\n")
    command = ("driftline", "runtime", "--config", str(tmp_path / "driftline.yaml"), "--models", str(models), "--listen", listen)
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE, env=environment())
    assert process.stderr is not None
    try:
        async with asyncio.timeout(40), ClientSession() as session:
            while b"serving the models in" not in (line := await process.stderr.readline()):
                assert line
            for change in (b"", b"again"):
                async with session.get(f"http://{listen}/metrics") as reply:
                    assert reply.status == 404
                async with session.get(f"http://{admin}/metrics") as reply:
                    assert reply.status == 200
                if not change:
                    process.send_signal(signal.SIGUSR2)
                    while b"serving the models in" not in (line := await process.stderr.readline()):
                        assert line
    finally:
        process.send_signal(signal.SIGTERM)
        await process.communicate()
    assert process.returncode == 0


async def test_reloading_settings_drops_no_request(up, models: Path) -> None:
    service = await up("--models", str(models))

    async def client(stop: asyncio.Event) -> int:
        done = 0
        async with ClientSession() as session:
            while not stop.is_set():
                await ask(session, service.url)
                done += 1
        return done

    stop = asyncio.Event()
    clients = [asyncio.create_task(client(stop)) for _ in range(4)]
    (before,) = service._running("driftline.runtime")
    service.process.send_signal(signal.SIGHUP)
    async with asyncio.timeout(60):
        while before in service._running("driftline.runtime"):
            await asyncio.sleep(0.05)
    stop.set()
    assert min(await asyncio.gather(*clients)) > 0
    assert len(service._running("driftline.runtime")) == 1


@pytest.mark.parametrize("address", ["tcp", "unix"])
async def test_the_runtime_serves_alone(models: Path, tmp_path: Path, free_address, address: str) -> None:
    listen = free_address() if address == "tcp" else f"unix:{tmp_path}/socket"
    process = await asyncio.create_subprocess_exec(
        "driftline", "runtime", "--models", str(models), "--listen", listen, "--device", "cpu", stderr=asyncio.subprocess.PIPE, env=environment()
    )
    assert process.stderr is not None
    async with asyncio.timeout(40):
        while b"serving the models in" not in (line := await process.stderr.readline()):
            assert line
    reply = await asyncio.create_subprocess_exec(
        "curl",
        "--silent",
        *(["--unix-socket", listen.removeprefix("unix:"), "http://x/v2/models/m"] if address == "unix" else [f"http://{listen}/v2/models/m"]),
        stdout=asyncio.subprocess.PIPE,
    )
    assert b'"name":"m"' in (await reply.communicate())[0]
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == 0


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "expected a directory of models, found none; for example: --models models"),
        (["--models", "/absent"], "the directory of models /absent is not there; make it, or choose another one with --models"),
        (["--models", ".", "--device", "tpu"], "argument --device: expected auto, cuda or cpu, found 'tpu'"),
    ],
)
def test_what_is_missing_is_said(driftline, options: list[str], said: str) -> None:
    finished = driftline("runtime", *options)
    assert finished.returncode == 2
    assert said in finished.stderr
