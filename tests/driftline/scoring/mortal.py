"""Scores again and again, each time killed at another change of the file system, and once more to the end.

    python -m tests.driftline.scoring.mortal ROOM ARGUMENT…

Run N works in ROOM/N: a directory in which `{room}` in the arguments lies. It is killed in the moment before its Nth rename, sync or new directory.
Ends with the first run that was not killed; prints how many were. One process loads the libraries, and its children score.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

import pandas as pd  # noqa: F401 - pyarrow would load it in each child

from driftline.commands import runtime
from driftline.scoring import score


def main() -> None:
    room, *words = sys.argv[1:]
    for number in range(1, 1000):
        place = Path(room) / str(number)
        place.mkdir()
        given = [word.replace("{room}", str(place)) for word in words]
        killed = in_child(given, number)
        assert in_child(given, None) == 0
        if not killed:
            print(number - 1)
            return


def in_child(words: list[str], fatal_call: int | None) -> int:
    """Score in a child; return the signal that ended it."""
    child = os.fork()
    if child:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in {0, -signal.SIGKILL}, status
        return -status
    if fatal_call is not None:
        die_before(fatal_call)
    score._PART_ROWS = 7
    parser = argparse.ArgumentParser()
    runtime.configure(parser)
    arguments = parser.parse_args(words)
    with Path(os.devnull).open("w") as sys.stdout:
        os._exit(arguments.run(arguments))


def die_before(fatal_call: int) -> None:
    calls = 0

    def mortal(change):
        def call(*arguments, **options):
            nonlocal calls
            calls += 1
            if calls == fatal_call:
                os.kill(os.getpid(), signal.SIGKILL)
            return change(*arguments, **options)

        return call

    for name in ("rename", "replace", "fsync", "mkdir", "unlink", "rmdir"):
        setattr(os, name, mortal(getattr(os, name)))


if __name__ == "__main__":
    main()
