"""An alert as a short text, for chat, mail and pagers."""

from __future__ import annotations

from records.alert import Alert, AlertState
from records.times import format_time


def title(alert: Alert) -> str:
    """Return one line: what is wrong, or no longer."""
    return f"[{alert.severity.value}] {alert.summary}" if alert.state is AlertState.FIRING else f"[resolved] {alert.summary}"


def body(alert: Alert) -> str:
    """Return what happened, with the numbers, since when, and where to read on."""
    links = {"Explained": alert.report_url, "Runbook": alert.runbook_url, "Console": alert.console_url}
    ended = [f"Resolved {format_time(alert.resolved_at_ns)}."] if alert.resolved_at_ns else []
    return "\n".join([alert.description, f"Since {format_time(alert.started_at_ns)}.", *ended, *(f"{name}: {url}" for name, url in links.items() if url)])
