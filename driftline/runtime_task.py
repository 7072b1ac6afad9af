"""What the supervisor hands to a runtime; apart from the runtime, so that the supervisor need not load what the runtime does."""

from __future__ import annotations

from typing import Final, NamedTuple

from config.settings import RuntimeSettings
from driftline.children import write_task
from driftline.keeping import ChildPlan

_LOADING_SECONDS: Final = 3600.0
"""Models may be large and many."""


class RuntimeTask(NamedTuple):
    """What a runtime is to do."""

    settings: RuntimeSettings
    listening_fd: int


def runtime_plan(settings: RuntimeSettings, listening_fd: int, stage: int) -> ChildPlan:
    """Return the plan of the one process that serves the models."""
    return ChildPlan(
        name="runtime",
        module="driftline.runtime",
        task=write_task(RuntimeTask(settings, listening_fd)),
        stage=stage,
        stop_seconds=settings.grace + 5,
        pass_fds=(listening_fd,),
        ready_seconds=_LOADING_SECONDS,
    )
