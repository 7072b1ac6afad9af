"""What the watches say: a condition holds, with the numbers, or it does not."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from alerts.catalogue import AlertKind


class Holds(msgspec.Struct, frozen=True, kw_only=True):
    """The condition of an alert holds now."""

    kind: AlertKind
    labels: dict[str, str] = {}
    started_at_ns: int
    """Since when, as far as is known."""
    summary: str
    description: str
    features: tuple[str, ...] = ()
    path: str = "/api/v1/status"
    """Where the console shows more."""
    report_path: str = ""
    """Where it explains this, as a page; empty where it does not."""
    picture_path: str = ""
    """Where it draws this, likewise."""


class Clear(msgspec.Struct, frozen=True, kw_only=True):
    """The condition of an alert does not hold now."""

    kind: AlertKind
    labels: dict[str, str] = {}


Observation: TypeAlias = Holds | Clear
