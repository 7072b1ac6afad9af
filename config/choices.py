"""Settings that are one of a few words."""

from __future__ import annotations

from enum import StrEnum


class WhenFull(StrEnum):
    """Which records are lost when the spool is full."""

    DROP_NEWEST = "drop_newest"
    DROP_OLDEST = "drop_oldest"
