"""Where alerts arrive: a receiver of Alertmanager's webhook JSON that remembers what began to fire, and when it heard."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, NamedTuple, Self

from aiohttp import web


class Received(NamedTuple):
    """A firing alert as it came in for the first time."""

    at_seconds: float
    """Unix time of its arrival."""
    name: str
    model: str
    features: tuple[str, ...]
    summary: str


class Webhook:
    """An HTTP receiver on a free port of loopback, open as long as the `async with` block runs."""

    def __init__(self) -> None:
        self._firing: dict[tuple[str, str], Received] = {}
        application = web.Application()
        application.router.add_post("/alerts", self._take)
        self._runner = web.AppRunner(application, access_log=None)

    @property
    def url(self) -> str:
        """Where to send alerts."""
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/alerts"

    @property
    def firing(self) -> list[Received]:
        """What began to fire, in order of arrival; a repeated delivery counts once."""
        return list(self._firing.values())

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        now_seconds = time.time()
        message = await request.json()
        for alert in message["alerts"]:
            if alert["status"] == "firing":
                self._firing.setdefault((alert["fingerprint"], alert["startsAt"]), _received(alert, now_seconds))
        return web.Response()


def _received(alert: dict[str, Any], now_seconds: float) -> Received:
    labels, annotations = alert["labels"], alert["annotations"]
    features = tuple(name for name in annotations.get("features", "").split(", ") if name)
    return Received(now_seconds, labels["alertname"], labels.get("model", ""), features, annotations["summary"])
