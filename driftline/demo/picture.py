"""The picture in the README, drawn from a real run: `python -m driftline.demo.picture docs/images/demo.svg`."""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from rich.console import Console

from driftline.demo.report import Result, checks, story
from driftline.demo.run import run_demo
from driftline.demo.screen import WIDTH, Snapshot, print_story, render
from driftline.demo.workspace import workspace

_DURATION_SECONDS: Final = 60.0


class _LastSight:
    """A screen that only remembers what it would show."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        pass

    def step(self, text: str) -> None:
        """Forget the step."""

    def show(self, snapshot: Snapshot) -> None:
        """Remember the snapshot."""
        self.snapshot = snapshot


def draw(snapshot: Snapshot, result: Result) -> str:
    """Return the last state of the live table and the story as SVG."""
    console = Console(file=io.StringIO(), record=True, width=WIDTH, force_terminal=True)
    console.print(render(snapshot))
    print_story(console, story(result), succeeded=True)
    return console.export_svg(title="driftline demo", unique_id="demo")


def main(file: Path) -> int:
    """Run the demo and draw it; a run in which a check fails makes no picture."""
    screen = _LastSight()
    with workspace(Path(tempfile.gettempdir())) as directory:
        result = asyncio.run(run_demo(directory, _DURATION_SECONDS, screen))
    if screen.snapshot is None or not all(check.holds for check in checks(result)):
        sys.stderr.write(f"the demo did not show what it claims; see {directory}\n")
        return 1
    file.write_text(draw(screen.snapshot, result), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
