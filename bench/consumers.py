"""Stands for a monitor that keeps up: what a worker appended is passed at once, without being read, so that the worker gets its files back."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from bench.processes import LOAD_CORES
from store.spool.cursor import Cursor
from store.spool.listing import segment_indexes, writer_names
from store.spool.retire import retire
from store.spool.state import LoaderState

_EVERY_SECONDS: Final = 0.02
_KEPT: Final = 4
"""The segment in use, those that are ready, and one more."""


@contextmanager
def consuming(spool: Path) -> Iterator[None]:
    """Pass what lies in the spool again and again."""
    done = threading.Event()
    thread = threading.Thread(target=_consume, args=(spool, done))
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _consume(spool: Path, done: threading.Event) -> None:
    os.sched_setaffinity(threading.get_native_id(), LOAD_CORES)
    while not done.wait(_EVERY_SECONDS):
        with suppress(FileNotFoundError):
            _pass(spool)


def _pass(spool: Path) -> None:
    cursors = {writer: Cursor(segment=max(1, max(segment_indexes(spool / writer), default=0) - _KEPT)) for writer in writer_names(spool)}
    retire(spool, LoaderState(cursors=cursors), cursors, now_seconds=time.time())
