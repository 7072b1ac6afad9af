"""The command: arguments in, exit code out."""

from __future__ import annotations

import asyncio
import json
import signal
import tempfile
from pathlib import Path

from rich.console import Console

from driftline.demo.processes import DemoError
from driftline.demo.report import Result, checks, document, story
from driftline.demo.run import run_demo
from driftline.demo.screen import LiveScreen, PlainScreen, Screen, print_story
from driftline.demo.workspace import workspace


def main(duration_seconds: float, *, headless: bool, json_file: Path | None) -> int:
    """Run the demo and say what happened; return 0 only if every check held.

    Whatever was started has been stopped when KeyboardInterrupt (Ctrl-C) or asyncio.CancelledError (SIGTERM) leaves it.
    """
    console = Console()
    live = console.is_terminal and not headless
    screen: Screen = LiveScreen(console) if live else PlainScreen(console)
    with workspace(Path(tempfile.gettempdir())) as directory:
        try:
            result = asyncio.run(_interruptible(directory, duration_seconds, screen))
        except DemoError as error:
            return _failed([str(error)], directory)
        return conclude(result, console, live=live, json_file=json_file)


async def _interruptible(directory: Path, duration_seconds: float, screen: Screen) -> Result:
    """Let SIGTERM end the run as Ctrl-C does."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with screen:
        return await run_demo(directory, duration_seconds, screen)


def conclude(result: Result, console: Console, *, live: bool, json_file: Path | None) -> int:
    """Write the JSON file, tell the story, and return the exit code."""
    if json_file:
        json_file.write_text(json.dumps(document(result), indent=2) + "\n")
    broken = [check for check in checks(result) if not check.holds]
    if live:
        print_story(console, story(result), succeeded=not broken)
    else:
        for heading, text in story(result):
            _say(console, f"{heading}: {text}")
    return _failed([f"{check.claim}: {check.found}" for check in broken], result.directory) if broken else 0


def _failed(reasons: list[str], directory: Path) -> int:
    """Say what failed and where the logs are; return the exit code."""
    console = Console(stderr=True)
    for reason in reasons:
        _say(console, f"failed: {reason}")
    _say(console, f"The logs are in {directory}")
    return 1


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
