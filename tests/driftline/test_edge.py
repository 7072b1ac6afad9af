"""A small machine whose store is far away: what it keeps while the link is down, and what it takes."""

import asyncio
import importlib.util
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import yaml

from bench.link import Link
from bench.processes import proportional_bytes
from driftline.cli import main
from records.status import Counts
from store.spool.counts import take_stock
from store.spool.listing import LOADER_STATE_NAME
from store.spool.state import LoaderState, read_state
from tests.store.clickhouse_server import ClickHouseServer

from .conftest import Service, Upstream, group_members

EXAMPLE = Path(__file__).parents[2] / "examples/edge.yaml"
MEMORY_BYTES = 140_000_000
"""What the page says, and room for a Python that was built in another way; `python -m bench.images` holds a container to the page's own figure."""
NOT_IN_THE_EXTRA = ["aiohttp", "apprise", "chdb", "cryptography", "opentelemetry", "pandas", "prometheus_client", "scipy"]
"""What a small machine does not have; where pandas is, PyArrow and clickhouse-connect load it."""


class Edge(Service):
    """`driftline up` with the settings of examples/edge.yaml, which serve no admin address."""

    @property
    def spool(self) -> Path:
        return self.data_dir / "spool"

    async def ready(self, within_seconds: float = 40) -> None:
        begun = self.log.read_text().count("listening on")
        deadline = time.monotonic() + within_seconds
        while self.log.read_text().count("listening on") == begun:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            await asyncio.sleep(0.05)

    async def counts(self) -> Counts:
        state = read_state(self.spool / LOADER_STATE_NAME, LoaderState) or LoaderState()
        return take_stock(self.spool, state).counts

    async def settled(self) -> Counts:
        deadline = time.monotonic() + 40
        while (counts := await self.counts()).pending:
            assert time.monotonic() < deadline, f"{counts.identity}\n{self.log.read_text()}"
            await asyncio.sleep(0.1)
        return counts

    def forwarder(self) -> int:
        (pid,) = self._running("driftline.forwarder")
        return pid


@pytest.fixture
def far_store(tmp_path: Path) -> Iterator[ClickHouseServer]:
    server = ClickHouseServer(tmp_path / "far")
    yield server
    server.close()


@pytest.fixture
async def link(far_store: ClickHouseServer) -> AsyncIterator[Link]:
    async with Link(far_store.port) as link:
        yield link


@pytest.fixture
async def edge(tmp_path: Path, link: Link, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Edge]:
    absent = tmp_path / "absent"
    absent.mkdir()
    for name in NOT_IN_THE_EXTRA:
        (absent / f"{name}.py").write_text(f"raise ModuleNotFoundError('as on a small machine', name={name!r})")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(absent), os.environ.get("PYTHONPATH", "")]))
    settings = yaml.safe_load(EXAMPLE.read_text())
    settings["routes"][0]["upstream"] = upstream.url
    settings["store"] |= {"clickhouse": f"http://127.0.0.1:{link.port}/driftline", "batch_wait": "100ms"}
    settings["spool"]["min_free"] = "1 MiB"
    file = tmp_path / "edge.yaml"
    file.write_text(yaml.safe_dump(settings))
    edge = Edge(tmp_path, "--config", str(file))
    edge.start()
    await edge.ready()
    yield edge
    edge.kill_everything()


def stored(server: ClickHouseServer) -> Counter[str]:
    """Return how often each request is in the store."""
    return Counter(server.run("SELECT request_id FROM exchanges", b"", {"database": "driftline"}).decode().split())


async def send(edge: Edge, clients_of, requests: int, name: str) -> Counter[str]:
    async with clients_of(edge, clients=4, name=name) as clients:
        while len(clients.answered) < requests:
            assert not clients.failed
            await asyncio.sleep(0.02)
    assert not clients.failed
    return Counter(clients.answered)


async def test_what_happened_while_the_link_was_cut_is_in_the_store_once_when_it_is_back(edge, link, far_store, clients_of) -> None:
    answered = await send(edge, clients_of, 100, "linked")
    await edge.settled()
    assert stored(far_store) == answered
    await link.cut()
    answered += await send(edge, clients_of, 100, "cut")
    os.kill(edge.forwarder(), signal.SIGKILL)
    answered += await send(edge, clients_of, 100, "killed")

    # The machine is turned off and on again before the link is back.
    edge.kill_everything()
    edge.start()
    await edge.ready()
    answered += await send(edge, clients_of, 50, "restarted")
    assert (await edge.counts()).pending >= 250
    await link.restore()
    counts = await edge.settled()

    assert counts.dropped == {}
    assert counts.captured == counts.stored == answered.total()
    assert stored(far_store) == answered
    assert await edge.stop() == 0


async def test_a_link_that_carries_nothing_holds_nobody_up(edge, link, far_store, clients_of) -> None:
    link.silence()
    answered = await send(edge, clients_of, 100, "silent")
    assert (await edge.counts()).captured == answered.total()
    assert not far_store.inserts
    await link.restore()
    await edge.settled()
    assert stored(far_store) == answered


def test_what_is_missing_is_named_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in NOT_IN_THE_EXTRA else find_spec(name))
    assert main(["up", "--upstream", "http://127.0.0.1:9", "--data-dir", str(tmp_path / "data")]) == 2
    assert "needs the package aiohttp; install it with: pip install 'driftline[monitor]'" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


async def test_memory_stays_near_what_the_page_says(edge, link, clients_of) -> None:
    await link.cut()
    await send(edge, clients_of, 1_000, "cut")
    assert proportional_bytes(group_members(edge.process.pid)) < MEMORY_BYTES
    await link.restore()
    await edge.settled()
    assert proportional_bytes(group_members(edge.process.pid)) < MEMORY_BYTES
