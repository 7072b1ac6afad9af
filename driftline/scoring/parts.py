"""Answers in files `part-00000000.parquet`, …: each holds the rows behind the one before it.

A part becomes one in these steps, each of which may be the last before a kill. What was begun is found by its name, and finished or done again:

    write `.part-N.new`; stage the same rows' records, if they are recorded      done again from the start
    rename it to `.part-N.ready`                                                 from here on the part is as good as there
    publish the staged records                                                   if they are still staged
    rename it to `part-N.parquet`
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import pyarrow as pa
from pyarrow import parquet

_END: Final = b"driftline.end"
_LEFT_OUT: Final = b"driftline.left_out"


class Done(NamedTuple):
    """What the parts that are there add up to."""

    parts: int = 0
    rows: int = 0
    left_out: int = 0
    """Stored requests that the model could not take."""
    end: str = ""
    """Where the last part ends; the empty string is before the first row."""


class Recorder(Protocol):
    """Where a part's rows are recorded as well."""

    def publish(self, part: int) -> None:
        """Let others see what is staged for the part; nothing where nothing is staged (any more)."""
        ...


class Parts:
    """The files of one job in its directory."""

    def __init__(self, directory: Path, recorder: Recorder | None) -> None:
        self._directory = directory
        self._recorder = recorder

    def resume(self) -> Done:
        """Finish what a killed process left ready; return what is there."""
        for ready in sorted(self._directory.glob(".part-*.ready")):
            self._finish(int(ready.name[len(".part-") : -len(".ready")]))
        done = Done()
        for file in sorted(self._directory.glob("part-*.parquet")):
            metadata = parquet.read_metadata(file)
            said: Mapping[bytes, bytes] = metadata.metadata
            done = Done(done.parts + 1, done.rows + metadata.num_rows, done.left_out + int(said[_LEFT_OUT]), said[_END].decode())
        return done

    def write(self, part: int, columns: Mapping[str, Any], *, end: str, left_out: int) -> None:
        """Write a part's file; what was staged under this number before `ready` is the same rows."""
        table = pa.table(dict(columns)).replace_schema_metadata({_END: end, _LEFT_OUT: str(left_out)})
        with self._name(part, "new").open("wb") as file:
            parquet.write_table(table, file)
            file.flush()
            os.fsync(file.fileno())

    def finish(self, part: int) -> None:
        """Make what was written a part, and what was staged with it a record."""
        self._name(part, "new").rename(self._name(part, "ready"))
        self._finish(part)

    def _finish(self, part: int) -> None:
        if self._recorder is not None:
            self._recorder.publish(part)
        self._name(part, "ready").rename(self._directory / f"part-{part:08d}.parquet")

    def _name(self, part: int, state: str) -> Path:
        return self._directory / f".part-{part:08d}.{state}"
