"""What each process of the service takes: CPU, memory, descriptors, by the names that Prometheus's clients have for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from prometheus_client import ProcessCollector

_PACKAGE = "driftline."


def process_figures() -> dict[tuple[str, ...], float]:
    """Return the numbers of this process and of its siblings, by metric name, then component and process id. Blocking.

    Empty where the kernel has no `/proc/<pid>/task/<tid>/children`; what ended meanwhile is left out.
    """
    figures: dict[tuple[str, ...], float] = {}
    for pid in _children(os.getppid()):
        if component := _component(pid):
            figures |= {(name, component, pid): value for name, value in _taken_by(pid)}
    return figures


def _children(pid: int) -> list[str]:
    with suppress(OSError):
        return [child for thread in Path(f"/proc/{pid}/task").iterdir() for child in (thread / "children").read_text().split()]
    return []


def _component(pid: str) -> str:
    """Return which of Driftline's processes it is, and nothing for others: `worker` of `python -m driftline.worker`."""
    with suppress(OSError):
        for word in Path(f"/proc/{pid}/cmdline").read_text().split("\0"):
            if word.startswith(_PACKAGE):
                return word.removeprefix(_PACKAGE)
    return ""


def _taken_by(pid: str) -> Iterator[tuple[str, float]]:
    for family in ProcessCollector(pid=lambda: pid, registry=None).collect():
        yield from ((sample.name, sample.value) for sample in family.samples)
