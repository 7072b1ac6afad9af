"""Named counters in mapped memory that survive their process.

A worker counts by storing integers to a mapped file: nothing is lost when it dies, and whoever scrapes reads the file. The
file holds an exclusive flock for as long as its writer lives, so "is it alive" has a true answer.

    offset  size          field
         0     8          magic "DRIFTLDG"
         8     4          format version, of the segments beside it too
        12     4          capacity: number of counters
        16    48          zeros
        64     8*capacity values, unsigned 64-bit, in the machine's byte order
         …     …          names, one line each in the order of the values: metric and label values, separated by U+001F

A name is written before its value is first added to. Counter 0 is the last sequence appended; counter 1 takes what no longer fits.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import sys
from pathlib import Path
from typing import Final, NamedTuple

from store.spool.format import LEDGER_NAME, READABLE_VERSIONS, VERSION

MAGIC: Final = b"DRIFTLDG"
CAPACITY: Final = 4096
NAMES_BYTES: Final = 256 * 1024
SEQUENCE_SLOT: Final = 0
OVERFLOW_SLOT: Final = 1

_HEADER = struct.Struct("<8sII")
_HEADER_BYTES = 64
_SEPARATOR = "\x1f"

CounterName = tuple[str, ...]
"""A metric's name, then its label values in the order of the metric's labels."""


class LedgerWriter:
    """The counters of one living writer; implements `records.ports.Counters`."""

    values: memoryview[int]

    def __init__(self, directory: Path) -> None:
        """Create the ledger in `directory`. It appears under its name only once it is locked."""
        path = directory / f"{LEDGER_NAME}.new"
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        self._names_at = _HEADER_BYTES + 8 * CAPACITY
        size = self._names_at + NAMES_BYTES
        os.posix_fallocate(self._fd, 0, size)
        self._map = mmap.mmap(self._fd, size)
        self._map[: _HEADER.size] = _HEADER.pack(MAGIC, VERSION, CAPACITY)
        self.values = memoryview(self._map)[_HEADER_BYTES : self._names_at].cast("Q")
        self._slots: dict[CounterName, int] = {}
        self.slot("sequence")
        self.slot("overflow")
        path.rename(directory / LEDGER_NAME)

    def slot(self, metric: str, *labels: str) -> int:
        """Return the index of this counter, registering it on first use; the overflow counter when the ledger is full."""
        name = (metric, *labels)
        known = self._slots.get(name)
        if known is not None:
            return known
        line = (_SEPARATOR.join(name).replace("\n", " ") + "\n").encode("utf-8", "replace")
        if len(self._slots) >= CAPACITY or self._names_at + len(line) > len(self._map):
            return OVERFLOW_SLOT
        self._map[self._names_at : self._names_at + len(line)] = line
        self._names_at += len(line)
        self._slots[name] = len(self._slots)
        return self._slots[name]

    def sync(self) -> None:
        """Bring the counters to the disk, to outlive a loss of power. Raises OSError."""
        os.fdatasync(self._fd)

    def close(self) -> None:
        """Give up the lock: from now on this writer counts as gone."""
        self.values.release()
        self._map.close()
        os.close(self._fd)


class LedgerView:
    """A writer's ledger, living or dead, opened once by a reader that asks it often.

    Raises FileNotFoundError where there is none (yet), ValueError where the file is not a ledger.
    """

    def __init__(self, directory: Path) -> None:
        path = directory / LEDGER_NAME
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.version = _version(path, os.pread(self._fd, _HEADER_BYTES, 0))
        except ValueError:
            os.close(self._fd)
            raise

    def alive(self) -> bool:
        """Whether the writer still lives. Once false, for ever: what it left is all that there will be."""
        return _is_locked(self._fd)

    def sequence(self) -> int:
        """Return the last sequence appended: every frame up to its record is whole."""
        return int.from_bytes(os.pread(self._fd, 8, _HEADER_BYTES + 8 * SEQUENCE_SLOT), sys.byteorder)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


class LedgerSnapshot(NamedTuple):
    """A ledger as it was at one moment."""

    alive: bool
    sequence: int
    counters: dict[CounterName, int]


def read_ledger(directory: Path) -> LedgerSnapshot:
    """Read the ledger of the writer in `directory`, living or dead.

    Raises FileNotFoundError where there is none (yet), ValueError where the file is not a ledger.
    """
    path = directory / LEDGER_NAME
    with path.open("rb") as file:
        # Asked before reading: a writer that dies in between is seen alive with its last counts, and dead the next time.
        alive = _is_locked(file.fileno())
        data = file.read()
    _version(path, data)
    names_at = _HEADER_BYTES + 8 * CAPACITY
    values = memoryview(data)[_HEADER_BYTES:names_at].cast("Q")
    lines = data[names_at:].rstrip(b"\0").decode("utf-8", "replace").split("\n")[:-1]
    counters = {tuple(line.split(_SEPARATOR)): values[slot] for slot, line in enumerate(lines[2:], start=2)}
    return LedgerSnapshot(alive, values[SEQUENCE_SLOT], counters)


def _version(path: Path, data: bytes) -> int:
    """Return the version in a ledger's header. Raises ValueError unless it can be read here."""
    magic, version, capacity = _HEADER.unpack_from(data.ljust(_HEADER.size, b"\0"))
    if (magic, capacity) != (MAGIC, CAPACITY) or version not in READABLE_VERSIONS:
        raise ValueError(f"{path} is not a ledger that this version of Driftline can read")
    return int(version)


def _is_locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
