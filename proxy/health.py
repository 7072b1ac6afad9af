"""Active health checks: each endpoint is asked every so often whether it is well."""

from __future__ import annotations

import asyncio
import random
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from proxy.endpoint import Endpoint
    from proxy.pool import Pool

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")
_LINE_BYTES_AT_MOST: Final = 8192


class HealthRules(NamedTuple):
    """What is asked, how often, and what follows from it."""

    path: str
    interval_seconds: float
    timeout_seconds: float
    healthy_after: int
    unhealthy_after: int


class HealthChecks:
    """Asks the endpoints of a pool, and tells it what they said."""

    def __init__(self, rules: HealthRules, pool: Pool) -> None:
        self.rules = rules
        self._pool = pool
        self._tasks: set[asyncio.Task[None]] = set()

    def expire(self, now: float) -> None:
        """Begin the checks that are due at this loop time; they are spread a little, so that workers do not ask all at once."""
        for endpoint in self._pool.endpoints:
            if now >= endpoint.check_due:
                endpoint.check_due = now + self.rules.interval_seconds * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
                task = asyncio.get_running_loop().create_task(self._check(endpoint))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Stop asking."""
        for task in tuple(self._tasks):
            task.cancel()

    async def _check(self, endpoint: Endpoint) -> None:
        try:
            async with asyncio.timeout(self.rules.timeout_seconds):
                fault = await self._ask(endpoint)
        except TimeoutError:
            fault = f"no reply within {self.rules.timeout_seconds:g} s"
        except OSError as error:
            fault = error.strerror or str(error)
        self._pool.checked(endpoint, fault)

    async def _ask(self, endpoint: Endpoint) -> str:
        """Return what is wrong with the endpoint, nothing where its status is from 200 to 399, as for Kubernetes. Raises OSError."""
        reader, writer = await endpoint.open_stream(limit=_LINE_BYTES_AT_MOST)
        try:
            writer.write(_request(endpoint.url.authority, self.rules.path))
            line = await reader.readuntil(b"\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return "no HTTP reply"
        finally:
            writer.close()
        status = _STATUS_LINE.match(line)
        if status is None:
            return "no HTTP reply"
        return "" if 200 <= int(status[1]) < 400 else f"status {status[1].decode()}"


def _request(authority: str, path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: driftline\r\nAccept: */*\r\nConnection: close\r\n\r\n".encode()
