"""Labels from a file: through the monitor that holds the store, else into the store by this process."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
import pyarrow as pa
from pyarrow import parquet

from config.settings import Settings
from driftline.decoding import Decoding
from driftline.labelling import JOURNAL_LOCK_NAME, Labelling
from driftline.naming import Naming, load_baselines
from driftline.store_access import MonitorConnection, connect_to_monitor, opened_store
from labels.reading import Record, csv_records, json_lines
from records.label import LabelSource
from records.ports import LabelsNotKeptError, StoreUnavailableError, UnreadableLabelsError
from records.receipt import Receipt
from store.clickhouse.labels import LabelTable
from store.directories import make_private
from store.owner import HeldError, take_lock

Intake: TypeAlias = Callable[[Sequence[Any]], Receipt]
"""Takes records; the receipt's lines count them from 1. Raises LabelsNotKeptError or StoreUnavailableError."""

_ROWS_AT_ONCE: Final = 5_000


@contextmanager
def open_records(path: Path) -> Iterator[Iterator[Record]]:
    """Yield the records of a table. Raises OSError or UnreadableLabelsError with a sentence for the user."""
    kind = path.suffix.lower()
    if kind == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield csv_records(file)
    elif kind in {".ndjson", ".jsonl"}:
        with path.open("rb") as lines:
            yield json_lines(lines)
    elif kind == ".parquet":
        yield _parquet_records(path)
    else:
        raise UnreadableLabelsError(f"expected a file named *.csv, *.ndjson, *.jsonl or *.parquet, found {path.name!r}")


def _parquet_records(path: Path) -> Iterator[Record]:
    try:
        with parquet.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(_ROWS_AT_ONCE):
                for number, row in enumerate(batch.to_pylist(), start=number + 1):  # noqa: B020 - the rows of all batches are counted on
                    yield number, {name: _plain(value) for name, value in row.items() if value is not None}
    except pa.ArrowException as error:
        raise UnreadableLabelsError(f"{path} is not a Parquet file that can be read: {error}") from error


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


@contextmanager
def open_intake(settings: Settings) -> Iterator[Intake]:
    """Yield what takes labels into the store that the settings name. Raises StoreUnavailableError, OSError or ValueError with a sentence for the user."""
    connection = connect_to_monitor(settings)
    if connection is not None:
        try:
            yield lambda records: _send(connection, records)
        finally:
            connection.close()
        return
    with _labelling(settings) as labelling:

        def take(records: Sequence[Any]) -> Receipt:
            receipt = labelling.accept(enumerate(records, start=1), LabelSource.IMPORT)
            while labelling.step(time.time_ns()):
                pass
            return receipt

        yield take


@contextmanager
def _labelling(settings: Settings) -> Iterator[Labelling]:
    directory = Path(settings.data_dir)
    with ExitStack() as stack:
        table = LabelTable(stack.enter_context(opened_store(settings)))
        make_private(directory)
        try:
            lock = take_lock(directory / JOURNAL_LOCK_NAME, f"The journal of labels in {directory}", "--data-dir")
        except HeldError as error:
            raise StoreUnavailableError(str(error)) from error
        stack.callback(os.close, lock)
        decoding = Decoding(settings.routes)
        naming = Naming(load_baselines(settings.routes), decoding.identify)
        shadowed = {route.name for route in settings.routes if route.shadows}
        labelling = Labelling(directory, settings.labels, table, naming, decoding, settings.drift.window_time, shadowed)
        stack.callback(labelling.close)
        yield labelling


def _send(connection: MonitorConnection, records: Sequence[Any]) -> Receipt:
    try:
        connection.request("POST", "/labels", msgspec.json.encode(records), {"Content-Type": "application/json"})
        reply = connection.getresponse()
        content = reply.read()
    except http.client.HTTPException as error:
        raise StoreUnavailableError(f"the monitor broke off its answer ({type(error).__name__}); see its log") from error
    if reply.status == http.client.SERVICE_UNAVAILABLE:
        raise LabelsNotKeptError(_error(content))
    try:
        return msgspec.json.decode(content, type=Receipt)
    except msgspec.DecodeError:
        raise StoreUnavailableError(_error(content)) from None


def _error(content: bytes) -> str:
    return str(msgspec.json.decode(content)["error"])
