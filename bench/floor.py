"""What keeping a record of two 64 KB bodies costs at least, step by step: `python -m bench.floor`.

CPU of this thread, the least of several rounds. Pages are at hand where the file was written a moment ago, and new where it was only allocated. In a virtual machine new pages
may be such as the machine was never given by its host before: then the first round is many times dearer than the rest, which is why the least is taken.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
from zlib_ng import zlib_ng

from bench.report import machine_sentence, markdown_table, write_json
from records.exchange import Body, Exchange, Role
from store.spool.encoding import encode_large

_BODY_BYTES: Final = 65_536
_SEGMENT_BYTES: Final = 4 * 1024 * 1024
_SEGMENTS: Final = 50
_TIMES: Final = 1_000
_ROUNDS: Final = 5


class Figure(msgspec.Struct, frozen=True):
    """One step."""

    step: str
    cpu_us: float
    """Per record."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.floor", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spool-dir", type=Path, default=Path(tempfile.gettempdir()), metavar="DIR", help="where files are written (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    arguments = parser.parse_args()
    figures = measure(arguments.spool_dir)
    print(f"{machine_sentence()}\n\n{report(figures)}")
    if arguments.json:
        write_json(arguments.json, {"figures": msgspec.to_builtins(figures)})


def report(figures: Sequence[Figure]) -> str:
    """Return the figures as Markdown."""
    return markdown_table(("step", "CPU µs per record"), [(figure.step, f"{figure.cpu_us:.1f}") for figure in figures])


def measure(directory: Path) -> list[Figure]:
    """Time each step by itself."""
    body = Body(os.urandom(_BODY_BYTES), _BODY_BYTES, content_type="application/json")
    exchange = Exchange(bytes(16), "id", Role.SERVED, "default", "upstream", 1, "POST", "/v2/models/m/infer", request=body, response=body)
    pieces = encode_large(exchange)
    whole = b"".join(pieces)
    new, at_hand = _written(directory, pieces)
    return [
        Figure("MessagePack in one piece", _repeated(lambda: msgspec.msgpack.encode(exchange))),
        Figure("MessagePack around the bodies", _repeated(lambda: encode_large(exchange))),
        Figure("CRC-32 by zlib", _repeated(lambda: zlib.crc32(whole))),
        Figure("CRC-32 by zlib-ng", _repeated(lambda: zlib_ng.crc32(whole))),
        Figure("write to new pages", new),
        Figure("write to pages at hand", at_hand),
    ]


def _repeated(act: Callable[[], object]) -> float:
    return min(_timed(act, _TIMES) for _ in range(_ROUNDS))


def _written(directory: Path, pieces: list[bytes]) -> tuple[float, float]:
    """Return what a write costs the first time and later times, over files that are allocated as segments are."""
    rounds = []
    for _ in range(_ROUNDS):
        with tempfile.TemporaryDirectory(dir=directory) as room:
            files = [os.open(Path(room) / str(number), os.O_RDWR | os.O_CREAT) for number in range(_SEGMENTS)]
            for file in files:
                os.posix_fallocate(file, 0, _SEGMENT_BYTES)
            rounds.append([_fill(files, pieces) for _ in range(3)])
            for file in files:
                os.close(file)
    return min(first for first, *_ in rounds), min(min(later) for _, *later in rounds)


def _fill(files: Sequence[int], pieces: list[bytes]) -> float:
    size = sum(map(len, pieces)) + 24
    offsets = range(64, _SEGMENT_BYTES - size, size)
    places = iter([(file, offset) for file in files for offset in offsets])
    return _timed(lambda: os.pwritev(*_at(next(places), pieces)), len(files) * len(offsets))


def _at(place: tuple[int, int], pieces: list[bytes]) -> tuple[int, list[bytes], int]:
    return place[0], pieces, place[1]


def _timed(act: Callable[[], object], times: int) -> float:
    """Return the microseconds of CPU that each of so many calls took."""
    began = time.thread_time_ns()
    for _ in range(times):
        act()
    return (time.thread_time_ns() - began) / times / 1e3


if __name__ == "__main__":
    main()
