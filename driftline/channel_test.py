"""What `driftline alerts test` does: whether an alert reaches who is to be told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Final

import msgspec

from alerts.alertmanager import AlertmanagerNotifier
from alerts.receivers import recipients
from alerts.webhook import WebhookNotifier
from config.settings import Settings
from records.alert import Alert, AlertState, Severity
from records.ports import NotDeliveredError, Notifier

_NAME: Final = "DriftlineTest"


async def try_channels(settings: Settings) -> Iterator[tuple[str, str]]:
    """Send an alert and its end to everyone who is told; return each one's name, and why it did not arrive or an empty text."""
    channels = dict(_channels(settings))
    outcomes = await asyncio.gather(*(_try(notifier, severity) for notifier, severity in channels.values()))
    return zip(channels, outcomes, strict=True)


def _channels(settings: Settings) -> Iterator[tuple[str, tuple[Notifier, Severity]]]:
    alerts, admin_url = settings.alerts, f"{settings.admin_scheme}://{settings.admin}"
    if alerts.webhook:
        yield f"webhook {alerts.webhook}", (WebhookNotifier(alerts.webhook, admin_url), Severity.TICKET)
    for url in alerts.alertmanagers:
        yield f"alertmanager {url}", (AlertmanagerNotifier([url]), Severity.TICKET)
    for name, recipient in recipients(alerts, admin_url).items():
        yield name, (recipient.notifier, Severity.PAGE if name.endswith(f"({Severity.PAGE.value})") else Severity.TICKET)


async def _try(notifier: Notifier, severity: Severity) -> str:
    now_ns = time.time_ns()
    alert = Alert(
        name=_NAME,
        severity=severity,
        state=AlertState.FIRING,
        labels={"test": str(now_ns)},  # an alert of its own each time: nobody takes it for one that they know
        summary="This is a test of Driftline's alerts",
        description="Somebody ran `driftline alerts test`. Nothing is wrong, and nothing is to be done.",
        started_at_ns=now_ns,
        fired_at_ns=now_ns,
    )
    ended = msgspec.structs.replace(alert, state=AlertState.RESOLVED, resolved_at_ns=time.time_ns())
    try:
        await notifier.send([alert])
        await notifier.send([ended])
    except NotDeliveredError as error:
        return str(error)
    return ""
