import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from config.choices import Device
from config.settings import RuntimeSettings
from config.units import Seconds
from driftline.runtime import render_metrics
from runtime.server import Server
from tests.runtime.graphs import linear


@pytest.fixture
def add_linear(tmp_path: Path) -> Callable[..., Path]:
    """Adds a version of a linear model to the repository `tmp_path / "models"`; returns the version's directory."""

    def add(model: str = "m", number: int = 1, scale: float = 1.0, settings: str = "") -> Path:
        directory = tmp_path / "models" / model / str(number)
        making = directory.with_name(f".{number}")
        linear(making / "model.onnx", scale)
        if settings:
            (making / "model.yaml").write_text(settings, encoding="utf-8")
        making.rename(directory)
        return directory

    return add


class Running:
    """A server in this process, and a client of it."""

    def __init__(self, url: str, models: Path, session: ClientSession, server: Server, stop: asyncio.Event) -> None:
        self.url, self.models, self.session, self.server, self.stop = url, models, session, server, stop

    async def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        """Return the status and the JSON of the reply."""
        data = body if isinstance(body, bytes) else json.dumps(body)
        async with self.session.post(self.url + path, data=data, headers=headers) as reply:
            return reply.status, json.loads(await reply.read())

    async def get(self, path: str) -> tuple[int, Any]:
        """Return the status and the JSON of the reply."""
        async with self.session.get(self.url + path) as reply:
            return reply.status, json.loads(await reply.read())

    async def infer(self, rows: Any, model: str = "m", version: str = "", **members: Any) -> tuple[int, Any]:
        """Ask the linear model for `y`; return the status, and its values or the error."""
        tensor = {"name": "x", "shape": [len(rows), 3], "datatype": "FP32", "data": rows}
        status, reply = await self.post(f"/v2/models/{model}{f'/versions/{version}' if version else ''}/infer", {"inputs": [tensor], **members})
        return status, reply["outputs"][0]["data"] if status == 200 else reply["error"]

    async def until(self, path: str, wanted: Callable[[int, Any], bool]) -> None:
        """Ask until the answer is as wanted."""
        async with asyncio.timeout(30):
            while not wanted(*await self.get(path)):
                await asyncio.sleep(0.02)


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Running]]]:
    """Serves `tmp_path / "models"` until the test ends."""
    stack = AsyncExitStack()

    async def start(**settings: Any) -> Running:
        models = tmp_path / "models"
        models.mkdir(exist_ok=True)
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setblocking(False)
        port = listening.getsockname()[1]
        settings = {"poll_interval": Seconds(0.05), "device": Device.CPU, "grace": Seconds(5), **settings}
        server = Server(RuntimeSettings(models=str(models), **settings), render_metrics)
        stop, ready = asyncio.Event(), asyncio.Event()
        serving = asyncio.create_task(server.serve(listening, stop, ready.set))
        session = await stack.enter_async_context(ClientSession())

        async def end() -> None:
            stop.set()
            await session.close()
            await serving

        stack.push_async_callback(end)
        await asyncio.wait([asyncio.create_task(ready.wait()), serving], return_when=asyncio.FIRST_COMPLETED)
        return Running(f"http://127.0.0.1:{port}", models, session, server, stop)

    yield start
    await stack.aclose()
