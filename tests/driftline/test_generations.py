"""Reload and upgrade: one generation of workers takes over from another, and no client notices."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from aiohttp import ClientSession, UnixConnector

from driftline.children import write_task
from driftline.keeping import Child, ChildPlan, StartError

from .conftest import Service, group_members

ROOT = Path(__file__).parent.parent.parent

WORKERS = "proxy:\n  workers: 2\n"


def settings_file(directory: Path, text: str) -> Path:
    path = directory / "driftline.yaml"
    path.write_text(text)
    return path


async def said(service, text: str, times: int = 1) -> None:
    """Wait until the log has this text so often."""
    async with asyncio.timeout(40):
        while service.log.read_text().count(text) < times:
            assert service.process.poll() is None, service.log.read_text()
            await asyncio.sleep(0.02)


async def answered(clients, count: int) -> None:
    """Wait until so many further requests were answered."""
    wanted = len(clients.answered) + count
    async with asyncio.timeout(20):
        while len(clients.answered) < wanted:
            assert not clients.failed
            await asyncio.sleep(0.01)


async def assert_everything_is_stored_once(service, clients, upstream) -> None:
    assert clients.failed == {}
    assert await service.stop() == 0
    assert upstream.seen.keys() == clients.answered
    assert await service.stored_ids() == upstream.seen


async def test_a_reload_under_load_fails_no_request_and_the_new_settings_hold(up, upstream, clients_of, tmp_path):
    config = settings_file(tmp_path, f"{WORKERS}routes:\n- upstream: {upstream.url}\n")
    service = await up("--config", str(config))
    before = set(service.workers())
    async with clients_of(service) as clients:
        await answered(clients, 50)
        config.write_text(f"{WORKERS.replace('2', '3')}routes:\n- upstream: {upstream.url}\n  name: renamed\n")
        service.process.send_signal(signal.SIGHUP)
        await said(service, "driftline: reloaded")
        await answered(clients, 50)
        after = set(service.workers())
    assert len(after) == 3
    assert not before & after
    await service.ready()
    async with ClientSession() as session, session.get(f"{service.admin}/api/v1/status") as reply:
        assert [route["route"] for route in (await reply.json())["routes"]] == ["renamed"]
    await assert_everything_is_stored_once(service, clients, upstream)
    assert {route for (route,) in await service.rows("DISTINCT route")} == {"default", "renamed"}


async def test_a_reload_of_what_only_the_workers_heed_leaves_the_monitor_alone(up, upstream, tmp_path):
    config = settings_file(tmp_path, f"routes:\n- upstream: {upstream.url}\n")
    service = await up("--config", str(config))
    monitor = service.monitor()
    config.write_text(f"routes:\n- upstream: {upstream.url}\nproxy:\n  capture: 1 KiB\n")
    service.process.send_signal(signal.SIGHUP)
    await said(service, "driftline: reloaded")
    assert service.monitor() == monitor


async def test_a_reload_takes_a_baseline_that_was_made_anew_in_the_same_file(up, upstream, driftline, tmp_path):
    def make_baseline(values: int) -> None:
        table.write_text("x,y\n" + "".join(f"{row % values},{row % 23}\n" for row in range(300)))
        assert driftline("baseline", "--model", "fraud", "--from", str(table), "--out", str(baseline)).returncode == 0

    table, baseline = tmp_path / "rows.csv", tmp_path / "fraud.baseline.json"
    await asyncio.to_thread(make_baseline, 17)
    config = settings_file(tmp_path, f"routes:\n- upstream: {upstream.url}\n  model: fraud\n  baseline: {baseline}\n")
    service = await up("--config", str(config))
    monitor = service.monitor()
    service.process.send_signal(signal.SIGHUP)
    await said(service, "driftline: reloaded")
    assert service.monitor() == monitor
    await asyncio.to_thread(make_baseline, 19)
    service.process.send_signal(signal.SIGHUP)
    await said(service, "driftline: reloaded", times=2)
    assert service.monitor() != monitor


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ("proxy:\n  workers: many\nroutes:\n- upstream: {upstream}\n", "driftline.yaml:2: proxy.workers: expected a whole number"),
        ("spool:\n  directory: elsewhere\nroutes:\n- upstream: {upstream}\n", "can change only by stopping and starting again"),
        ("runtime:\n  models: /tmp\nroutes:\n- upstream: {upstream}\n", "runtime.listen (running with none, found unix:"),
        ("routes:\n- upstream: {upstream}\n  baseline: absent.json\n", "absent.json"),
    ],
    ids=["mistaken", "fixed", "another process", "of no use to the monitor"],
)
async def test_bad_settings_are_refused_and_the_old_ones_stay(up, upstream, clients_of, tmp_path, settings, complaint):
    config = settings_file(tmp_path, f"routes:\n- upstream: {upstream.url}\n")
    service = await up("--config", str(config))
    before = service.workers(), service.monitor()
    config.write_text(settings.format(upstream=upstream.url))
    service.process.send_signal(signal.SIGHUP)
    await said(service, "the settings are not reloaded, the old ones hold")
    assert complaint in service.log.read_text()
    async with clients_of(service, clients=0) as clients:
        await clients.send()
    assert clients.answered
    assert (service.workers(), service.monitor()) == before


async def test_an_upgrade_under_load_fails_no_request_and_keeps_the_supervisors_number(up, upstream, clients_of):
    service = await up("--upstream", upstream.url, "--workers", "2")
    before = {*service.workers(), service.monitor()}
    async with clients_of(service) as clients:
        for times in (1, 2):
            await answered(clients, 50)
            service.process.send_signal(signal.SIGUSR2)
            await said(service, "driftline: upgraded", times)
        await answered(clients, 50)
    assert len(service.workers()) == 2
    assert not before & set(group_members(service.process.pid))
    await service.ready()
    await assert_everything_is_stored_once(service, clients, upstream)


class CopiedService(Service):
    """`driftline up` from a copy of the sources, which a test may break."""

    def __init__(self, directory: Path, *options: str) -> None:
        super().__init__(directory, *options)
        self.code = directory / "code"
        for room in ROOT.glob("*/__init__.py"):
            if room.parent.name != "tests":
                shutil.copytree(room.parent, self.code / room.parent.name, ignore=shutil.ignore_patterns("__pycache__"))
        for library in ROOT.glob("*.so"):
            shutil.copy(library, self.code)

    def start(self) -> None:
        with self.log.open("ab") as log:
            environment = {**os.environ, "PYTHONPATH": str(self.code), "PYTHONDONTWRITEBYTECODE": "1"}
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, start_new_session=True, cwd=self.code, env=environment)


@pytest.mark.parametrize(
    ("module", "complaint"),
    [("driftline/topology.py", "what lies on the disk now does not start"), ("driftline/worker.py", "the new workers do not start")],
    ids=["supervisor", "workers"],
)
async def test_new_code_that_does_not_start_leaves_the_old_at_work_until_it_does(upstream, clients_of, tmp_path, module, complaint):
    service = CopiedService(tmp_path, "--upstream", upstream.url)
    service.start()
    try:
        await service.ready()
        before = service.workers(), service.monitor()
        source = service.code / module
        sound = source.read_text()
        async with clients_of(service) as clients:
            source.write_text("raise RuntimeError('unfinished')\n")
            service.process.send_signal(signal.SIGUSR2)
            await said(service, complaint)
            await answered(clients, 50)
            assert (service.workers(), service.monitor()) == before
            source.write_text(sound)
            service.process.send_signal(signal.SIGUSR2)
            await said(service, "driftline: upgraded")
            await answered(clients, 50)
        assert service.workers() != before[0]
        await service.ready()
        await assert_everything_is_stored_once(service, clients, upstream)
    finally:
        service.kill_everything()


async def test_clients_on_a_unix_socket_see_no_reload_and_its_file_goes_with_the_service(up, upstream, tmp_path, driftline):
    path = tmp_path / "driftline.sock"
    service = await up("--upstream", upstream.url, "--listen", f"unix:{path}")

    async def ask() -> int:
        async with ClientSession(connector=UnixConnector(str(path))) as session, session.post("http://model/", data=b"{}") as reply:
            return reply.status

    assert await ask() == 200
    service.process.send_signal(signal.SIGHUP)
    await said(service, "driftline: reloaded")
    assert await ask() == 200
    finished = await asyncio.to_thread(driftline, "proxy", "--upstream", upstream.url, "--listen", f"unix:{path}", "--spool", str(tmp_path / "other"))
    assert (finished.returncode, f"cannot listen on unix:{path}: Address already in use" in finished.stderr) == (2, True)
    service.kill_everything()
    service.start()
    await service.ready()
    assert await ask() == 200
    assert await service.stop() == 0
    assert not path.exists()
    assert Counter(await service.rows("client")) == {("",): 3}


async def test_a_stop_in_the_middle_of_a_reload_ends_everything_in_order(up, upstream, clients_of):
    service = await up("--upstream", upstream.url, "--workers", "2")
    async with clients_of(service, clients=0) as clients:
        await clients.send()
        service.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(20):
            while len(service.workers()) < 4:
                await asyncio.sleep(0.005)
        assert await service.stop() == 0
    await service.ended()
    assert "Traceback" not in service.log.read_text()


async def test_a_process_that_neither_serves_nor_ends_is_killed_and_said(tmp_path, monkeypatch, caplog):
    (tmp_path / "silent.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    child = Child(ChildPlan("worker-0", "silent", write_task(None), stage=0, stop_seconds=5, ready_seconds=0.2))
    with pytest.raises(StartError):
        await asyncio.wait_for(child.ready, 20)
    await child.stop()
    assert "worker-0 neither served nor ended within 0.2 s and is killed" in caplog.text
