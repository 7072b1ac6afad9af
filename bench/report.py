"""What benchmarks print: a Markdown table, the machine that it was made on, and the same as JSON."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

_LOAD_AVERAGE_AT_START = os.getloadavg()[0]


def machine() -> dict[str, str | float]:
    """Describe what the figures depend on."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average_at_start": round(_LOAD_AVERAGE_AT_START, 1),
    }


def machine_sentence(described: Mapping[str, str | float] | None = None) -> str:
    """Say in one line what `machine` returned, there and then or for an earlier run."""
    return "{cpu}, {cores} cores, {memory_gib} GiB, Linux {kernel}, Python {python}, load average {load_average_at_start} at the start".format(
        **(described or machine())
    )


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose columns line up; all but the first are right-aligned."""
    cells = [list(heads), *(list(row) for row in rows)]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(heads))]
    lines = ["| " + " | ".join(_pad(text, width, column) for column, (text, width) in enumerate(zip(row, widths, strict=True))) + " |" for row in cells]
    rule = "| " + " | ".join("-" * width if column == 0 else "-" * (width - 1) + ":" for column, width in enumerate(widths)) + " |"
    return "\n".join([lines[0], rule, *lines[1:]])


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write the figures with the machine and the command that made them."""
    command = " ".join(["python -m", sys.modules["__main__"].__spec__.name, *sys.argv[1:]])  # type: ignore[union-attr]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"command": command, "machine": machine(), **content}, indent=2) + "\n")


def _pad(text: str, width: int, column: int) -> str:
    return text.ljust(width) if column == 0 else text.rjust(width)


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()
