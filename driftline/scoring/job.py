"""What a directory holds the answers to. A second run in the same directory goes on with the same job, and refuses another one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from runtime.tools.errors import ToolError
from store.owner import HeldError, take_lock

_FILE: Final = "job.json"
_LOCK: Final = ".lock"


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One model over some rows."""

    job_id: str = ""
    """Names what it leaves in the spool; made when the job begins."""
    model: str
    version: int
    uuid: str
    """The version's files, by content."""
    rows: dict[str, str]
    """What makes the rows the same rows (`RowSource.identity`)."""
    recorded_in: str = ""
    """The spool in which requests and replies are recorded; empty where they are not."""


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Hold the directory, which is made where it is not there. Raises `ToolError` where another process works in it; OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    try:
        lock = take_lock(directory / _LOCK, f"the directory {directory}", "--out")
    except HeldError as error:
        raise ToolError(str(error)) from None
    try:
        yield
    finally:
        os.close(lock)


def begin(directory: Path, wanted: Job) -> Job:
    """Make the directory the job's, or return the job that it is already. Raises `ToolError` where it is another job's; OSError."""
    file = directory / _FILE
    if not file.exists():
        return _new(directory, msgspec.structs.replace(wanted, job_id=secrets.token_hex(6)))
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Job)
    except msgspec.DecodeError as error:
        raise ToolError(f"{file} is damaged ({error}): give another directory with --out") from None
    if different := [name for name in Job.__struct_fields__[1:] if getattr(found, name) != getattr(wanted, name)]:
        raise ToolError(f"{directory} holds the answers of another job (other {', '.join(different)}): give another directory with --out")
    return found


def _new(directory: Path, job: Job) -> Job:
    strangers = [entry.name for entry in directory.iterdir() if entry.name not in {_LOCK, f".{_FILE}"}]
    if strangers:
        raise ToolError(f"{directory} is not empty ({strangers[0]}): give a directory of its own with --out")
    temporary = directory / f".{_FILE}"
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(job), indent=2) + b"\n")
    os.replace(temporary, directory / _FILE)  # noqa: PTH105 - says that it replaces
    return job
