"""Who is told of which alert, and when, as `alerts.receivers` says: the same choice that `prometheus.routes` makes for Alertmanager."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from alerts.opsgenie import OpsgenieNotifier
from alerts.outbox import at_once
from alerts.webhook import WebhookNotifier
from config.hours import DAYS, Hours
from config.settings import AlertSettings, ReceiverSettings
from records.alert import Alert, Severity
from records.ports import Notifier


def everything(_: Alert) -> bool:
    """Take every alert."""
    return True


class Recipient(NamedTuple):
    """Somebody who is told."""

    notifier: Notifier
    takes: Callable[[Alert], bool] = everything
    closed_seconds: Callable[[], float] = at_once
    """How long it is until they may be told; 0 now."""


def recipients(settings: AlertSettings, external_url: str) -> dict[str, Recipient]:
    """Return the receivers by name; one that takes tickets in working hours only is two, so that its pages do not wait."""
    found: dict[str, Recipient] = {}
    for receiver in settings.receivers:
        notifier = _notifier(receiver, settings, external_url)
        for severity in Severity:
            if receiver.severity in {None, severity}:
                held_back = settings.ticket_hours is not None and severity is Severity.TICKET
                closed = _until(settings.ticket_hours) if held_back and settings.ticket_hours else at_once
                found[f"{receiver.name} ({severity.value})"] = Recipient(notifier, _takes(receiver, severity, settings.receivers), closed)
    return found


def _notifier(receiver: ReceiverSettings, settings: AlertSettings, external_url: str) -> Notifier:
    if receiver.webhook is not None:
        return WebhookNotifier(receiver.webhook, external_url)
    if receiver.opsgenie:
        return OpsgenieNotifier(receiver.opsgenie)
    from alerts.service import service_of  # noqa: PLC0415 - apprise takes a quarter of a second to load, and most have no receivers

    return service_of(receiver, settings.mail)


def _takes(receiver: ReceiverSettings, severity: Severity, receivers: tuple[ReceiverSettings, ...]) -> Callable[[Alert], bool]:
    named = {other.team for other in receivers if other.severity in {None, severity}}

    def takes(alert: Alert) -> bool:
        team = alert.labels.get("team", "")
        return alert.severity is severity and receiver.team == (team if team in named else "")

    return takes


def _until(hours: Hours) -> Callable[[], float]:
    return lambda: seconds_until(hours, time.time())


def seconds_until(hours: Hours, now: float) -> float:
    """Return how long it is from a Unix time until these hours; 0 within them."""
    zone = ZoneInfo(hours.zone)
    today = datetime.fromtimestamp(now, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    open_days = range(DAYS.index(hours.first), DAYS.index(hours.last) + 1)
    for day in (today + timedelta(days=ahead) for ahead in range(8)):
        begin, end = (_at(day, text) for text in (hours.begin, hours.end))
        if day.weekday() in open_days and now < end:
            return max(0.0, begin - now)
    raise AssertionError("a week has every day")


def _at(day: datetime, text: str) -> float:
    hour, minute = map(int, text.split(":"))
    return (day + timedelta(days=1)).timestamp() if hour == 24 else day.replace(hour=hour, minute=minute).timestamp()
