"""What the supervisor hands to a runtime; apart from the runtime, so that the supervisor need not load what the runtime does."""

from __future__ import annotations

from typing import Final, NamedTuple

from config.settings import RuntimeSettings
from driftline.children import write_task
from driftline.handover import Handover
from driftline.keeping import ChildPlan

_LOADING_SECONDS: Final = 3600.0
"""Models may be large and many."""


class RuntimeSockets(NamedTuple):
    """What a runtime listens on; they outlive it."""

    clients_fd: int
    operators_fd: int | None
    """None where both are answered at one address."""

    @property
    def fds(self) -> tuple[int, ...]:
        """Those that there are."""
        return (self.clients_fd,) if self.operators_fd is None else (self.clients_fd, self.operators_fd)


class RuntimeTask(NamedTuple):
    """What a runtime is to do."""

    settings: RuntimeSettings
    sockets: RuntimeSockets


def inherited(handover: Handover | None, stage: int) -> tuple[int, ...]:
    """Return the sockets of the runtime that a former self has started, in the order of `RuntimeSockets`; none where there was none."""
    return next((child.plan.pass_fds for child in (handover.children if handover else ()) if child.plan.stage == stage), ())


def runtime_plan(settings: RuntimeSettings, sockets: RuntimeSockets, stage: int) -> ChildPlan:
    """Return the plan of the one process that serves the models."""
    return ChildPlan(
        name="runtime",
        module="driftline.runtime",
        task=write_task(RuntimeTask(settings, sockets)),
        stage=stage,
        stop_seconds=settings.grace + 5,
        pass_fds=sockets.fds,
        ready_seconds=_LOADING_SECONDS,
    )
