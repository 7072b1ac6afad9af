"""Segments made ready before a writer needs them: by a thread, because allocating can wait for the disk.

A file that every consumer has passed is used again while it is young, as PostgreSQL does with its log: what was written a moment ago is still in
memory, and writing there again costs about half of what fresh memory does. An older one may be in memory no more, and then every page of it would be read first.
"""

from __future__ import annotations

import errno
import mmap
import os
import threading
import time
from collections import deque
from pathlib import Path
from typing import Final

from records.metrics import DropReason
from store.spool.cipher import SegmentCipher, SpoolKeys
from store.spool.format import END_OF_FRAMES, SEGMENT_HEADER_BYTES, pack_segment_header, segment_name
from store.spool.listing import free_bytes, spare_segments, spool_bytes

_RETRY_SECONDS: Final = 0.1
_SEGMENTS_READY: Final = 2
_YOUNG_SECONDS: Final = 10.0
"""A third of the time for which the kernel keeps what was written, at the least, unless memory is short (vm.dirty_expire_centisecs)."""


class Segment:
    """A segment's file, open and mapped."""

    __slots__ = ("cipher", "fd", "map")

    def __init__(self, fd: int, size_bytes: int, cipher: SegmentCipher | None) -> None:
        """Take over the descriptor. Raises OSError, and then it is still the caller's."""
        self.map = mmap.mmap(fd, size_bytes)
        self.fd = fd
        self.cipher = cipher

    def close(self) -> None:
        """Unmap and close it; the file stays."""
        self.map.close()
        os.close(self.fd)


class Preparer:
    """Keeps mapped segments ready for one writer, the whole spool within `max_bytes`, and `min_free_bytes` of its disk free."""

    def __init__(self, directory: Path, segment_bytes: int, max_bytes: int, min_free_bytes: int, keys: SpoolKeys | None) -> None:
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes
        self._keys = keys
        self._ready: deque[Segment] = deque()
        self._wanted = threading.Event()
        self._stopped = threading.Event()
        self._index = 1
        self._thread = threading.Thread(target=self._run, name="spool-preparer", daemon=True)
        self.failure = DropReason.SPOOL_FULL
        """Why there is no segment when there is none; also when the thread is late, for then there is no room at that moment."""

    def start(self) -> None:
        """Begin; return when the first segment is ready or could not be made."""
        self._prepare()
        self._wanted.set()
        self._thread.start()

    def take(self) -> Segment | None:
        """Return a prepared segment and have another one made; None while there is none."""
        try:
            segment = self._ready.popleft()
        except IndexError:
            return None
        self._wanted.set()
        return segment

    def stop(self) -> None:
        """End the thread and unmap what was prepared; the files stay, and readers know them as never used."""
        self._stopped.set()
        self._wanted.set()
        self._thread.join()
        while self._ready:
            self._ready.popleft().close()

    def _run(self) -> None:
        while self._wanted.wait() and not self._stopped.is_set():
            self._wanted.clear()
            while len(self._ready) < _SEGMENTS_READY:
                if not self._prepare() and self._stopped.wait(_RETRY_SECONDS):
                    return

    def _prepare(self) -> bool:
        self.failure = DropReason.SPOOL_FULL
        try:
            if spool_bytes(self._directory.parent) + self._segment_bytes > self._max_bytes:
                return False
            self._ready.append(self._reuse() or self._create())
        except OSError as error:
            self.failure = DropReason.DISK_FULL if error.errno in {errno.ENOSPC, errno.EDQUOT} else DropReason.SPOOL_ERROR
            return False
        self._index += 1
        return True

    def _create(self) -> Segment:
        """Make a new file the next segment, unless that took what is to stay free. Raises OSError."""
        if free_bytes(self._directory) - self._segment_bytes < self._min_free_bytes:
            raise OSError(errno.ENOSPC, "too little would stay free")
        return _create_segment(self._directory / segment_name(self._index), self._segment_bytes, *self._header())

    def _reuse(self) -> Segment | None:
        """Make a spare file the next segment; None where there is none. Raises OSError."""
        for spare in spare_segments(self._directory):
            found = spare.stat()
            if found.st_size == self._segment_bytes and time.time() - found.st_mtime < _YOUNG_SECONDS:
                return _open_segment(Path(spare), self._directory / segment_name(self._index), self._segment_bytes, *self._header())
            os.unlink(spare)  # noqa: PTH108 - an entry of a directory, not a path
        return None

    def _header(self) -> tuple[bytes, SegmentCipher | None]:
        """Return the next segment's header, and what encrypts its frames."""
        key, cipher = (b"", None) if self._keys is None else self._keys.begin()
        return (pack_segment_header(self._index, 0) + key).ljust(SEGMENT_HEADER_BYTES, b"\0"), cipher


def _open_segment(path: Path, name: Path, size: int, header: bytes, cipher: SegmentCipher | None) -> Segment:
    """Empty a spare file, map it, and give it its name. Raises OSError."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.pwrite(fd, header + END_OF_FRAMES, 0)
        segment = Segment(fd, size, cipher)
        path.rename(name)
    except OSError:
        os.close(fd)
        raise
    return segment


def _create_segment(path: Path, size: int, header: bytes, cipher: SegmentCipher | None) -> Segment:
    """Create, allocate and map a segment. Allocated first: a mapped page without a block behind it is a SIGBUS on a full disk.

    What is allocated and not yet written reads as zeros; writing them would cost more than the page faults that it saves.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, size)
        os.pwrite(fd, header, 0)
        return Segment(fd, size, cipher)
    except OSError:
        os.close(fd)
        path.unlink(missing_ok=True)
        raise
