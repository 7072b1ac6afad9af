"""`driftline labels import FILE`: what turned out to be true of predictions, from a table."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from config.load import ConfigError
from config.options import add_config_option, add_option, settings_of
from driftline.label_import import Intake, open_intake, open_records
from labels.reading import Record
from records.ports import LabelsNotKeptError, StoreUnavailableError
from records.receipt import Receipt, Refusal

_BATCH_LABELS: Final = 5_000
_FULL_SECONDS: Final = 2.0
_FULL_ATTEMPTS: Final = 60
_REFUSALS_SHOWN: Final = 20
_PROGRESS_SECONDS: Final = 1.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    text = "Take labels from a file. It can be broken off and begun again: a label that is there already changes nothing."
    action = actions.add_parser("import", help="take labels from a file", description=text)
    add_config_option(action)
    add_option(action, "--data-dir", "data_dir")
    add_option(action, "--clickhouse", "store.clickhouse")
    action.add_argument("file", type=Path, metavar="FILE", help="*.csv, *.ndjson, *.jsonl or *.parquet: label, and one of exchange_id, request_id and key.")


def run(arguments: argparse.Namespace) -> int:
    """Import: 0 where every line was a label, 1 where some were not or labels cannot be kept now, 2 where nothing could be read."""
    progress = _Progress()
    try:
        settings = settings_of(arguments, routes_needed=False)
        with open_records(arguments.file) as records, open_intake(settings) as take:
            for batch in _batches(records):
                progress.add(*_take(take, batch))
    except (LabelsNotKeptError, StoreUnavailableError) as error:
        return _complain(f"{error} {progress} Import the file again later: what is there already changes nothing.", 1)
    except (ConfigError, OSError, ValueError) as error:
        return _complain(error, 2)
    sys.stdout.write(f"{progress}\n")
    return 1 if progress.refused else 0


class _Progress:
    """What became of the lines so far; tells a terminal now and then."""

    def __init__(self) -> None:
        self.accepted = 0
        self.refused = 0
        self._told_at = time.monotonic()

    def __str__(self) -> str:
        return f"{self.accepted:,} labels taken, {self.refused:,} lines refused."

    def add(self, receipt: Receipt, refusals: Sequence[Refusal]) -> None:
        """Count a batch, and show what was refused of it."""
        for refusal in refusals[: max(0, _REFUSALS_SHOWN - self.refused)]:
            sys.stderr.write(f"driftline labels: line {refusal.line}: {refusal.error}\n")
        self.accepted += receipt.accepted
        self.refused += receipt.refused + len(refusals) - len(receipt.errors)
        if sys.stderr.isatty() and time.monotonic() - self._told_at > _PROGRESS_SECONDS:
            sys.stderr.write(f"{self}\n")
            self._told_at = time.monotonic()


def _batches(records: Iterator[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    labels = 0
    for line, record in records:
        batch.append((line, record))
        label = record.get("label") if isinstance(record, dict) else None
        labels += len(label) if isinstance(label, list) else 1
        if labels >= _BATCH_LABELS:
            yield batch
            batch, labels = [], 0
    if batch:
        yield batch


def _take(take: Intake, batch: Iterable[Record]) -> tuple[Receipt, list[Refusal]]:
    """Return the receipt, and all refusals by the file's lines."""
    unread = [record for _, record in batch if isinstance(record, Refusal)]
    readable = [(line, record) for line, record in batch if not isinstance(record, Refusal)]
    receipt = _taken(take, [record for _, record in readable]) if readable else Receipt(accepted=0, refused=0)
    return receipt, unread + [Refusal(readable[each.line - 1][0], each.error) for each in receipt.errors]


def _taken(take: Intake, records: Sequence[Any]) -> Receipt:
    """Take the records, patiently: where labels wait for the store, there will be room again."""
    for _ in range(_FULL_ATTEMPTS):
        try:
            return take(records)
        except LabelsNotKeptError:
            time.sleep(_FULL_SECONDS)
    return take(records)


def _complain(error: object, status: int) -> int:
    sys.stderr.write(f"driftline labels: {error}\n")
    return status
