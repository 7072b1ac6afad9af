"""One request as it waits to be computed, and what a batch gave for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import orjson

from runtime.packing import Content
from runtime.refusal import Refused
from runtime.session import Array

Shape: TypeAlias = tuple[int, ...]
Key: TypeAlias = tuple[Shape, ...] | None
"""Requests with equal keys can be computed together; None is computed alone."""

DEFAULT_PRIORITY: Final = 5
PRIORITIES: Final = 9
"""Priorities are from 1, which goes first, to this."""


class Inference:
    """A request, decoded and checked."""

    __slots__ = ("abandoned", "answered", "arrived_ns", "asker", "contents", "deadline_ns", "key", "priority", "rows", "shapes", "timeout_ns")

    contents: Sequence[Content]
    """One per input, in the signature's order."""
    shapes: Sequence[Shape]
    key: Key
    rows: int
    """How many it counts for in a batch; 1 where it is computed alone."""
    priority: int
    timeout_ns: int
    """0 where the model's own holds."""
    arrived_ns: int
    deadline_ns: int
    abandoned: bool
    """Nobody waits for it any more."""
    answered: bool
    """It is counted, and answered if somebody waited for it."""
    asker: Asker
    """Who is told what became of it: once, on the event loop."""

    def __init__(self, contents: Sequence[Content], shapes: Sequence[Shape]) -> None:
        self.contents = contents
        self.shapes = shapes
        self.key = None
        self.rows = 1
        self.priority = DEFAULT_PRIORITY
        self.timeout_ns = 0
        self.arrived_ns = 0
        self.deadline_ns = 0
        self.abandoned = False
        self.answered = False


class Computed:
    """The outputs of a batch, or of one request computed alone."""

    __slots__ = ("_texts", "frames", "outputs", "together")

    def __init__(self, outputs: list[Array], *, together: bool) -> None:
        """With `together` the first axis of every output counts the rows of all requests; else all of it is one request's."""
        self.outputs = outputs
        self.together = together
        self.frames: dict[int, list[bytes]] = {}
        """What a protocol writes around the values of a request, by its rows; kept by whoever writes it, for the requests that are answered next."""
        self._texts: list[list[bytes] | None] = [None] * len(outputs)

    def text(self, output: int, start: int, rows: int) -> bytes:
        """Return the values of some rows as JSON, flat and row-major, without brackets. Missing and infinite ones are null."""
        texts = self._texts[output]
        if texts is None:
            texts = self._texts[output] = self._written(self.outputs[output])
        if not self.together:
            return texts[0]
        return texts[start] if rows == 1 else b",".join(texts[start : start + rows])

    def part(self, output: int, start: int, rows: int) -> Array:
        """Return the values of some rows."""
        array = self.outputs[output]
        return array[start : start + rows] if self.together else array

    def _written(self, array: Array) -> list[bytes]:
        """Write all rows at once: for small ones that costs a tenth of writing each."""
        if not self.together:
            return [_json(array.reshape(-1))[1:-1]]
        if not len(array):
            return []
        table = array.reshape(len(array), math.prod(array.shape[1:]))
        return [_json(row)[1:-1] for row in table] if array.dtype.hasobject else _json(table)[2:-2].split(b"],[")


class Result:
    """What one request gets of it."""

    __slots__ = ("computed", "rows", "start")

    def __init__(self, computed: Computed, start: int, rows: int) -> None:
        self.computed = computed
        self.start = start
        self.rows = rows

    def text(self, output: int) -> bytes:
        """See Computed."""
        return self.computed.text(output, self.start, self.rows)

    def array(self, output: int) -> Array:
        """Return the values of one output."""
        return self.computed.part(output, self.start, self.rows)

    def shape(self, output: int) -> Shape:
        """Return the shape of one output."""
        shape: Shape = self.computed.outputs[output].shape
        return (self.rows, *shape[1:]) if self.computed.together else shape


Outcome: TypeAlias = Result | Refused


class Asker:
    """Who waits for what becomes of a request."""

    __slots__ = ()

    def answered(self, outcome: Outcome) -> None:
        """The request is computed, or refused."""
        raise NotImplementedError


def _json(array: Array) -> bytes:
    values: Any = array.tolist() if array.dtype.hasobject else np.ascontiguousarray(array)
    return orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)
