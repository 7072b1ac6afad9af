"""Several clients that replay rows through the proxy, and every fifth of them straight to the service as well."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import AsyncExitStack
from typing import Final, NamedTuple

import aiohttp
import numpy as np
import orjson

from driftline.demo.measurements import Rows
from driftline.demo.plan import Plan

CLIENTS: Final = 8
TWIN_EVERY: Final = 5
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30)
_HEADERS: Final = {"Content-Type": "application/json"}
_KEPT_FAILURES: Final = 5
_PROBE_SECONDS: Final = 1.0


class Latency(NamedTuple):
    """A request's time through the proxy minus the same request's time straight to the service, by quantile."""

    p50_ms: float
    p99_ms: float


class Traffic:
    """One run's requests: request n carries row n. It counts for itself, so that others' counts can be checked."""

    def __init__(self, plan: Plan, rows: Rows, *, proxy_url: str, service_url: str) -> None:
        """Prepare to send `rows` ([plan.requests, 30], in this order) to two inference URLs."""
        self.plan = plan
        self.sent = 0
        self.failed = 0
        self.failures: deque[str] = deque(maxlen=_KEPT_FAILURES)
        self.drift_began_at_seconds: float | None = None
        """Unix time of the first request that carried a drifted row."""
        self._rows = rows
        self._proxy_url = proxy_url
        self._service_url = service_url
        self._due_seconds = np.random.default_rng(plan.requests).exponential(1 / plan.rate_per_second, plan.requests).cumsum()
        self._through_seconds: list[float] = []
        self._direct_seconds: list[float] = []

    @property
    def latency_added(self) -> Latency | None:
        """The difference of the quantiles over the requests that were sent both ways; None before the first."""
        if not self._through_seconds:
            return None
        through, direct = (np.quantile(seconds, [0.5, 0.99]) for seconds in (self._through_seconds, self._direct_seconds))
        p50_ms, p99_ms = (through - direct) * 1_000
        return Latency(float(p50_ms), float(p99_ms))

    async def run(self) -> None:
        """Send everything, at random moments (a Poisson process) as far as the replies keep up."""
        started = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(self._client(number, started))

    async def _client(self, number: int, started: float) -> None:
        async with aiohttp.ClientSession(timeout=_TIMEOUT, headers=_HEADERS) as session:
            for index in range(number, self.plan.requests, CLIENTS):
                await asyncio.sleep(max(0.0, started + self._due_seconds[index] - time.monotonic()))
                await self._send(session, index)

    async def _send(self, session: aiohttp.ClientSession, index: int) -> None:
        body = encode(self._rows[index])
        if index >= self.plan.drift_at and self.drift_began_at_seconds is None:
            self.drift_began_at_seconds = time.time()
        self.sent += 1
        try:
            if index % TWIN_EVERY:
                await _timed_post(session, self._proxy_url, body, index)
            else:
                await self._send_both_ways(session, body, index)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self.failed += 1
            self.failures.append(f"request {index}: {type(error).__name__}: {error}")

    async def _send_both_ways(self, session: aiohttp.ClientSession, body: bytes, index: int) -> None:
        """Measure the pair in changing order, so that neither way always finds the service's caches warm."""
        urls = [self._proxy_url, self._service_url]
        direct_first = index // TWIN_EVERY % 2 == 1
        timed = [await _timed_post(session, url, body, index) for url in (urls[::-1] if direct_first else urls)]
        (through_seconds, through_reply), (direct_seconds, direct_reply) = timed[::-1] if direct_first else timed
        if through_reply != direct_reply:
            raise ValueError(f"the reply through the proxy is not the service's: {through_reply[:200]!r}")
        self._through_seconds.append(through_seconds)
        self._direct_seconds.append(direct_seconds)


async def measure_capacity(service_url: str, rows: Rows) -> float:
    """Return how many requests per second the service alone answers to all clients together; it warms up meanwhile."""
    answered = 0
    deadline = time.monotonic() + _PROBE_SECONDS

    async def ask(session: aiohttp.ClientSession) -> None:
        nonlocal answered
        while time.monotonic() < deadline:
            await _timed_post(session, service_url, encode(rows[answered % len(rows)]), answered)
            answered += 1

    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            session = await stack.enter_async_context(aiohttp.ClientSession(timeout=_TIMEOUT, headers=_HEADERS))
            group.create_task(ask(session))
    return answered / _PROBE_SECONDS


def encode(row: Rows) -> bytes:
    """Return one row of measurements, shape [n], as an Open Inference V2 request."""
    tensor = {"name": "measurements", "shape": [1, len(row)], "datatype": "FP64", "data": row.tolist()}
    return orjson.dumps({"inputs": [tensor]})


def request_id(index: int) -> str:
    """Return the X-Request-Id under which request `index` can be found again."""
    return f"demo-{index}"


async def _timed_post(session: aiohttp.ClientSession, url: str, body: bytes, index: int) -> tuple[float, bytes]:
    """Return the seconds that it took and the reply's body; raise ValueError unless the status is 200."""
    started = time.perf_counter()
    async with session.post(url, data=body, headers={"X-Request-Id": request_id(index)}) as response:
        reply = await response.read()
        seconds = time.perf_counter() - started
    if response.status != 200:
        raise ValueError(f"status {response.status} from {url}: {reply[:200]!r}")
    return seconds, reply
