"""What people are told."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """How soon a person must look: now, or in working hours."""

    PAGE = "page"  # somebody is to look now
    TICKET = "ticket"  # somebody is to look in working hours


class AlertState(StrEnum):
    """The life of an alert, in this order."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert in one state. Identity is `name` and `labels`; a change of state is a new value."""

    name: str
    """Subject and symptom, for example `ModelDataDrift`; a heading of the runbook."""
    severity: Severity
    state: AlertState
    labels: dict[str, str]
    """What it is about: `model`, `version`, `route`."""
    summary: str
    description: str
    """With the numbers: what, since when, how much, over how many rows."""
    features: tuple[str, ...] = ()
    started_at_ns: int
    """When the condition began to hold: the opening of the first window that shows it."""
    fired_at_ns: int = 0
    resolved_at_ns: int = 0
    runbook_url: str = ""
    console_url: str = ""
    report_url: str = ""
    """A page that explains it, with pictures; empty where there is none."""
    picture_url: str = ""
    """The feature that carries most of the evidence, as SVG, likewise."""


def links_of(alert: Alert) -> dict[str, str]:
    """Return where it is explained and drawn, by the names of the fields; only what there is."""
    return {name: url for name, url in (("report_url", alert.report_url), ("picture_url", alert.picture_url)) if url}
