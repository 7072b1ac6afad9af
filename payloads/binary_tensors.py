"""Little-endian tensors, as the binary tensor extension of Open Inference V2 lays them out, to values."""

from __future__ import annotations

import struct
from typing import Any, Final, Literal, TypeAlias

from payloads.refusal import Refused
from records.payload import Undecodable

Datatype: TypeAlias = Literal["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "BF16", "FP32", "FP64", "BYTES"]
"""Open Inference V2's names, and Triton's BF16."""

CODES: Final = {
    "BOOL": "?",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
"""Datatype to the code of `struct`."""


def width_bytes(datatype: str) -> int:
    """Return the length of one number."""
    return 2 if datatype == "BF16" else struct.calcsize("<" + CODES[datatype])


def unpack(datatype: str, count: int, content: bytes) -> list[Any]:
    """Return the `count` values of `content`, or refuse where it does not hold exactly as many."""
    if datatype == "BYTES":
        values = _unpack_texts(content)
    elif datatype == "BF16":
        values = _unpack_numbers("f", _widened(content))
    else:
        values = _unpack_numbers(CODES[datatype], content)
    if len(values) != count:
        raise Refused(Undecodable.MALFORMED)
    return values


def _unpack_numbers(code: str, content: bytes) -> list[Any]:
    count, rest = divmod(len(content), struct.calcsize("<" + code))
    if rest:
        raise Refused(Undecodable.MALFORMED)
    return list(struct.unpack(f"<{count}{code}", content))


def _widened(content: bytes) -> bytes:
    """Return bfloat16 as float32: it is float32's upper half."""
    if len(content) % 2:
        raise Refused(Undecodable.MALFORMED)
    wide = bytearray(2 * len(content))
    wide[2::4] = content[0::2]
    wide[3::4] = content[1::2]
    return bytes(wide)


def _unpack_texts(content: bytes) -> list[str]:
    """Read elements of 4 bytes of length and that many bytes; bytes that are not UTF-8 are escaped."""
    texts: list[str] = []
    position = 0
    while position < len(content):
        start = position + 4
        position = start + int.from_bytes(content[position:start], "little")
        if position > len(content):
            raise Refused(Undecodable.MALFORMED)
        texts.append(content[start:position].decode(errors="backslashreplace"))
    return texts
