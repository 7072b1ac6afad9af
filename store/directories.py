"""Directories that only their owner can look into: what lies there is other people's data."""

from __future__ import annotations

import shutil
from pathlib import Path


def make_private(directory: Path) -> None:
    """Make a directory, and those above it that are missing, with mode 0700; one that is there keeps the mode that it was given. Raises OSError."""
    if not directory.is_dir():
        make_private(directory.parent)
        directory.mkdir(exist_ok=True, mode=0o700)


def make_empty(directory: Path) -> None:
    """Make such a directory, without what a former process may have left in it. Raises OSError."""
    if directory.exists():
        shutil.rmtree(directory)
    make_private(directory)
