"""Who takes a connection that several workers could take."""

import asyncio
import os
import resource
import socket
from collections.abc import Iterator

import pytest

from proxy.accepting import Acceptor
from proxy.occupancy import Occupancy, create_occupancy

CLIENTS = 12


class Held(asyncio.Protocol):
    """A connection as one of the workers holds it."""

    def __init__(self, worker: "Worker") -> None:
        self._worker = worker

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._worker.held.append(transport)
        self._worker.changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._worker.occupancy.left()


class Worker:
    """Takes connections and keeps them."""

    def __init__(self, listening: socket.socket, occupancy: Occupancy, changed: asyncio.Event) -> None:
        self.occupancy = occupancy
        self.held: list[asyncio.BaseTransport] = []
        self.changed = changed
        self.acceptor = Acceptor(listening.dup(), lambda: Held(self), occupancy)


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def connect(listening: socket.socket) -> socket.socket:
    return socket.create_connection(listening.getsockname())


async def all_taken(workers: list[Worker], count: int) -> None:
    async with asyncio.timeout(10):
        while sum(len(worker.held) for worker in workers) < count:
            await workers[0].changed.wait()
            workers[0].changed.clear()


@pytest.mark.parametrize("seats", [2, 3])
async def test_who_holds_more_lets_the_others_go_first(listening, seats):
    fd, changed = create_occupancy(seats), asyncio.Event()
    workers = [Worker(listening, Occupancy.shared(fd, seat), changed) for seat in range(seats)]
    for worker in workers:
        worker.acceptor.start()
    clients = [connect(listening) for _ in range(CLIENTS)]
    await all_taken(workers, CLIENTS)
    assert [len(worker.held) for worker in workers] == [CLIENTS // seats] * seats
    for client in clients:
        client.close()
    for worker in workers:
        await worker.acceptor.stop()
    os.close(fd)


async def test_nobody_waits_long_for_one_that_takes_none(listening):
    fd = create_occupancy(3)
    hanging = Occupancy.shared(fd, 1)
    hanging.open()
    worker = Worker(listening, Occupancy.shared(fd, 0), asyncio.Event())
    worker.acceptor.start()
    clients = [connect(listening) for _ in range(100)]
    started = asyncio.get_running_loop().time()
    await all_taken([worker], 100)
    assert asyncio.get_running_loop().time() - started < 2
    for client in clients:
        client.close()
    await worker.acceptor.stop()
    os.close(fd)


async def test_what_waits_is_taken_before_the_socket_is_closed(listening):
    worker = Worker(listening, Occupancy.alone(), asyncio.Event())
    worker.acceptor.start()
    clients = [connect(listening) for _ in range(CLIENTS)]
    listening.close()
    await worker.acceptor.stop()
    assert len(worker.held) == CLIENTS
    for client in clients:
        client.close()


async def test_a_worker_without_descriptors_leaves_connections_waiting_until_it_has_some(listening, monkeypatch, caplog):
    monkeypatch.setattr("proxy.accepting._EXHAUSTED_SECONDS", 0.05)
    worker = Worker(listening, Occupancy.alone(), asyncio.Event())
    worker.acceptor.start()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with connect(listening):
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))  # what is open stays so
        try:
            async with asyncio.timeout(10):
                while "connections have to wait: Too many open files" not in caplog.text:
                    await asyncio.sleep(0.01)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        await all_taken([worker], 1)
    await worker.acceptor.stop()
