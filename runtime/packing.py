"""Values of JSON to a tensor's bytes, little-endian and row-major, as the binary extension of Open Inference V2 lays them out.

Requests wait as bytes, in whatever form they came: putting a batch together is then joining bytes.
"""

from __future__ import annotations

import struct
import sys
from array import array
from functools import lru_cache
from itertools import chain
from typing import Any, Final, TypeAlias

from payloads.binary_tensors import CODES
from runtime.refusal import Refused

Content: TypeAlias = bytes | list[str]
"""A tensor's values: texts for BYTES, else bytes."""

MAX_RANK: Final = 32

_FLOATS: Final = frozenset({"FP16", "FP32", "FP64"})
_BOOLEANS: Final = frozenset({True, False})
_ARRAY_FROM: Final = 4096
"""From so many values on an array takes them: struct would put each on the stack."""


def pack(name: str, datatype: str, values: list[Any], *, missing: bool = False) -> Content:
    """Return flat values of JSON as a tensor's content; with `missing`, null is NaN. Raises Refused where a value is none of the datatype."""
    if datatype == "BYTES":
        if not all(type(value) is str for value in values):
            raise Refused(400, f"input {name}: expected texts for BYTES, found {_first(values, str)}")
        return values
    if datatype == "BOOL" and not all(value is True or value is False or (type(value) is int and value in _BOOLEANS) for value in values):
        raise Refused(400, f"input {name}: expected true or false for BOOL, found {_first(values, bool)}")
    try:
        return _packed(datatype, values)
    except (struct.error, TypeError, OverflowError):
        if missing and datatype in _FLOATS and None in values:
            return pack(name, datatype, [float("nan") if value is None else value for value in values])
        raise Refused(400, f"input {name}: expected numbers of {datatype}, found {_offender(datatype, values)}") from None


def flatten(name: str, data: list[Any]) -> list[Any]:
    """Return the leaves of nested lists in row-major order. Raises Refused where rows differ in length."""
    for _ in range(MAX_RANK):
        if not data or type(data[0]) is not list:
            return data
        width = len(data[0])
        if any(type(row) is not list or len(row) != width for row in data):
            raise Refused(400, f"input {name}: expected rows of equal length")
        data = list(chain.from_iterable(data))
    raise Refused(400, f"input {name}: expected at most {MAX_RANK} nested lists")


def texts_of(name: str, content: bytes) -> list[str]:
    """Return the elements of a BYTES tensor, each of 4 bytes of length and that many bytes of UTF-8. Raises Refused."""
    texts: list[str] = []
    position = 0
    while position < len(content):
        start = position + 4
        position = start + int.from_bytes(content[position:start], "little")
        if position > len(content):
            raise Refused(400, f"input {name}: expected elements of a length and that many bytes, found one that ends {position - len(content)} bytes too late")
        try:
            texts.append(content[start:position].decode())
        except UnicodeDecodeError:
            raise Refused(400, f"input {name}: expected UTF-8 in element {len(texts)}") from None
    return texts


def packed_texts(texts: list[str]) -> bytes:
    """Return what `texts_of` reads."""
    encoded = [text.encode(errors="replace") for text in texts]
    return b"".join(chain.from_iterable((len(text).to_bytes(4, "little"), text) for text in encoded))


def _packed(datatype: str, values: list[Any]) -> bytes:
    code = CODES[datatype]
    if len(values) < _ARRAY_FROM or code in "e?":
        return _structure(code, len(values)).pack(*values)
    numbers = array(code, values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


@lru_cache(maxsize=256)
def _structure(code: str, count: int) -> struct.Struct:
    return struct.Struct(f"<{count}{code}")


def _offender(datatype: str, values: list[Any]) -> str:
    for value in values:
        try:
            _packed(datatype, [value])
        except (struct.error, TypeError, OverflowError):
            return _shown(value)
    return "others"


def _first(values: list[Any], kind: type) -> str:
    return _shown(next(value for value in values if type(value) is not kind))


def _shown(value: Any) -> str:
    written = "null" if value is None else repr(value)
    return written if len(written) <= 40 else written[:39] + "…"
