"""Where a run keeps everything: a directory of its own that stays for looking until the next run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

DATA: Final = "data"
"""What Driftline keeps, in that directory."""
_PREFIX: Final = "driftline-demo-"


@contextlib.contextmanager
def workspace(parent: Path) -> Iterator[Path]:
    """Make a directory in `parent`, after removing those of this user's earlier runs, but not of runs that go on.

    A run holds a lock on its directory (flock(2)) from before the directory has its name.
    """
    for earlier in parent.glob(_PREFIX + "*"):
        _remove_if_finished(earlier)
    made = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=parent))
    with _locked(made):
        yield made.rename(parent / made.name.removeprefix("."))


def _remove_if_finished(directory: Path) -> None:
    with contextlib.suppress(OSError), _locked(directory):
        if directory.stat().st_uid == os.getuid():
            shutil.rmtree(directory)


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock; raise BlockingIOError where another process does."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
