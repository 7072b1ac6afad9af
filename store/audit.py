"""Who read or changed what: one JSON object per line, in a file beside the store that only its owner can read.

Lines are appended whole by whichever process acts, and are on the disk before it does. A file that has grown is set aside with the moment in its
name, and the oldest of those are deleted: `SET_ASIDE_AT_MOST` files of `FILE_BYTES` are kept.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from records.audit import AuditEntry

AUDIT_NAME: Final = "audit.jsonl"
FILE_BYTES: Final = 16 * 1024 * 1024
SET_ASIDE_AT_MOST: Final = 20

_WHAT_AT_MOST: Final = 4_000
"""Characters; what is longer is cut, so that nobody can push older lines out with one."""


class AuditLog:
    """The file of one data directory. Belongs to nobody: each line opens it anew."""

    def __init__(self, data_directory: Path) -> None:
        self._path = data_directory / AUDIT_NAME

    def __call__(self, who: str, action: str, what: str) -> None:
        """Write one line, and return when it is on the disk. Raises OSError where it cannot be: then the action must not be done either."""
        entry = AuditEntry(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"), who, action, what if len(what) <= _WHAT_AT_MOST else what[:_WHAT_AT_MOST] + "…")
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, msgspec.json.encode(entry) + b"\n")
            os.fdatasync(fd)
            full = os.fstat(fd).st_size >= FILE_BYTES
        finally:
            os.close(fd)
        if full:
            self._set_aside()

    def _set_aside(self) -> None:
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        with suppress(FileNotFoundError):  # another process was quicker
            self._path.rename(self._path.with_name(f"audit-{moment}.jsonl"))
        for old in sorted(self._path.parent.glob("audit-*.jsonl"))[:-SET_ASIDE_AT_MOST]:
            old.unlink(missing_ok=True)


class NewEntries(NamedTuple):
    """What a read found."""

    entries: list[AuditEntry]
    offset: int
    """Of the first byte that was not read."""


class AuditReader:
    """Follows the file from its beginning, for one reader; who takes the entries says so with `taken`, else they come again."""

    def __init__(self, data_directory: Path) -> None:
        self._path = data_directory / AUDIT_NAME
        self._fd = -1
        self._offset = 0

    def read(self) -> NewEntries:
        """Return what is new, at most a file's worth. What is no entry is left out. Raises OSError."""
        if self._fd < 0 and not self._open():
            return NewEntries([], 0)
        content = os.pread(self._fd, FILE_BYTES, self._offset)
        whole = content[: content.rfind(b"\n") + 1]
        if not whole and self._replaced():
            self.close()
            return self.read()
        return NewEntries([entry for line in whole.splitlines() if (entry := _entry(line))], self._offset + len(whole))

    def taken(self, found: NewEntries) -> None:
        """These entries need not come again."""
        self._offset = found.offset

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._offset = -1, 0

    def _open(self) -> bool:
        try:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        return True

    def _replaced(self) -> bool:
        """Whether the file was set aside, and another one has come."""
        try:
            return self._path.stat().st_ino != os.fstat(self._fd).st_ino
        except FileNotFoundError:
            return False


def _entry(line: bytes) -> AuditEntry | None:
    try:
        return msgspec.json.decode(line, type=AuditEntry)
    except msgspec.MsgspecError:
        return None
