"""Hands alerts to Alertmanagers, by version 2 of their API. They group, route, silence and repeat.

https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from alerts.webhook import entry, post
from config.addresses import Endpoint
from records.alert import Alert, AlertState
from records.ports import NotDeliveredError
from records.times import format_time

_REPEAT_SECONDS: Final = 60.0
_ENDS_AFTER_SECONDS: Final = 4 * _REPEAT_SECONDS
"""As Prometheus does: an alert ends by itself when whoever raised it is gone for so long."""


class AlertmanagerNotifier:
    """Implements `records.ports.Notifier`. Alertmanager forgets alerts that are not repeated: `repeat` hands it those that fire again and again."""

    def __init__(self, urls: Sequence[Endpoint]) -> None:
        """`urls` are the members of one cluster: each must be told, and one that takes it is enough."""
        self._urls = urls

    async def send(self, alerts: Sequence[Alert]) -> None:
        """Hand over changes of alerts, or alerts that go on."""
        message = msgspec.json.encode([_posted(alert) for alert in alerts])
        outcomes = await asyncio.gather(*(post(url, "/api/v2/alerts", message, "Alertmanager") for url in self._urls), return_exceptions=True)
        failures = [outcome for outcome in outcomes if outcome is not None]
        if len(failures) == len(self._urls):
            raise NotDeliveredError("; ".join(map(str, failures)))

    async def repeat(self, alerts: Callable[[], Iterable[Alert]], every_seconds: float = _REPEAT_SECONDS) -> None:
        """Hand over those that fire, until cancelled. What cannot be handed over waits for the next time: it is the outbox that tells changes, and what fails."""
        while True:
            await asyncio.sleep(every_seconds)
            if firing := [alert for alert in alerts() if alert.state is AlertState.FIRING]:
                with contextlib.suppress(NotDeliveredError):
                    await self.send(firing)


def _posted(alert: Alert) -> dict[str, object]:
    told = entry(alert)
    ends_at = told["endsAt"] if alert.state is AlertState.RESOLVED else format_time(time.time_ns() + int(_ENDS_AFTER_SECONDS * 1e9))
    return {name: told[name] for name in ("labels", "annotations", "startsAt", "generatorURL")} | {"endsAt": ends_at}
