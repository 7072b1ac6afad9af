"""What lies in a spool's directory."""

from __future__ import annotations

import os
from pathlib import Path

from store.spool.format import SEGMENT_SUFFIX


def writer_names(spool: Path) -> list[str]:
    """Return the names of all writers, oldest first; none where there is no spool yet."""
    try:
        with os.scandir(spool) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def segment_indexes(directory: Path) -> list[int]:
    """Return the indexes of a writer's segments in order; none where the writer is gone."""
    try:
        with os.scandir(directory) as entries:
            stems = [entry.name.removesuffix(SEGMENT_SUFFIX) for entry in entries if entry.name.endswith(SEGMENT_SUFFIX)]
    except FileNotFoundError:
        return []
    return sorted(int(stem) for stem in stems if stem.isdecimal())
