"""The requests of a replay on their way: in the order of the traffic, as many at a time as may be, each when it is due.

A request that is due while all places are taken is sent late, and the report says how late. Redirects are not followed and proxies of the environment not used:
nothing goes anywhere but to the address that was given.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import islice
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

from driftline.replaying.comparing import Decode, Reply, difference
from driftline.replaying.pacing import Pace
from driftline.replaying.report import Durations, Report
from driftline.replaying.requests import NotSent, Request, request_of
from driftline.stored_exchanges import StoredExchange
from payloads.refusal import MAX_CONTENT_BYTES
from records.exchange import KEPT_FIELDS, Body, Exchange

_READ_AHEAD: Final = 64


class Replay:
    """One replay. `report` can be read at any time."""

    def __init__(self, report: Report, pace: Pace, decode: Decode, *, concurrency: int, timeout_seconds: float) -> None:
        self.report = report
        self._pace = pace
        self._decode = decode
        self._places = asyncio.Semaphore(concurrency)
        self._concurrency = concurrency
        self._timeout = ClientTimeout(total=timeout_seconds)
        self._then, self._now = Durations(), Durations()
        self._began = 0.0
        self._first_ns: int | None = None

    async def run(self, exchanges: Iterator[StoredExchange]) -> None:
        """Send all; raises what the iterator raises, once what is on its way has ended."""
        connector = TCPConnector(limit=self._concurrency)
        session = ClientSession(connector=connector, timeout=self._timeout, auto_decompress=False, trust_env=False, cookie_jar=DummyCookieJar())
        async with session:
            failure = await self._send_all(session, exchanges)
        self.report.took_seconds = round(time.monotonic() - self._began, 3) if self.report.sent else 0.0
        self.report.durations_ms = {"then": self._then.quantiles_ms(), "now": self._now.quantiles_ms()}

        if failure is not None:
            raise failure

    async def _send_all(self, session: ClientSession, exchanges: Iterator[StoredExchange]) -> Exception | None:
        """Send all, and wait for the replies; return why the exchanges could not be read to their end."""
        async with asyncio.TaskGroup() as tasks:
            try:
                while block := await asyncio.to_thread(lambda: list(islice(exchanges, _READ_AHEAD))):
                    for stored in block:
                        await self._begin(session, tasks, stored.exchange)
            except Exception as error:  # noqa: BLE001 - what is on its way ends first
                return error
        return None

    async def _begin(self, session: ClientSession, tasks: asyncio.TaskGroup, exchange: Exchange) -> None:
        request = request_of(exchange, self.report.target)
        if isinstance(request, NotSent):
            self.report.skip(request)
            return
        if self._first_ns is None:
            self._first_ns, self._began = exchange.started_at_ns, time.monotonic()
        due = self._began + self._pace.due_seconds(self.report.sent, exchange.started_at_ns - self._first_ns)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await self._places.acquire()
        self.report.latest_seconds = max(self.report.latest_seconds, round(time.monotonic() - due, 3))
        self.report.sent += 1
        tasks.create_task(self._send(session, request, exchange))

    async def _send(self, session: ClientSession, request: Request, exchange: Exchange) -> None:
        try:
            reply = await _reply(session, request)
        except (ClientError, OSError, TimeoutError) as error:
            self.report.fail(type(error).__name__)
        else:
            self._now.add(reply.seconds)
            if exchange.total_ns >= 0:
                self._then.add(exchange.total_ns / 1e9)
            self.report.add(exchange, reply, difference(exchange, reply, self._decode))
        finally:
            self._places.release()


async def _reply(session: ClientSession, request: Request) -> Reply:
    began = time.monotonic()
    async with session.request(request.method, request.url, headers=request.headers, data=request.content, allow_redirects=False) as answer:
        content = bytearray()
        size = 0
        async for piece in answer.content.iter_any():
            size += len(piece)
            content += piece[: max(0, MAX_CONTENT_BYTES - len(content))]
        headers = answer.headers
        fields = {name: headers[name] for name in KEPT_FIELDS if name in headers}
        body = Body(bytes(content), size, size > len(content), headers.get("Content-Type", ""), headers.get("Content-Encoding", ""), fields)
        return Reply(answer.status, body, time.monotonic() - began)
