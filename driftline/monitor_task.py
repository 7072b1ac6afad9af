"""What the supervisor hands to a monitor; apart from the monitor, so that the supervisor need not load what the monitor does."""

from __future__ import annotations

from typing import Final, NamedTuple

from config.settings import Settings

DRAIN_SECONDS: Final = 30.0
"""How long a stopping monitor may take to bring the spool into the store."""


class MonitorTask(NamedTuple):
    """What a monitor is to do."""

    settings: Settings
