"""The addresses of an upstream's names, looked up again every so often: each is an endpoint."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import math
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from config.addresses import Url
from proxy.endpoint import Address

if TYPE_CHECKING:
    from proxy.pool import Pool

_log: Final = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 1.0

_ADDRESSES_AT_MOST: Final = 256
"""Of one name."""


def is_name(url: Url) -> bool:
    """Whether the host has to be looked up."""
    if not url.port:
        return False
    try:
        ipaddress.ip_address(url.host)
    except ValueError:
        return True
    return False


async def _look_up(host: str, port: int) -> Sequence[Address]:
    """Ask the system's resolver, which also reads the file of hosts. Raises OSError where the name has no addresses."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(Address(str(entry[4][0]), port) for entry in found))


class Names:
    """Tells a pool which addresses its names have. What cannot be looked up now keeps the addresses that it had."""

    def __init__(self, urls: Sequence[Url], pool: Pool, period_seconds: float, timeout_seconds: float) -> None:
        self._urls = urls
        self._pool = pool
        self._period_seconds = period_seconds
        self._timeout_seconds = timeout_seconds
        self._due = -math.inf
        self._failing: set[Url] = set()
        self._task: asyncio.Task[None] | None = None

    def expire(self, now: float) -> None:
        """Look up again where the time has come; `now` is the loop's."""
        if self._urls and now >= self._due and self._task is None:
            self._due = now + self._period_seconds
            self._begin()

    def hurry(self) -> None:
        """Look up now: a request waits, and no address is known yet."""
        if self._urls and self._task is None:
            self._begin()

    def close(self) -> None:
        """Stop looking up."""
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._look_up_all())
        self._task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:  # noqa: ARG002 - there is only one
        self._task = None

    async def _look_up_all(self) -> None:
        await asyncio.gather(*(self._look_up(url) for url in self._urls))

    async def _look_up(self, url: Url) -> None:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                addresses = await _look_up(url.host, url.port)
        except TimeoutError:
            self._failed(url, f"cannot look up {url.host}: no answer within {self._timeout_seconds:g} s")
        except OSError as error:
            self._failed(url, f"cannot look up {url.host}: {error.strerror or error}")
        except UnicodeError:
            self._failed(url, f"cannot look up {url.host}: a label of it is empty or longer than 63 bytes")
        else:
            if len(addresses) > _ADDRESSES_AT_MOST:
                _log.warning("%s has %d addresses; the first %d are used", url.host, len(addresses), _ADDRESSES_AT_MOST)
            self._failing.discard(url)
            self._pool.found(url, addresses[:_ADDRESSES_AT_MOST])

    def _failed(self, url: Url, reason: str) -> None:
        if url not in self._failing:
            self._failing.add(url)
            _log.warning("%s", reason)
        self._due = min(self._due, self._pool.now + _RETRY_SECONDS)
        self._pool.not_found(reason)
