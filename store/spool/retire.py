"""Deletes what every consumer has passed: segments first, then whole writers that are gone.

A writer that lives gets some of its segments back to use again (`store.spool.preparer`).

A dead writer's totals must not go with it, so they move to `retired.json`. Each step can be the last one before a kill:

    delete its segments          it is counted from its ledger and the loader's state, as before
    replace retired.json         from here on it is counted there; its directory is named as one to delete
    delete its directory         …in whatever state a kill leaves it; the next pass deletes the rest
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from store.spool.cursor import Cursor
from store.spool.format import SPARE_SUFFIX, segment_name
from store.spool.ledger import LedgerSnapshot, read_ledger
from store.spool.listing import segment_indexes, size_of, spare_segments, writer_names
from store.spool.state import LoaderState, write_state
from store.spool.totals import RETIRED_NAME, Retired, read_retired, totals_of

SPARE_BYTES: Final = 32 * 1024 * 1024
"""What a living writer gets back at most; it comes to the spool's own bound."""

_START_SECONDS: Final = 600
"""A writer without a ledger that is older than this died while it began; nothing starts so slowly."""


def retire(spool: Path, loader: LoaderState, detectors: Mapping[str, Cursor], *, now_seconds: float) -> None:
    """Delete what both consumers have passed, given their states as they were last written. `now_seconds` is Unix time.

    Raises OSError where something cannot be deleted, DamagedStateError where `retired.json` cannot be read; call it again later.
    """
    retired = _finish_deletions(spool)
    for writer in writer_names(spool):
        directory = spool / writer
        try:
            ledger = read_ledger(directory)
        except FileNotFoundError:
            _delete_stillborn(directory, now_seconds)
        except ValueError:
            continue  # of another version, or damaged: the reader leaves it alone and says so
        else:
            passed = min(cursors.get(writer, Cursor()).segment for cursors in (loader.cursors, detectors))
            _delete_passed(directory, passed, spare_bytes=SPARE_BYTES if ledger.alive else 0)
            if _is_over(directory, ledger, loader):
                retired = _retire_writer(directory, ledger, loader, retired)


def _finish_deletions(spool: Path) -> Retired:
    """Delete the directories that `retired.json` names, after which the names are needed no longer."""
    retired = read_retired(spool)
    for writer in retired.writers:
        if (spool / writer).exists():
            shutil.rmtree(spool / writer)
    return msgspec.structs.replace(retired, writers=())


def _delete_stillborn(directory: Path, now_seconds: float) -> None:
    if not segment_indexes(directory) and now_seconds - directory.stat().st_mtime > _START_SECONDS:
        shutil.rmtree(directory)


def _delete_passed(directory: Path, segment: int, *, spare_bytes: int) -> None:
    """Delete the segments before this one, but for some whose writer may use them again."""
    spares = spare_segments(directory)
    room = spare_bytes - sum(map(size_of, spares))
    for path in [directory / segment_name(index) for index in segment_indexes(directory) if index < segment]:
        room -= path.stat().st_size
        if room >= 0:
            path.rename(path.with_suffix(SPARE_SUFFIX))
        else:
            path.unlink()
    if not spare_bytes:
        for spare in spares:
            Path(spare).unlink()


def _is_over(directory: Path, ledger: LedgerSnapshot, loader: LoaderState) -> bool:
    """Whether the writer is dead, has nothing left to read, and the loader has settled all that it promised."""
    writer = directory.name
    return not ledger.alive and not segment_indexes(directory) and writer not in loader.intent and totals_of(writer, ledger, loader).pending == 0


def _retire_writer(directory: Path, ledger: LedgerSnapshot, loader: LoaderState, retired: Retired) -> Retired:
    totals = totals_of(directory.name, ledger, loader)
    retired = Retired(totals=retired.totals.plus(totals), writers=(*retired.writers, directory.name))
    write_state(directory.parent / RETIRED_NAME, retired, fsync=True)  # what it counts is deleted next
    shutil.rmtree(directory)
    return retired
