"""One process at a time: a lock file that names its owner.

The kernel drops the lock whatever way the process dies, so nothing is ever left to clean up.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class HeldError(Exception):
    """Another process owns what was asked for; the text says which and what to do."""


def take_lock(path: Path, what: str, option: str) -> int:
    """Lock the file for as long as this process lives; return its descriptor.

    Raises `HeldError`, which calls it `what` and says that `option` names another one; `OSError` where the file cannot be used.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(descriptor, 32).decode(errors="replace").strip()
        os.close(descriptor)
        raise HeldError(f"{what} is held by another process{_described(owner)}: stop that one, or use another {option}.") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _described(owner: str) -> str:
    """Return ` (process 4711: driftline monitor …)`, as far as it is known."""
    try:
        command = Path(f"/proc/{int(owner)}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (ValueError, OSError):
        return ""
    return f" (process {owner}: {command[:120]})"
