"""The queue before a notifier: keeps trying, bounded, never in anyone's way."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from records.alert import Alert, AlertState
from records.ports import NotDeliveredError, Notifier

_log = logging.getLogger(__name__)

WAITING_AT_MOST: Final = 1_000
BATCH_AT_MOST: Final = 100


class Backoff(NamedTuple):
    """How long to wait after failures in a row: twice as long each time, with jitter so that replicas do not return together."""

    first_seconds: float = 1.0
    most_seconds: float = 60.0

    def delay_seconds(self, failures: int, jitter: float) -> float:
        """Return the wait after this many failures; `jitter`, from 0 to 1, takes away up to half of it.

        >>> Backoff().delay_seconds(3, jitter=0.0), Backoff().delay_seconds(3, jitter=1.0), Backoff().delay_seconds(1000, jitter=0.0)
        (4.0, 2.0, 60.0)
        """
        return min(self.most_seconds, self.first_seconds * 2.0 ** min(failures - 1, 64)) * (1 - jitter / 2)


_BACKOFF: Final = Backoff()
_LOOK_AGAIN_SECONDS: Final = 60.0  # a clock may be set


def at_once() -> float:
    """Send at any time."""
    return 0.0


class Outbox:
    """Delivers changes of alerts to one notifier, in order, each at least once while the process lives.

    When more wait than may, the oldest resolved ones are given up first, then the oldest; what was given up is counted.
    """

    def __init__(
        self, name: str, notifier: Notifier, *, waiting: Iterable[Alert] = (), backoff: Backoff = _BACKOFF, closed_seconds: Callable[[], float] = at_once
    ) -> None:
        """`closed_seconds` says how long nothing may be sent; 0 when it may."""
        self.delivered = 0
        self.given_up = 0
        self._name = name
        self._notifier = notifier
        self._backoff = backoff
        self._closed_seconds = closed_seconds
        self._waiting: list[Alert] = []
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        for alert in waiting:
            self.put(alert)

    @property
    def waiting(self) -> tuple[Alert, ...]:
        """What has yet to be delivered; it must survive a restart."""
        return tuple(self._waiting)

    def put(self, alert: Alert) -> None:
        """Take a change that is to be delivered; returns at once."""
        self._waiting.append(alert)
        if len(self._waiting) > WAITING_AT_MOST:
            self._give_up_one()
        self._filled.set()
        self._emptied.clear()

    async def run(self) -> None:
        """Deliver until cancelled."""
        failures = 0
        while True:
            await self._filled.wait()
            if closed_seconds := self._closed_seconds():
                await asyncio.sleep(min(closed_seconds, _LOOK_AGAIN_SECONDS))
                continue
            failures = 0 if await self._try(failures + 1) else failures + 1

    async def drained(self) -> None:
        """Return when nothing waits any more."""
        await self._emptied.wait()

    async def _try(self, attempt: int) -> bool:
        """Send what comes first, and return whether that succeeded; after a failure, wait."""
        batch = next_batch(self._waiting)
        try:
            await self._notifier.send(batch)
        except Exception as error:  # noqa: BLE001 - whatever ails a notifier, the alert must still reach people
            delay_seconds = self._backoff.delay_seconds(attempt, random.random())  # noqa: S311 - spreads load, guards nothing
            _log.warning(
                "Alerts could not be sent by %s: %s; attempt %d, %d waiting, the next in %.1f s.",
                self._name,
                error,
                attempt,
                len(self._waiting),
                delay_seconds,
                exc_info=not isinstance(error, NotDeliveredError),
            )
            await asyncio.sleep(delay_seconds)
            return False
        self._remove(batch)
        self.delivered += len(batch)
        return True

    def _remove(self, batch: Sequence[Alert]) -> None:
        sent = set(map(id, batch))
        self._waiting = [alert for alert in self._waiting if id(alert) not in sent]
        if not self._waiting:
            self._filled.clear()
            self._emptied.set()

    def _give_up_one(self) -> None:
        resolved = (index for index, alert in enumerate(self._waiting) if alert.state is AlertState.RESOLVED)
        alert = self._waiting.pop(next(resolved, 0))
        self.given_up += 1
        _log.error("An alert was given up, since more than %d wait for %s: %s %s.", WAITING_AT_MOST, self._name, alert.name, alert.state)


def next_batch(waiting: Sequence[Alert]) -> list[Alert]:
    """Return what can go in one message: from the front, changes of alerts of one name, at most one change of each alert."""
    batch: list[Alert] = []
    for alert in waiting[:BATCH_AT_MOST]:
        if batch and (alert.name != batch[0].name or any(alert.labels == other.labels for other in batch)):
            break
        batch.append(alert)
    return batch
