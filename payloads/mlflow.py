"""MLflow's scoring protocol: `POST /invocations`.

Source: MLflow's `pyfunc/scoring_server`. Requests are CSV with a header, or a JSON object with one of `dataframe_split`,
`dataframe_records`, `instances` and `inputs`; replies are `{"predictions": …}`. A tensor without a name is called `inputs`
in requests and `predictions` in replies; `params` are the caller's options, and not watched. Bodies with `messages`, `prompt` or `input` are those of
OpenAI's API, and so are their replies.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final

import msgspec

from payloads import openai_compatible
from payloads.event_streams import is_stream
from payloads.json_documents import Forms, load_object, read_form
from payloads.media_types import media_type
from payloads.nested_lists import tensors_of_columns, tensors_of_rows
from payloads.tables import tensors_of_csv, tensors_of_split
from records.exchange import Body
from records.payload import Decoded, Tensor

NAME: Final = "mlflow"
PATH: Final = re.compile(r".*/invocations/?")

_ASKED: Final = frozenset({"messages", "prompt", "input"})
_ANSWERED: Final = frozenset({"choices", "data"})


def decode_request(content: bytes, body: Body, model: str, version: str) -> Decoded:
    """Return the inputs: one tensor per column of a table, or what a language model is asked."""
    if media_type(body.content_type) == "text/csv":
        return Decoded(NAME, tensors_of_csv(content), model, version)
    document = load_object(content)
    if not _ASKED.isdisjoint(document):
        return msgspec.structs.replace(openai_compatible.decode_request(content, body, model, version), format=NAME)
    return Decoded(NAME, read_form(document, _REQUEST_FORMS), model, version)


def decode_reply(content: bytes, body: Body, model: str, version: str) -> Decoded:
    """Return the predictions: a data frame comes as records, anything else as nested lists. A language model's answer comes unwrapped."""
    if is_stream(body) or not _ANSWERED.isdisjoint(document := load_object(content)):
        return msgspec.structs.replace(openai_compatible.decode_reply(content, body, model, version), format=NAME)
    return Decoded(NAME, read_form(document, _REPLY_FORMS), model, version)


def _tensors_of_predictions(predictions: Any) -> list[Tensor]:
    """Return rows (a list, of objects for a data frame) or columns (an object)."""
    return (tensors_of_rows if type(predictions) is list else tensors_of_columns)("predictions", predictions)


_REQUEST_FORMS: Final[Forms] = {
    "dataframe_split": tensors_of_split,
    "dataframe_records": partial(tensors_of_rows, "inputs"),
    "instances": partial(tensors_of_rows, "inputs"),
    "inputs": partial(tensors_of_columns, "inputs"),
}
_REPLY_FORMS: Final[Forms] = {"predictions": _tensors_of_predictions}
