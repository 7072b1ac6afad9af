"""Notifies the log: one line of JSON per change."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import msgspec

from records.alert import Alert, AlertState, links_of
from records.times import format_time

logger: Final = logging.getLogger("driftline.alerts")
"""Its messages are whole lines of JSON: a handler that only writes the message keeps them so."""


class LogNotifier:
    """Implements `records.ports.Notifier`."""

    async def send(self, alerts: Sequence[Alert]) -> None:
        """Write a line for each change: firing as a warning, resolved as information."""
        for alert in alerts:
            logger.log(logging.WARNING if alert.state is AlertState.FIRING else logging.INFO, "%s", _line(alert))


def _line(alert: Alert) -> str:
    fields = {
        "alert": alert.name,
        "state": alert.state,
        "severity": alert.severity,
        **alert.labels,
        "summary": alert.summary,
        "description": alert.description,
        "features": alert.features,
        "started_at": format_time(alert.started_at_ns),
        "fired_at": format_time(alert.fired_at_ns),
        "resolved_at": format_time(alert.resolved_at_ns) if alert.resolved_at_ns else None,
        "runbook_url": alert.runbook_url,
        "console_url": alert.console_url,
        **links_of(alert),
    }
    return msgspec.json.encode(fields).decode()
