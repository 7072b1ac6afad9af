"""What a consumer has done, in one small file that is replaced atomically.

A state file is one document: the state itself and the CRC-32 of its bytes, so that damage is a clear error and not a wrong count. It is
MessagePack, which keeps NaN and infinity as they are; JSON where the file's name ends in `.json`.

    write <name>.new  →  flush  →  (fsync)  →  rename over <name>

A kill leaves the old state or the new one. Only a loss of power can lose a rename that was not synced; the spool does not promise
anything then.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TypeVar
from zlib import crc32

import msgspec

from store.model_counts import ModelCount
from store.spool.cursor import Cursor

_StateT = TypeVar("_StateT")
_KeyT = TypeVar("_KeyT")


class DamagedStateError(ValueError):
    """A state file cannot be read; the text names it and says what to do."""


class LoaderState(msgspec.Struct, frozen=True):
    """What the store's loader has done, by writer."""

    cursors: dict[str, Cursor] = {}
    stored: dict[str, int] = {}
    """Records that the store acknowledged."""
    dropped: dict[str, dict[str, int]] = {}
    """Records given up by the reader or the loader, by `records.metrics.DropReason`."""
    intent: dict[str, tuple[int, int]] = {}
    """First and last sequence of the batch that is being inserted; empty when none is."""
    models: tuple[ModelCount, ...] = ()
    """What was stored, by model and version."""

    def intending(self, intent: Mapping[str, tuple[int, int]]) -> LoaderState:
        """Return the state to write before a batch is inserted."""
        return msgspec.structs.replace(self, intent=dict(intent))

    def acknowledging(
        self, cursors: Mapping[str, Cursor], stored: Mapping[str, int], dropped: Mapping[str, Mapping[str, int]], models: tuple[ModelCount, ...] = ()
    ) -> LoaderState:
        """Return the state to write after a batch: moved to these cursors, with these additions to the counts, `models` in place of those, and no intent.

        Writers without a cursor are forgotten: a reader stops naming a writer once it was retired and its directory is gone.
        """
        return LoaderState(
            cursors=dict(cursors),
            stored={writer: self.stored.get(writer, 0) + stored.get(writer, 0) for writer in cursors},
            dropped={writer: add_counts(self.dropped.get(writer, {}), dropped.get(writer, {})) for writer in cursors},
            models=models,
        )


def add_counts(counts: Mapping[_KeyT, int], more: Mapping[_KeyT, int]) -> dict[_KeyT, int]:
    """Return the sums by key.

    >>> add_counts({"a": 1}, {"a": 2, "b": 3})
    {'a': 3, 'b': 3}
    """
    return {**counts, **{key: counts.get(key, 0) + count for key, count in more.items()}}


class _Document(msgspec.Struct):
    crc32: int
    state: msgspec.Raw


def write_state(path: Path, state: msgspec.Struct, *, fsync: bool = False) -> None:
    """Replace the file at `path` by this state; with `fsync`, also against a loss of power."""
    codec = _codec(path)
    content = codec.encode(state)
    temporary = path.with_name(f"{path.name}.new")
    with temporary.open("wb") as file:
        file.write(codec.encode(_Document(crc32(content), msgspec.Raw(content))))
        file.flush()
        if fsync:
            os.fsync(file.fileno())
    temporary.replace(path)
    if fsync:
        sync_directory(path.parent)


def read_state(
    path: Path, kind: type[_StateT], *, advice: str = "move it away to begin again with the oldest records that the spool still holds"
) -> _StateT | None:
    """Return the state at `path`, None where there is none yet.

    Raises DamagedStateError, with `advice` as what the user may do, where the file cannot be read.
    """
    codec = _codec(path)
    try:
        document: _Document = codec.decode(path.read_bytes(), type=_Document)
        if crc32(document.state) == document.crc32:
            state: _StateT = codec.decode(document.state, type=kind)
            return state
        problem = "its checksum is wrong"
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        problem = str(error)
    raise DamagedStateError(f"{path} is damaged ({problem}): restore it, or {advice}")


def _codec(path: Path) -> ModuleType:
    return msgspec.json if path.suffix == ".json" else msgspec.msgpack


def sync_directory(directory: Path) -> None:
    """Bring the names in a directory to the disk. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
