"""Whether files that settings name have changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

Stamp: TypeAlias = tuple[tuple[int, int], ...]
"""What changes with files."""


def stamp_of(files: Sequence[str]) -> Stamp:
    """Return when each file was changed and which one it is; zeros where it is gone."""
    return tuple(_changed(Path(file)) for file in files)


def _changed(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_ino
