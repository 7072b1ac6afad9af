"""Verdicts and status reports in, notifications out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import msgspec

from alerts.book import AlertBook, BookState, Links
from alerts.catalogue import AlertKind
from alerts.drift import DriftWatch, is_drift_of
from alerts.observation import Observation
from alerts.operation import DropState, observe_drops, observe_store
from alerts.outbox import Outbox
from alerts.receivers import Recipient
from alerts.shadow import observe_shadow
from records.alert import Alert, AlertState
from records.metrics import Metric
from records.status import StatusReport
from records.verdict import Verdict, VerdictKind


class DeskState(msgspec.Struct, frozen=True, kw_only=True):
    """What must survive a restart, in one value, so that a change is neither forgotten nor told again once it was delivered."""

    book: BookState = BookState()
    onsets: dict[str, dict[str, int]] = {}
    risk_onsets: dict[str, dict[str, int]] = {}
    drops: DropState = DropState()
    undelivered: dict[str, tuple[Alert, ...]] = {}
    """By the notifier's name."""


def _no_team(_: str) -> str:
    return ""


class AlertDesk:
    """Keeps the book and an outbox for each notifier, by its name."""

    def __init__(self, links: Links, recipients: Mapping[str, Recipient], state: DeskState, team_of: Callable[[str], str] = _no_team) -> None:
        """`team_of` gives the team that answers for a model; empty for none."""
        self._book = AlertBook(links, state.book)
        self._watches = {
            VerdictKind.DATA_DRIFT: DriftWatch(state.onsets),
            VerdictKind.RISK: DriftWatch(state.risk_onsets, AlertKind.MODEL_PERFORMANCE_DROP),
        }
        self._drops = state.drops
        self._recipients = dict(recipients)
        self._outboxes = {
            name: Outbox(name, recipient.notifier, waiting=state.undelivered.get(name, ()), closed_seconds=recipient.closed_seconds)
            for name, recipient in recipients.items()
        }
        self._team_of = team_of
        self._fired: Counter[AlertKind] = Counter()

    @property
    def state(self) -> DeskState:
        """The desk as it is."""
        undelivered = {name: outbox.waiting for name, outbox in self._outboxes.items()}
        drift, risk = (self._watches[kind].onsets for kind in (VerdictKind.DATA_DRIFT, VerdictKind.RISK))
        return DeskState(book=self._book.state, onsets=drift, risk_onsets=risk, drops=self._drops, undelivered=undelivered)

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Pending and firing alerts, then those resolved lately, the latest first."""
        book = self._book.state
        return (*book.active, *reversed(book.recent))

    def on_verdict(self, verdict: Verdict, now_ns: int) -> tuple[Alert, ...]:
        """Take one window's result; return the changes of which people will be told."""
        observation = observe_shadow(verdict) if verdict.kind is VerdictKind.SHADOW else self._watches[verdict.kind].observe(verdict)
        return self._tell([observation], now_ns)

    def on_baseline(self, model: str, now_ns: int) -> tuple[Alert, ...]:
        """A model is compared with another baseline from now on; return the changes of which people will be told."""
        return self._tell([self._watches[VerdictKind.DATA_DRIFT].forget(model)], now_ns)

    def drift_alerted_ns(self, model: str) -> int | None:
        """Return when the alert fired that tells of a model's drift; None where none fires."""
        return next((alert.fired_at_ns for alert in self._book.state.active if is_drift_of(alert, model) and alert.fired_at_ns), None)

    def on_status(self, report: StatusReport) -> tuple[Alert, ...]:
        """Take a report, every few seconds; return the changes of which people will be told."""
        self._drops, drops = observe_drops(self._drops, report.counts, report.reported_at_ns)
        return self._tell([drops, observe_store(report.store)], report.reported_at_ns)

    def counters(self) -> dict[tuple[str, ...], int]:
        """Return what is counted here, as the metrics page takes it."""
        return {
            **{(Metric.ALERTS.metric_name, kind.value.name, kind.value.severity): self._fired[kind] for kind in AlertKind},
            **{(Metric.NOTIFICATIONS.metric_name, name): outbox.delivered for name, outbox in self._outboxes.items()},
            **{(Metric.NOTIFICATION_FAILURES.metric_name, name): outbox.given_up for name, outbox in self._outboxes.items()},
        }

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as group:
            for outbox in self._outboxes.values():
                group.create_task(outbox.run())

    async def drained(self) -> None:
        """Return when everything was delivered: before the process stops, within a time limit."""
        await asyncio.gather(*(outbox.drained() for outbox in self._outboxes.values()))

    def _tell(self, observations: Iterable[Observation], now_ns: int) -> tuple[Alert, ...]:
        changes = []
        for observation in observations:
            if change := self._book.observe(self._with_team(observation), now_ns):
                changes.append(change)
                self._fired[observation.kind] += change.state is AlertState.FIRING
        for name, outbox in self._outboxes.items():
            for change in filter(self._recipients[name].takes, changes):
                outbox.put(change)
        return tuple(changes)

    def _with_team(self, observation: Observation) -> Observation:
        team = self._team_of(observation.labels.get("model", ""))
        return msgspec.structs.replace(observation, labels=observation.labels | {"team": team}) if team else observation
