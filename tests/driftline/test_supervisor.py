"""Starting and stopping: signals that come at a bad moment, and who may connect when."""

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from store.spool.ledger import read_ledger

from .conftest import DRIFTLINE, free_port


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `driftline proxy`; nothing of it is left after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(port: int, *options: str) -> subprocess.Popen[str]:
        spool = tmp_path / f"spool-{len(started)}"
        command = [str(DRIFTLINE), "proxy", "--listen", f"127.0.0.1:{port}", "--upstream", "http://127.0.0.1:9", "--spool", str(spool), *options]
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def first_child(process: subprocess.Popen[str]) -> int:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 20
    while not (pids := children.read_text().split()):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return int(pids[0])


def test_workers_that_share_an_address_do_not_share_it_with_another_proxy(proxy):
    port = free_port()
    first, second = (proxy(port, "--workers", "2") for _ in range(2))
    said = [process.stderr.readline() for process in (first, second)]
    assert sorted(f"cannot listen on 127.0.0.1:{port}: Address already in use" in line for line in said) == [False, True]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_a_child_can_obey_ends_it_in_order(proxy, number):
    process = proxy(free_port())
    child = first_child(process)
    os.kill(child, number)  # as from a terminal, to the whole group
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in said


async def test_a_stopping_proxy_refuses_new_clients_and_a_monitor_that_dies_meanwhile_is_replaced(up, upstream):
    upstream.delay_seconds = 3
    service = await up("--upstream", upstream.url)
    async with ClientSession() as session:
        in_flight = asyncio.create_task(session.post(service.url, data=b"{}"))
        while not upstream.seen:
            await asyncio.sleep(0.01)
        monitor = service.monitor()
        stopped = asyncio.create_task(service.stop())
        await asyncio.sleep(0.5)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", service.port), timeout=5)
        os.kill(monitor, signal.SIGKILL)
        assert (await in_flight).status == 200
    assert await stopped == 0
    assert await service.stored_ids() == upstream.seen


async def test_a_stopping_service_is_not_ready_while_it_still_answers(up, upstream):
    upstream.delay_seconds = 3
    service = await up("--upstream", upstream.url)
    async with ClientSession() as session:
        in_flight = asyncio.create_task(session.post(service.url, data=b"{}"))
        while not upstream.seen:
            await asyncio.sleep(0.01)
        stopped = asyncio.create_task(service.stop())
        async with asyncio.timeout(2):
            while True:
                async with session.get(f"{service.admin}/readyz") as reply:
                    if reply.status != 200:
                        assert "the service is stopping" in await reply.text()
                        break
        answer = await in_flight
        assert (answer.status, answer.headers["Connection"]) == (200, "close")
    assert await stopped == 0


def queued(port: int) -> socket.socket:
    """Return a connection with a request on it, which nobody has accepted yet."""
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    client.sendall(b"GET / HTTP/1.1\r\nHost: model\r\n\r\n")
    return client


def frozen(service) -> list[int]:
    """Stop all workers in whatever they do; return them."""
    workers = service.workers()
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    return workers


async def test_who_waits_to_be_accepted_when_a_worker_is_killed_is_answered_by_its_successor(up, upstream):
    service = await up("--upstream", upstream.url)
    (worker,) = frozen(service)
    with queued(service.port) as client:
        os.kill(worker, signal.SIGKILL)
        assert (await asyncio.to_thread(client.recv, 4096)).startswith(b"HTTP/1.1 200 ")


async def test_who_waits_to_be_accepted_when_the_service_is_stopped_is_answered(up, upstream):
    service = await up("--upstream", upstream.url)
    (worker,) = frozen(service)
    with queued(service.port) as client:
        stopped = asyncio.create_task(service.stop())
        await asyncio.sleep(0.2)
        os.kill(worker, signal.SIGCONT)
        reply = await asyncio.to_thread(client.recv, 4096)
    assert reply.startswith(b"HTTP/1.1 200 ")
    assert b"Connection: close\r\n" in reply
    assert await stopped == 0


async def test_who_connects_while_one_of_the_workers_hangs_is_answered_by_another(up, upstream):
    service = await up("--upstream", upstream.url, "--workers", "2")
    os.kill(service.workers()[0], signal.SIGSTOP)
    clients = [queued(service.port) for _ in range(8)]
    for client in clients:
        with client:
            assert (await asyncio.to_thread(client.recv, 4096)).startswith(b"HTTP/1.1 200 ")


async def test_clients_are_spread_over_the_workers(up, upstream):
    service = await up("--upstream", upstream.url, "--workers", "4")
    clients = [queued(service.port) for _ in range(64)]
    for client in clients:
        assert (await asyncio.to_thread(client.recv, 4096)).startswith(b"HTTP/1.1 200 ")
    held = [read_ledger(directory).sequence for directory in (service.data_dir / "spool").iterdir() if directory.is_dir()]
    for client in clients:
        client.close()
    assert len(held) == 4
    assert sum(held) == 64
    assert max(held) <= 2 * 16
