"""Azure Machine Learning's online endpoints: `POST /score`.

Source: the examples of `azureml-examples`. A scoring script may read any JSON; understood are the members that Azure's own servers and templates
use, `input_data` (MLflow models), `data` and `Inputs` (automated ML and the designer), and for replies `result`, `Results` and bare lists. A reply may
be JSON within a JSON string, as scripts that return `json.dumps(…)` write it.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final

from payloads.json_documents import Forms, load, load_object, read_form
from payloads.nested_lists import tensors_of_columns, tensors_of_document, tensors_of_rows
from payloads.refusal import Refused
from payloads.tables import tensors_of_split
from records.exchange import Body
from records.payload import Decoded, Tensor, Undecodable

NAME: Final = "azureml"
PATH: Final = re.compile(r".*/score/?")


def decode_request(content: bytes, body: Body, model: str, version: str) -> Decoded:  # noqa: ARG001 - every format reads alike
    """Return the inputs."""
    return Decoded(NAME, read_form(load_object(content), _REQUEST_FORMS), model, version)


def decode_reply(content: bytes, body: Body, model: str, version: str) -> Decoded:  # noqa: ARG001 - every format reads alike
    """Return the predictions."""
    document = load(content)
    if type(document) is str:
        document = load(document.encode())
    return Decoded(NAME, _predictions(document), model, version)


def _predictions(document: Any) -> list[Tensor]:
    if type(document) is dict:
        if document.keys() & _REPLY_FORMS.keys():
            return read_form(document, _REPLY_FORMS)
        if "error" in document:
            raise Refused(Undecodable.ERROR_REPLY)
    return tensors_of_document("predictions", document)


def _tensors_of_input_data(data: Any) -> list[Tensor]:
    """Return a data frame, or named columns, or rows."""
    if type(data) is dict:
        return tensors_of_split(data) if "data" in data else tensors_of_columns("inputs", data)
    return tensors_of_rows("inputs", data)


def _tensors_of_ports(name: str, ports: Any) -> list[Tensor]:
    """Return the rows of the one port of a designer's pipeline, `{"WebServiceInput0": [rows]}`, or of automated ML's `data`."""
    rows = next(iter(ports.values())) if type(ports) is dict and len(ports) == 1 else ports
    return tensors_of_rows(name, rows)


_REQUEST_FORMS: Final[Forms] = {
    "input_data": _tensors_of_input_data,
    "data": _tensors_of_input_data,
    "Inputs": partial(_tensors_of_ports, "inputs"),
}
_REPLY_FORMS: Final[Forms] = {
    "result": partial(tensors_of_rows, "predictions"),
    "predictions": partial(tensors_of_rows, "predictions"),
    "Results": partial(_tensors_of_ports, "predictions"),
}
