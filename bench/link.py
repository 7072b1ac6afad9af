"""A TCP link that can be cut, and that can go silent: what stands between a machine at the edge and its store."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self

_CHUNK_BYTES = 64 * 1024


class Link:
    """Listens on a port of the loopback address, and carries each connection on to another one."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._carried: set[asyncio.Task[None]] = set()
        self.port = 0
        self.carried_bytes = 0
        """Towards the other end."""

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()

    async def cut(self) -> None:
        """Reset what is connected, and refuse what comes."""
        self._server.close()
        for task in self._carried:
            task.cancel()
        await asyncio.gather(*self._carried, return_exceptions=True)

    def silence(self) -> None:
        """Take connections and carry nothing, as a modem without reception."""
        self._flowing.clear()

    async def restore(self) -> None:
        """Carry again."""
        self._flowing.set()
        if not self._server.is_serving():
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carried.add(task)
        far: asyncio.StreamWriter | None = None
        try:
            answers, far = await asyncio.open_connection("127.0.0.1", self._to_port)
            await asyncio.gather(self._pump(reader, far, counted=True), self._pump(answers, writer, counted=False))
        except (OSError, asyncio.CancelledError):
            pass  # cut, or one of the ends has gone
        finally:
            self._carried.discard(task)
            for end in filter(None, (writer, far)):
                end.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, counted: bool) -> None:
        while data := await source.read(_CHUNK_BYTES):
            await self._flowing.wait()
            sink.write(data)
            await sink.drain()
            if counted:
                self.carried_bytes += len(data)
        with contextlib.suppress(OSError):
            sink.write_eof()
