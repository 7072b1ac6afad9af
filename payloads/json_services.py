"""Services without a protocol of their own (Ray Serve, BentoML, LitServe, FastAPI): any JSON, of which the settings say what matters.

Two JMESPath expressions (jmespath.org) pick the features out of requests and the predictions out of replies. What they give is read so: a list is
rows, anything else one row; objects give a tensor per key, and so name their columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import jmespath
import orjson
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from jmespath.parser import ParsedResult

from payloads.json_documents import load
from payloads.nested_lists import tensors_of_document
from payloads.refusal import Refused
from records.exchange import Body
from records.payload import Decoded, Tensor, Undecodable

NAME: Final = "json"


class JsonService:
    """The format of one route: what its settings say."""

    NAME: Final = NAME
    PATH: Final = re.compile(r".*")

    def __init__(self, features: str, predictions: str) -> None:
        """Take two expressions; an empty one stands for the whole body. Raises ValueError with a sentence for the user."""
        self._features = compile_expression(features or "@")
        self._predictions = compile_expression(predictions or "@")

    def decode_request(self, content: bytes, body: Body, model: str, version: str) -> Decoded:  # noqa: ARG002 - every format reads alike
        """Return the features."""
        return Decoded(NAME, _tensors("inputs", self._features, load(content)), model, version)

    def decode_reply(self, content: bytes, body: Body, model: str, version: str) -> Decoded:  # noqa: ARG002 - every format reads alike
        """Return the predictions."""
        return Decoded(NAME, _tensors("predictions", self._predictions, load(content)), model, version)


def compile_expression(expression: str) -> ParsedResult:
    """Return the expression, ready to search with. Raises ValueError with a sentence for the user."""
    try:
        compiled = jmespath.compile(expression)
        unknown = next((name for name in _functions(compiled.parsed) if name not in Functions.FUNCTION_TABLE), "")
        reason = f"there is no function {unknown}" if unknown else ""
    except (JMESPathError, RecursionError) as error:
        reason = str(error).splitlines()[0]
    if reason:
        raise ValueError(f"expected a JMESPath expression, found {expression!r} ({reason}); for example: instances[].{{age: age, city: address.city}}")
    return compiled


def _functions(node: Any) -> Iterator[str]:
    """Yield the names of the functions in a syntax tree: an unknown one is otherwise known only when it is called."""
    if isinstance(node, dict):
        if node["type"] == "function_expression":
            yield node["value"]
        for child in node["children"]:
            yield from _functions(child)


def _tensors(name: str, expression: ParsedResult, document: Any) -> list[Tensor]:
    """Return what the expression finds; nothing found is no data, and a function that its argument does not suit a broken body."""
    try:
        found = expression.search(document)
        orjson.dumps(found)  # finds what `to_number` makes of too many digits
    except (JMESPathError, RecursionError, ArithmeticError, ValueError, TypeError):
        raise Refused(Undecodable.MALFORMED) from None
    if found is None:
        raise Refused(Undecodable.NO_DATA)
    return tensors_of_document(name, found)
