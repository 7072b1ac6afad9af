"""The state machine: pending, firing, resolved; each change once.

    condition   no alert    pending                              firing
    holds       pending     firing, when it has held long enough  firing (nobody is told again)
    clear       –           –  (nobody was told)                  resolved

What an alert says is what was true when it began to fire; what is true now, the console shows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, TypeAlias

import msgspec

from alerts.catalogue import AlertKind
from alerts.observation import Clear, Holds, Observation
from records.alert import Alert, AlertState

ACTIVE_AT_MOST: Final = 1_000
RECENT_AT_MOST: Final = 100

_Key: TypeAlias = tuple[str, ...]


class Links(msgspec.Struct, frozen=True, kw_only=True):
    """Where people read on."""

    runbook: str
    """The page with a heading per alert."""
    console: str
    """The admin address as people reach it, for example `http://127.0.0.1:8081`."""


class BookState(msgspec.Struct, frozen=True, kw_only=True):
    """What must survive a restart, so that nobody is told twice, and of the end of what they were told."""

    active: tuple[Alert, ...] = ()
    recent: tuple[Alert, ...] = ()


class AlertBook:
    """The alerts that are pending or fire, and those that were resolved lately. The time is passed in and never goes back."""

    def __init__(self, links: Links, state: BookState) -> None:
        self._links = links
        self._active: dict[_Key, Alert] = {}
        self._recent = deque(state.recent, maxlen=RECENT_AT_MOST)
        self._restore(state.active)
        self.refused = 0
        """Conditions that held while the book was full."""

    @property
    def state(self) -> BookState:
        """The book as it is, oldest first."""
        return BookState(active=tuple(self._active.values()), recent=tuple(self._recent))

    def observe(self, observation: Observation, now_ns: int) -> Alert | None:
        """Take an observation; return the change of which people must be told, if it makes one."""
        key = _key(observation.kind, observation.labels)
        if isinstance(observation, Clear):
            return self._clear(key, now_ns)
        return self._hold(key, observation, now_ns)

    def _clear(self, key: _Key, now_ns: int) -> Alert | None:
        known = self._active.pop(key, None)
        if known is None or known.state is AlertState.PENDING:
            return None
        resolved = msgspec.structs.replace(known, state=AlertState.RESOLVED, resolved_at_ns=now_ns)
        self._recent.append(resolved)
        return resolved

    def _hold(self, key: _Key, observation: Holds, now_ns: int) -> Alert | None:
        known = self._active.get(key)
        if known is not None and known.state is AlertState.FIRING:
            return None
        if known is None and len(self._active) >= ACTIVE_AT_MOST:
            self.refused += 1
            return None
        alert = self._pending(observation, known.started_at_ns if known else observation.started_at_ns)
        held_seconds = (now_ns - alert.started_at_ns) / 1e9
        fires = held_seconds >= observation.kind.value.pending_seconds
        self._active[key] = msgspec.structs.replace(alert, state=AlertState.FIRING, fired_at_ns=now_ns) if fires else alert
        return self._active[key] if fires else None

    def _pending(self, observation: Holds, started_at_ns: int) -> Alert:
        spec = observation.kind.value
        return Alert(
            name=spec.name,
            severity=spec.severity,
            state=AlertState.PENDING,
            labels=observation.labels,
            summary=observation.summary,
            description=observation.description,
            features=observation.features,
            started_at_ns=started_at_ns,
            runbook_url=f"{self._links.runbook}#{spec.name.lower()}",
            console_url=self._links.console + observation.path,
            report_url=observation.report_path and self._links.console + observation.report_path,
            picture_url=observation.picture_path and self._links.console + observation.picture_path,
        )

    def _restore(self, active: Iterable[Alert]) -> None:
        for alert in active:
            # A name that this version no longer knows would never be observed again, and so never end.
            if kind := AlertKind.named(alert.name):
                self._active[_key(kind, alert.labels)] = alert


def _key(kind: AlertKind, labels: dict[str, str]) -> _Key:
    return (kind.value.name, *(labels.get(name, "") for name in kind.value.identity))
