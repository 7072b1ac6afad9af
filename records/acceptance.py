"""Accepting traffic as the new baseline of a model."""

from __future__ import annotations

from datetime import datetime

import msgspec


class AcceptRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which traffic is to be trusted from now on."""

    model: str
    since: datetime | None = None
    """None is since the model's drift alert fired. A time without a zone is in UTC."""
    until: datetime | None = None
    """None is until now."""


class AcceptReport(msgspec.Struct, frozen=True, kw_only=True):
    """The baseline that was made of it, and holds."""

    model: str
    baseline_id: str
    replaced: str
    """The id of the one that held before."""
    rows: int
    features: int
    source: str
    """Which traffic, in words."""
