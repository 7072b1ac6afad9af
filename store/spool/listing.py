"""What lies in a spool's directory. Others create and delete there meanwhile: what has vanished is left out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from store.spool.format import SEGMENT_HEADER, SEGMENT_SUFFIX, SPARE_SUFFIX

LOADER_STATE_NAME: Final = "loader.state"
SPOOL_LOCK_NAME: Final = "monitor.lock"
"""Two monitors would each take the cursors in the state files for their own."""


def writer_names(spool: Path) -> list[str]:
    """Return the names of all writers, oldest first; none where there is no spool yet. A name that begins with a dot is not (yet) a writer's."""
    return sorted(entry.name for entry in _entries(spool) if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."))


def segment_indexes(directory: Path) -> list[int]:
    """Return the indexes of a writer's segments in order; none where the writer is gone."""
    stems = [entry.name.removesuffix(SEGMENT_SUFFIX) for entry in _entries(directory) if entry.name.endswith(SEGMENT_SUFFIX)]
    return sorted(int(stem) for stem in stems if stem.isdecimal())


def spare_segments(directory: Path) -> list[os.DirEntry[str]]:
    """Return a writer's files that wait to be used again."""
    return [entry for entry in _entries(directory) if entry.name.endswith(SPARE_SUFFIX)]


def spool_bytes(spool: Path) -> int:
    """Return the size of all segments of all writers, in bytes. One writer's are of one size, so that one of them is looked at."""
    total = 0
    for writer in writer_names(spool):
        segments = [entry for entry in _entries(spool / writer) if entry.name.endswith(SEGMENT_SUFFIX)]
        total += len(segments) * next((size for size in map(size_of, segments) if size), 0)
    return total


def free_bytes(spool: Path) -> int:
    """Return what the spool's file system has left for us."""
    status = os.statvfs(spool)
    return status.f_bavail * status.f_frsize


def first_sequence(segment: Path) -> int:
    """Return the record with which a segment begins; 0 where it was only prepared, or is gone."""
    with suppress(FileNotFoundError), segment.open("rb") as file:
        header = file.read(SEGMENT_HEADER.size)
        return int(SEGMENT_HEADER.unpack(header)[3]) if len(header) == SEGMENT_HEADER.size else 0
    return 0


def size_of(file: Path | os.DirEntry[str]) -> int:
    """Return the size of a file in bytes, 0 where it is gone."""
    with suppress(FileNotFoundError):
        return file.stat().st_size
    return 0


def _entries(directory: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            yield from entries
    except FileNotFoundError:
        return
