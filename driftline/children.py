"""What a child process and its supervisor say to each other.

The supervisor writes one value to the child's standard input and keeps it open: its end means that the supervisor is gone, and the child
stops as if it had been told to. Single bytes after the value are words to the child, `STOPPING` or `SUCCEEDED`. The child writes one line to its standard output when it
serves. Everything else it says goes to standard error.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

READY: Final = b"ready"
STOPPING: Final = b"s"
"""The service is going to stop: this child is told in its turn, but what people ask it should be answered so from now on."""
SUCCEEDED: Final = b"n"
"""Another process follows this one at once: what it can leave undone, it should."""

BAD_INPUT: Final = 2
"""The exit status of a child that cannot ever start this way; starting it again would not help."""

HELD_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
"""Blocked when a child starts, so that one that comes too early waits until the child can obey."""


def read_task() -> Any:
    """Return what the supervisor wants done."""
    size = int.from_bytes(sys.stdin.buffer.read(4), "big")
    return pickle.loads(sys.stdin.buffer.read(size))  # noqa: S301 - only the parent process can write to this pipe


def write_task(task: object) -> bytes:
    """Return what `read_task` reads."""
    pickled = pickle.dumps(task)
    return len(pickled).to_bytes(4, "big") + pickled


def say_ready(detail: str = "") -> None:
    """Tell the supervisor that this process serves; `detail` is for its own information. Nobody reads its standard output any more."""
    with suppress(BrokenPipeError):  # the supervisor is gone: the end of standard input says so, and this process stops in order
        os.write(sys.stdout.fileno(), READY + b" " + detail.encode() + b"\n")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def stop_event(*, supervised: bool, on_word: Callable[[bytes], None] = lambda _: None) -> asyncio.Event:
    """Return an event that is set by SIGTERM, by SIGINT where nobody supervises, or by the supervisor's end where somebody does.

    `on_word` is called with what the supervisor says.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    if supervised:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the whole group; the supervisor decides the order
        loop.add_reader(sys.stdin.fileno(), _listen_to_supervisor, loop, stop, on_word)
    else:
        loop.add_signal_handler(signal.SIGINT, stop.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_SIGNALS)
    return stop


def _listen_to_supervisor(loop: asyncio.AbstractEventLoop, stop: asyncio.Event, on_word: Callable[[bytes], None]) -> None:
    word = os.read(sys.stdin.fileno(), 1)
    if word:
        on_word(word)
    else:
        loop.remove_reader(sys.stdin.fileno())
        stop.set()


def log_to_stderr(process: str) -> None:
    """Log as one JSON object per line; a message that is JSON already stays as it is."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines(process))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


class _JsonLines(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        import json  # noqa: PLC0415 - a worker that logs nothing does not load it
        import time  # noqa: PLC0415 - likewise

        message = record.getMessage()
        if message.startswith("{"):
            return message
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        line = {"time": at, "level": record.levelname.lower(), "process": self._process, "logger": record.name, "message": message}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
