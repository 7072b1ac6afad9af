"""Labels as callers write them: JSON, JSON Lines or CSV. A line that is not a label is told apart, and the others count.

One label names its exchange by exactly one of `exchange_id`, `request_id` and `key`, and has a `label`: a number, a text, a boolean, or a list of them
for the rows of a request that asked for several predictions. `row` (from 0) says which row a single one is about, `labelled_at` when it became known.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final, TypeAlias
from uuid import UUID

import msgspec

from labels.comparing import text
from records.label import MAX_TEXT_CHARACTERS, NO_EXCHANGE, Label, Subject
from records.ports import UnreadableLabelsError
from records.receipt import Refusal

MAX_ROWS: Final = 100_000
"""Rows of one request, as `payloads` reads at most."""

_FIELDS: Final = ("exchange_id", "request_id", "key", "row", "label", "labelled_at")
_IDS: Final = _FIELDS[:3]
_LATEST_SECONDS: Final = 4_102_444_800  # the year 2100: what is beyond was not in seconds

Parsed: TypeAlias = Label | Refusal
Record: TypeAlias = tuple[int, Any]
"""A line's number, and what it holds: an object, or why it could not be read."""


class _Refused(Exception):  # noqa: N818 - an expected outcome that stays inside this module
    """Leaves the reading of one line."""


def read_labels(records: Iterable[Record], *, received_at_ns: int, source: str) -> Iterator[Parsed]:
    """Yield the labels of records, and a refusal for each record that has none.

    Each label was received a nanosecond after the one before it, so that they can be told apart.
    """
    moments_ns = count(received_at_ns)
    for line, record in records:
        if isinstance(record, Refusal):
            yield record
            continue
        try:
            yield from _labels(record, moments_ns, source)
        except _Refused as refused:
            yield Refusal(line, str(refused))


def records_of(content: bytes, content_type: str) -> Iterator[Record]:
    """Return the records of a body. Raises `UnreadableLabelsError` where it is not of one of the three kinds."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind in {"application/x-ndjson", "application/jsonl", "application/json-lines", "application/x-jsonlines"}:
        return json_lines(io.BytesIO(content))
    if kind == "text/csv":
        return csv_records(_decoded(content))
    if kind in {"application/json", ""}:
        return _json_records(content)
    raise UnreadableLabelsError(f"expected the content type application/json, application/x-ndjson or text/csv, found {kind!r}")


def json_lines(lines: Iterable[bytes]) -> Iterator[Record]:
    """Yield the record of every line that is not empty."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield number, msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                yield number, Refusal(number, f"expected a JSON object on one line, found something else: {error}")


def csv_records(content: Iterable[str]) -> Iterator[Record]:
    """Yield the records of CSV with a header. Raises `UnreadableLabelsError` where the header does not do."""
    rows = csv.reader(content)
    try:
        names = [name.strip() for name in next(rows, [])]
        if "label" not in names or not set(names).intersection(_IDS):
            raise UnreadableLabelsError(f"expected a CSV header with label and one of {', '.join(_IDS)}, found {','.join(names)[:200]!r}")
        for cells in rows:
            if cells:
                yield rows.line_num, _csv_record(rows.line_num, names, cells)
    except csv.Error as error:
        yield rows.line_num, Refusal(rows.line_num, f"expected CSV, found something else from here on: {error}")


def _csv_record(line: int, names: list[str], cells: list[str]) -> Any:
    if len(cells) != len(names):
        return Refusal(line, f"expected {len(names)} cells as in the header, found {len(cells)}")
    record: dict[str, Any] = {name: cell for name, cell in zip(names, cells, strict=True) if cell}
    row = record.get("row", "")
    return record | {"row": int(row)} if row.isascii() and row.isdigit() and len(row) < 10 else record


def _json_records(content: bytes) -> Iterator[Record]:
    try:
        document = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableLabelsError(f'expected JSON: a label, a list of labels, or {{"labels": [...]}}; {error}') from None
    if isinstance(document, dict) and "labels" in document:
        document = document["labels"]
    return enumerate(document if isinstance(document, list) else [document], start=1)


def _decoded(content: bytes) -> Iterable[str]:
    try:
        return io.StringIO(content.decode("utf-8-sig"), newline="")
    except UnicodeDecodeError as error:
        raise UnreadableLabelsError(f"expected CSV in UTF-8: {error}") from None


def _labels(record: Any, moments_ns: Iterator[int], source: str) -> Iterator[Label]:
    if not isinstance(record, Mapping):
        raise _Refused(f'expected an object such as {{"request_id": "r-1", "label": 1}}, found {record!r:.80}')
    unknown = sorted(str(name) for name in record.keys() - set(_FIELDS))
    if unknown:
        raise _Refused(f"expected no other fields than {', '.join(_FIELDS)}, found {unknown[0]!r:.80}")
    if record.get("label") is None:
        raise _Refused("expected a label (a number, a text, a boolean, or a list of them), found none")
    exchange_id, request_id, key = _ids(record)
    labelled_at_ns = _moment(record.get("labelled_at"))
    first, values = _rows(record)
    texts = [_label(value) for value in values]  # all or none of a record
    for row, value in enumerate(texts, start=first):
        received_at_ns = next(moments_ns)
        moment_ns = received_at_ns if labelled_at_ns is None else labelled_at_ns
        yield Label(Subject(exchange_id, request_id, key, row), value, moment_ns, received_at_ns, source)


def _ids(record: Mapping[str, Any]) -> tuple[bytes, str, str]:
    given = [name for name in _IDS if record.get(name) is not None]
    if len(given) != 1:
        raise _Refused(f"expected exactly one of {', '.join(_IDS)}, found {' and '.join(given) or 'none'}")
    name, value = given[0], record[given[0]]
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_TEXT_CHARACTERS:
        raise _Refused(f"expected a text of 1 to {MAX_TEXT_CHARACTERS} characters as {name}, found {value!r:.80}")
    if name != "exchange_id":
        return NO_EXCHANGE, value if name == "request_id" else "", value if name == "key" else ""
    try:
        return UUID(value).bytes, "", ""
    except ValueError:
        raise _Refused(f"expected a UUID as exchange_id, found {value!r:.80}") from None


def _rows(record: Mapping[str, Any]) -> tuple[int, list[Any]]:
    """Return the first row, and the label of it and of those that follow."""
    value, row = record["label"], record.get("row")
    if row is not None and (type(row) is not int or not 0 <= row < MAX_ROWS):
        raise _Refused(f"expected a whole number from 0 to {MAX_ROWS - 1} as row, found {row!r:.80}")
    if not isinstance(value, list):
        return row or 0, [value]
    if row is not None:
        raise _Refused("expected either a row or a list of labels, found both")
    if not 1 <= len(value) <= MAX_ROWS:
        raise _Refused(f"expected 1 to {MAX_ROWS} labels in the list, found {len(value)}")
    return 0, value


def _label(value: Any) -> str:
    written = text(value) if isinstance(value, str | int | float) else None
    if not written or len(written) > MAX_TEXT_CHARACTERS or (isinstance(value, float) and not math.isfinite(value)):
        raise _Refused(f"expected a finite number, a boolean, or a text of 1 to {MAX_TEXT_CHARACTERS} characters as label, found {value!r:.80}")
    return written


def _moment(value: Any) -> int | None:
    """Return Unix nanoseconds of RFC 3339 text or of Unix seconds; None where nothing was said."""
    if value is None:
        return None
    seconds = _seconds(value)
    if seconds is None or not 0 <= seconds < _LATEST_SECONDS:
        raise _Refused(f"expected a time such as 2026-01-31T12:00:00Z, or Unix seconds, as labelled_at, found {value!r:.80}")
    return round(seconds * 1e6) * 1000


def _seconds(value: Any) -> float | None:
    if isinstance(value, int | float):
        return float(value)
    if not isinstance(value, str):
        return None
    try:
        return float(value) if value[:1].isdigit() and "-" not in value[1:] and ":" not in value else _unix(datetime.fromisoformat(value))
    except (ValueError, OverflowError):
        return None


def _unix(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
