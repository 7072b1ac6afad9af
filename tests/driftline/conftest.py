"""The command as a user starts it, between clients and an upstream that keep their own counts."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Self

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web
from msgspec.structs import replace

from records.exchange import Body, Exchange, Role
from records.ids import new_exchange_id
from store.clickhouse.client import EmbeddedStore
from store.clickhouse.columns import StoredExchange
from store.clickhouse.inserter import EXCHANGES, Inserter

from .programs import Hook, Programs, free_port

TODAY_NS = time.time_ns() // 86_400_000_000_000 * 86_400_000_000_000

DRIFTLINE = Path(sys.executable).with_name("driftline")
REQUEST = b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[0.5,1.5]}]}'
REPLY = b'{"model_name":"m","outputs":[{"name":"y","shape":[1],"datatype":"FP32","data":[0.25]}]}'


class Upstream:
    """A model that counts what it was asked, by request id."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.delay_seconds = 0.0

    async def answer(self, request: web.BaseRequest) -> web.Response:
        await request.read()
        self.seen[request.headers["X-Request-Id"]] += 1
        await asyncio.sleep(self.delay_seconds)
        return web.Response(body=REPLY, content_type="application/json")


class Service:
    """`driftline up` in a process group of its own."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.port, self.admin_port = free_port(), free_port()
        self.url, self.admin = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.admin_port}"
        self.data_dir = directory / "data"
        self.log = directory / "log"
        self.command = [str(DRIFTLINE), "up", "--listen", f"127.0.0.1:{self.port}", "--admin", f"127.0.0.1:{self.admin_port}"]
        self.command += ["--data-dir", str(self.data_dir), *options]

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, start_new_session=True)

    async def ready(self, within_seconds: float = 40) -> None:
        deadline = time.monotonic() + within_seconds
        while await self._readiness() != 200:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            await asyncio.sleep(0.05)

    async def _readiness(self) -> int:
        with suppress(ClientError, OSError):
            async with ClientSession() as session, session.get(f"{self.admin}/readyz") as reply:
                return reply.status
        return 0

    async def counts(self) -> dict:
        async with ClientSession() as session, session.get(f"{self.admin}/api/v1/status") as reply:
            return (await reply.json())["counts"]

    async def metrics(self) -> str:
        async with ClientSession() as session, session.get(f"{self.admin}/metrics") as reply:
            return await reply.text()

    async def settled_counts(self) -> dict:
        """Return the counts once everything that was captured has been stored or dropped."""
        deadline = time.monotonic() + 30
        while (counts := await self.counts())["pending"]:
            assert time.monotonic() < deadline, counts
            await asyncio.sleep(0.1)
        return counts

    def workers(self) -> list[int]:
        return self._running("driftline.worker")

    def monitor(self) -> int:
        (pid,) = self._running("driftline.monitor")
        return pid

    def _running(self, module: str) -> list[int]:
        """Return the processes of the group that run this module."""
        return [pid for pid in group_members(self.process.pid) if module in command_line(pid)]

    async def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, 40)

    async def ended(self, within_seconds: float = 40) -> None:
        """Wait until no process of the group is left."""
        deadline = time.monotonic() + within_seconds
        while group_members(self.process.pid):
            assert time.monotonic() < deadline, self.log.read_text()
            await asyncio.sleep(0.05)

    def kill_everything(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    async def rows(self, columns: str, where: str = "role = 'served'") -> list[tuple[str, ...]]:
        """Return rows of `exchanges`, by `driftline sql`."""
        query = f"SELECT {columns} FROM exchanges WHERE {where}"
        command = [str(DRIFTLINE), "sql", "--data-dir", str(self.data_dir), "--format", "TabSeparated", query]
        finished = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=40)
        assert finished.returncode == 0, finished.stderr
        return [tuple(line.split("\t")) for line in finished.stdout.splitlines()]

    async def stored_ids(self) -> Counter[str]:
        return Counter(request_id for (request_id,) in await self.rows("request_id"))


class Clients:
    """Several clients that each send one request after the other until they are told to stop."""

    def __init__(self, service: Service, *, clients: int = 8, padding_bytes: int = 0, name: str = "request") -> None:
        self.answered: set[str] = set()
        self.failed: dict[str, str] = {}
        self._url = f"{service.url}/v2/models/m/infer"
        self._clients = clients
        self._body = b" " * padding_bytes + REQUEST
        self._stopped = asyncio.Event()
        self._name = name
        self._numbers = count()

    async def __aenter__(self) -> Self:
        self._session = ClientSession(connector=TCPConnector(limit=0), timeout=ClientTimeout(total=30))
        self._tasks = [asyncio.create_task(self._run()) for _ in range(self._clients)]
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._stopped.set()
        await asyncio.gather(*self._tasks)
        await self._session.close()

    async def _run(self) -> None:
        while not self._stopped.is_set():
            await self.send()
            await asyncio.sleep(0.005)

    async def send(self) -> None:
        request_id = f"{self._name}-{next(self._numbers)}"
        try:
            async with self._session.post(self._url, data=self._body, headers={"X-Request-Id": request_id, "Content-Type": "application/json"}) as reply:
                content = await reply.read()
                if reply.status == 200 and content == REPLY:
                    self.answered.add(request_id)
                else:
                    self.failed[request_id] = f"{reply.status} {content[:200]!r}"
        except (ClientError, OSError, TimeoutError) as error:
            self.failed[request_id] = repr(error)


def command_line(pid: int) -> list[str]:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return []


def group_members(group: int) -> list[int]:
    members = []
    for entry in Path("/proc").iterdir():
        with suppress(ProcessLookupError, ValueError):
            if os.getpgid(int(entry.name)) == group:
                members.append(int(entry.name))
    return members


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    model = Upstream()
    runner = web.ServerRunner(web.Server(model.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    model.url = f"http://{host}:{port}"
    yield model
    await runner.cleanup()


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., Awaitable[Service]]]:
    """Starts `driftline up` with further options; nothing of it is left after the test."""
    started: list[Service] = []

    async def start(*options: str) -> Service:
        service = Service(tmp_path, *options)
        started.append(service)
        service.start()
        await service.ready()
        return service

    yield start
    for service in started:
        service.kill_everything()


@pytest.fixture
def clients_of() -> type[Clients]:
    return Clients


@pytest.fixture
def free_address() -> Callable[[], str]:
    return lambda: f"127.0.0.1:{free_port()}"


@pytest.fixture
async def hook() -> AsyncIterator[tuple[Hook, str]]:
    hook = Hook()
    app = web.Application()
    app.router.add_post("/{path:.*}", hook.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    _, port = runner.addresses[0]
    yield hook, f"http://127.0.0.1:{port}/hook"
    await runner.cleanup()


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    programs = Programs(tmp_path)
    yield programs
    programs.kill()


@pytest.fixture
def driftline() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs one command to its end."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(DRIFTLINE), *arguments], check=False, capture_output=True, text=True, timeout=40)

    return run


def stored_exchange(number: int, **changes: object) -> Exchange:
    """Return the `number`th exchange of a model `m` that answers half of what it is asked, a tenth of a second after the one before."""
    request = b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP64","data":[%d]}]}' % number
    reply = b'{"model_name":"m","outputs":[{"name":"y","shape":[1],"datatype":"FP64","data":[%.1f]}]}' % (number / 2)
    exchange = Exchange(
        exchange_id=new_exchange_id(),
        request_id=f"r-{number}",
        role=Role.SERVED,
        route="default",
        arm="upstream",
        started_at_ns=TODAY_NS + number * 100_000_000,
        method="POST",
        path="/v2/models/m/infer",
        status=200,
        total_ns=5_000_000,
        request=Body(request, len(request), content_type="application/json"),
        response=Body(reply, len(reply), content_type="application/json"),
    )
    return replace(exchange, **changes)


@pytest.fixture
def data_directory(tmp_path: Path) -> Callable[[Iterable[Exchange]], Path]:
    """Returns a data directory whose store holds these exchanges of model `m`."""

    def fill(exchanges: Iterable[Exchange]) -> Path:
        store = EmbeddedStore(tmp_path / "data")
        rows = [StoredExchange("w", number, exchange, "m", "") for number, exchange in enumerate(exchanges, start=1)]
        with store.client() as client:
            for begin in range(0, len(rows), 100):
                Inserter(client).store(EXCHANGES, rows[begin : begin + 100], {})
        store.close()
        return tmp_path / "data"

    return fill


@pytest.fixture(name="stored_exchange")
def _stored_exchange() -> Callable[..., Exchange]:
    return stored_exchange
