"""Looks whether a monitor could work by these settings, for a supervisor that has to know before it stops the one that runs."""

from __future__ import annotations

import sys

from driftline.children import BAD_INPUT, read_task
from driftline.decoding import Decoding
from driftline.monitor_task import MonitorTask
from driftline.naming import load_baselines


def main() -> int:
    """Return 0 where it could; else say why not."""
    task: MonitorTask = read_task()
    try:
        load_baselines(task.settings.routes)
        Decoding(task.settings.routes)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"driftline: {error}\n")
        return BAD_INPUT
    return 0


if __name__ == "__main__":
    sys.exit(main())
