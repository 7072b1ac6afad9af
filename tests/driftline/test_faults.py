"""Faults: what a client sees, what is stored and what is counted must agree with the test's own clients and upstream."""

import asyncio
import os
import signal
import socket
import subprocess
from collections import Counter
from pathlib import Path

from aiohttp import ClientSession


def settings_file(directory: Path, text: str) -> str:
    path = directory / "driftline.yaml"
    path.write_text(text)
    return str(path)


def refusal(finished: subprocess.CompletedProcess[str]) -> str:
    """Return the sentence with which a command refused to start."""
    assert finished.returncode not in (0, -signal.SIGKILL)
    assert "Traceback" not in finished.stderr
    return finished.stderr


async def assert_all_is_there_after_a_restart(service, clients, upstream):
    service.start()
    await service.ready()
    counts = await service.settled_counts()
    stored = await service.stored_ids()
    assert len(clients.answered) > 100
    assert counts["captured"] == counts["stored"] == stored.total() == len(stored)
    assert clients.answered <= stored.keys() <= upstream.seen.keys()
    assert await service.stop() == 0


async def test_an_unreachable_upstream_is_answered_with_502_and_recorded(up, free_address):
    service = await up("--upstream", f"http://{free_address()}")
    async with ClientSession() as session, session.post(f"{service.url}/v2/models/m/infer", data=b"{}", headers={"X-Request-Id": "lost"}) as reply:
        assert reply.status == 502
        assert reply.content_type == "application/json"
        assert (await reply.json())["error"]
    assert await service.stop() == 0
    assert await service.rows("request_id, status, error") == [("lost", "502", "connect_failed")]


async def test_a_dead_shadow_costs_nothing_but_a_count(up, upstream, clients_of, free_address):
    service = await up("--upstream", upstream.url, "--shadow", f"http://{free_address()}")
    async with clients_of(service) as clients:
        await asyncio.sleep(1)
    assert not clients.failed
    assert upstream.seen == Counter(clients.answered)
    metrics = await service.metrics()
    due = _counted(metrics, 'driftline_mirror_due_total{arm="shadow-1",')
    left_alone = _counted(metrics, 'driftline_mirror_skipped_total{arm="shadow-1",reason="circuit_open",')
    assert due == len(clients.answered)
    assert left_alone > 0
    assert await service.stop() == 0
    assert await service.stored_ids() == upstream.seen
    assert await service.rows("error, count()", "role = 'shadow' GROUP BY error") == [("connect_failed", str(due - left_alone))]


def _counted(metrics: str, beginning: str) -> int:
    return sum(int(float(line.rpartition(" ")[2])) for line in metrics.splitlines() if line.startswith(beginning))


async def test_a_shadow_that_never_answers_costs_nothing_but_a_count(up, upstream, clients_of):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        service = await up("--upstream", upstream.url, "--shadow", f"http://127.0.0.1:{silent.getsockname()[1]}")
        async with clients_of(service) as clients:
            await asyncio.sleep(1)
        assert not clients.failed
        assert upstream.seen == Counter(clients.answered)
        assert 'driftline_mirror_skipped_total{arm="shadow-1",reason="busy"' in await service.metrics()
        assert await service.stop() == 0
    assert await service.stored_ids() == upstream.seen


async def test_killing_the_monitor_under_load_loses_no_exchange_and_fails_no_request(up, upstream, clients_of):
    service = await up("--upstream", upstream.url)
    async with clients_of(service) as clients:
        for _ in range(2):
            await asyncio.sleep(1)
            os.kill(service.monitor(), signal.SIGKILL)
            await asyncio.sleep(0.5)
            await service.ready()
    assert not clients.failed
    counts = await service.settled_counts()
    assert counts["captured"] == counts["stored"] == upstream.seen.total()
    assert await service.stop() == 0
    assert await service.stored_ids() == upstream.seen


async def test_killing_a_worker_under_load_fails_only_what_it_had_in_flight(up, upstream, clients_of):
    upstream.delay_seconds = 0.02
    service = await up("--upstream", upstream.url, "--workers", "2")
    async with clients_of(service, clients=8) as clients:
        await asyncio.sleep(1)
        os.kill(service.workers()[0], signal.SIGKILL)
        await asyncio.sleep(1.5)
        assert len(service.workers()) == 2
    assert len(clients.answered) > 100
    assert len(clients.failed) <= 8
    counts = await service.settled_counts()
    assert counts["captured"] == counts["stored"]
    assert counts["dropped"] == {}
    stored = await service.stored_ids()
    assert counts["stored"] == stored.total() == len(stored)
    assert clients.answered <= stored.keys() <= clients.answered | clients.failed.keys()
    assert stored.keys() <= upstream.seen.keys() <= clients.answered | clients.failed.keys()
    assert await service.stop() == 0


async def test_killing_everything_loses_nothing_that_a_client_saw_answered(up, upstream, clients_of):
    service = await up("--upstream", upstream.url)
    async with clients_of(service) as clients:
        await asyncio.sleep(1.5)
        service.kill_everything()
    await assert_all_is_there_after_a_restart(service, clients, upstream)


async def test_killing_the_supervisor_ends_everything_in_order_and_loses_nothing(up, upstream, clients_of):
    service = await up("--upstream", upstream.url)
    async with clients_of(service) as clients:
        await asyncio.sleep(1.5)
        assert await service.stop(signal.SIGKILL) == -signal.SIGKILL
        await service.ended()
    await assert_all_is_there_after_a_restart(service, clients, upstream)


async def test_a_full_spool_drops_the_newest_counts_them_and_serves_on(up, upstream, clients_of, tmp_path):
    config = settings_file(tmp_path, f"routes:\n- upstream: {upstream.url}\nspool:\n  max_size: 6 MiB\n  segment_size: 1 MiB\n")
    service = await up("--config", config)
    os.kill(service.monitor(), signal.SIGSTOP)
    async with clients_of(service, clients=0, padding_bytes=32_768) as clients:
        for _ in range(400):
            await clients.send()
    os.kill(service.monitor(), signal.SIGCONT)
    assert len(clients.answered) == 400
    counts = await service.settled_counts()
    assert counts["captured"] == 400
    assert counts["dropped"]["spool_full"] > 100
    assert counts["stored"] + counts["dropped"]["spool_full"] == 400
    stored = await service.stored_ids()
    assert counts["stored"] == stored.total()
    assert "request-0" in stored
    assert "request-399" not in stored
    assert await service.stop() == 0


async def test_sigterm_finishes_what_is_in_flight_stores_everything_and_exits_0(up, upstream, clients_of):
    upstream.delay_seconds = 0.3
    service = await up("--upstream", upstream.url)
    async with clients_of(service) as clients:
        await asyncio.sleep(1.5)
        status = await service.stop()
    assert status == 0
    assert upstream.seen.keys() == clients.answered
    assert await service.stored_ids() == upstream.seen


async def test_alerts_are_looked_after_again_once_their_state_can_be_written(up, upstream, tmp_path):
    state = tmp_path / "data" / "spool" / "alerts.state"
    obstacle = state.with_name("alerts.state.new")
    obstacle.mkdir(parents=True)
    service = await up("--upstream", upstream.url)
    async with asyncio.timeout(20):
        while "alerts.state" not in service.log.read_text():
            await asyncio.sleep(0.1)
        obstacle.rmdir()
        while not state.exists():
            await asyncio.sleep(0.1)
    assert await service.stop() == 0


def test_a_port_in_use_is_said_in_a_clear_sentence(driftline, free_address, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        said = refusal(
            driftline("up", "--upstream", "http://127.0.0.1:9", "--listen", address, "--admin", free_address(), "--data-dir", str(tmp_path / "data"))
        )
    assert address in said
    assert "in use" in said


async def test_a_data_directory_or_spool_in_use_is_said_in_a_clear_sentence(up, upstream, clients_of, driftline, free_address, tmp_path):
    service = await up("--upstream", upstream.url)
    options = ["--upstream", upstream.url, "--listen", free_address(), "--admin", free_address(), "--data-dir", str(service.data_dir)]
    said = refusal(await asyncio.to_thread(driftline, "up", *options))
    assert str(service.data_dir) in said
    spool = str(service.data_dir / "spool")
    said = refusal(await asyncio.to_thread(driftline, "monitor", "--spool", spool, "--admin", free_address(), "--data-dir", str(tmp_path / "other")))
    assert f"The spool {spool} is held by another process" in said
    async with clients_of(service, clients=0) as clients:
        await clients.send()
    assert clients.answered
    assert await service.stop() == 0


def test_a_baseline_of_another_model_is_said_in_a_clear_sentence(driftline, free_address, tmp_path):
    table, baseline = tmp_path / "rows.csv", tmp_path / "other.baseline.json"
    table.write_text("x,y\n" + "".join(f"{row % 17},{row % 23}\n" for row in range(300)))
    assert driftline("baseline", "--model", "other", "--from", str(table), "--out", str(baseline)).returncode == 0
    config = settings_file(tmp_path, f"routes:\n- upstream: http://127.0.0.1:9\n  model: fraud\n  baseline: {baseline}\n")
    options = ["--config", config, "--listen", free_address(), "--admin", free_address(), "--data-dir", str(tmp_path / "data")]
    said = refusal(driftline("up", *options))
    assert str(baseline) in said
    assert "other" in said
    assert "fraud" in said
