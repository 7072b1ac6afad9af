"""A few threads that ask the store, so that a store that hangs leaves health and metrics alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from aiohttp import web

from console.replies import ApiError

_THREADS: Final = 2
_QUESTIONS_AT_MOST: Final = 16
"""Running and waiting: more are refused at once."""

P = ParamSpec("P")
T = TypeVar("T")


class StoreThreads:
    """Runs blocking questions off the event loop, a bounded number of them. One per application."""

    def __init__(self, app: web.Application) -> None:
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="console-store")
        self._places = threading.BoundedSemaphore(_QUESTIONS_AT_MOST)
        app.on_cleanup.append(self._close)

    async def ask(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `function` returns, called on a thread; 503 when too many questions wait already."""
        if not self._places.acquire(blocking=False):
            raise ApiError(503, f"{_QUESTIONS_AT_MOST} questions wait for the store already; try again later.")
        answer = self._executor.submit(function, *args, **kwargs)
        # Given back when the thread is done, not when the client has gone: a question that hangs keeps its place.
        answer.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(answer)

    async def _close(self, _: web.Application) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
