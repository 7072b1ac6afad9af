"""What the supervisor hands to a worker; apart from the worker, so that the supervisor need not load what the worker does."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from config.settings import Settings


class WorkerTask(NamedTuple):
    """What a worker is to do."""

    settings: Settings
    spool: Path
    number: int
    listening_fd: int
    occupancy_fd: int
    """Of `proxy.occupancy.create_occupancy`."""
