"""MLflow's scoring protocol: `POST /invocations`.

Source: MLflow's `pyfunc/scoring_server`. Requests are CSV with a header, or a JSON object with one of `dataframe_split`,
`dataframe_records`, `instances` and `inputs`; replies are `{"predictions": …}`. A tensor without a name is called `inputs`
in requests and `predictions` in replies.
"""

from __future__ import annotations

import csv
import io
import re
from functools import partial
from typing import Any, Final

from payloads.json_documents import Forms, load_object, read_form
from payloads.nested_lists import tensor_of, tensors_of_columns, tensors_of_rows
from payloads.refusal import Refused
from records.exchange import Body
from records.payload import Decoded, Tensor, Undecodable

NAME: Final = "mlflow"
PATH: Final = re.compile(r".*/invocations/?")

_MISSING_CELLS: Final = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"})


def decode_request(content: bytes, body: Body, model: str, version: str) -> Decoded:
    """Return the inputs: one tensor per column of a table."""
    is_csv = body.content_type.strip().lower().startswith("text/csv")
    return Decoded(NAME, _tensors_of_csv(content) if is_csv else read_form(load_object(content), _REQUEST_FORMS), model, version)


def decode_reply(content: bytes, body: Body, model: str, version: str) -> Decoded:  # noqa: ARG001 - every format reads alike
    """Return the predictions: a data frame comes as records, anything else as nested lists."""
    return Decoded(NAME, read_form(load_object(content), _REPLY_FORMS), model, version)


def _tensors_of_split(frame: Any) -> list[Tensor]:
    """Return a data frame of pandas' `split` orientation: one tensor per column, or one in all where columns have no names."""
    if type(frame) is not dict or type(frame.get("data")) is not list:
        raise Refused(Undecodable.MALFORMED)
    if "columns" not in frame:
        return [tensor_of("inputs", frame["data"])]
    return [tensor_of(name, column) for name, column in _columns(frame["columns"], frame["data"])]


def _tensors_of_csv(content: bytes) -> list[Tensor]:
    """Return one tensor per column; a column is numeric where every cell that is not missing is a number."""
    try:
        rows = [row for row in csv.reader(io.StringIO(content.decode("utf-8-sig"))) if row]
    except (UnicodeDecodeError, csv.Error):
        raise Refused(Undecodable.MALFORMED) from None
    if not rows:
        raise Refused(Undecodable.EMPTY)
    return [tensor_of(name, _parsed_cells(cells)) for name, cells in _columns(rows[0], rows[1:])]


def _columns(names: Any, rows: list[Any]) -> list[tuple[str, list[Any]]]:
    """Turn rows into named columns; every row must have a value for each name."""
    if type(names) is not list or any(type(row) is not list for row in rows):
        raise Refused(Undecodable.MALFORMED)
    if any(len(row) != len(names) for row in rows):
        raise Refused(Undecodable.RAGGED)
    columns = zip(*rows, strict=True) if rows else ([] for _ in names)
    return [(str(name), list(column)) for name, column in zip(names, columns, strict=True)]


def _parsed_cells(cells: list[str]) -> list[Any]:
    values = [None if cell in _MISSING_CELLS else cell for cell in cells]
    try:
        return [None if value is None else float(value) for value in values]
    except ValueError:
        return list(values)


def _tensors_of_predictions(predictions: Any) -> list[Tensor]:
    """Return rows (a list, of objects for a data frame) or columns (an object)."""
    return (tensors_of_rows if type(predictions) is list else tensors_of_columns)("predictions", predictions)


_REQUEST_FORMS: Final[Forms] = {
    "dataframe_split": _tensors_of_split,
    "dataframe_records": partial(tensors_of_rows, "inputs"),
    "instances": partial(tensors_of_rows, "inputs"),
    "inputs": partial(tensors_of_columns, "inputs"),
}
_REPLY_FORMS: Final[Forms] = {"predictions": _tensors_of_predictions}
