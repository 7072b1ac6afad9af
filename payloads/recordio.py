"""RecordIO-protobuf, which SageMaker's own algorithms take and answer: records of named tensors, a row each.

Source: MXNet's RecordIO framing (a magic number, a length, padding to four bytes) around `Record` of SageMaker's `record.proto`, of which dense tensors
of numbers are read. Protocol Buffers' wire format is that of its "Encoding" page.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Any, Final

from payloads.nested_lists import tensor_of
from payloads.refusal import Refused, require_few_values
from records.payload import Tensor, Undecodable

MEDIA_TYPE: Final = "application/x-recordio-protobuf"

_MAGIC: Final = 0xCED7230A
_LENGTH_BITS: Final = 29
"""Above them are flags of records in several parts, which `record.proto` has not."""
_LONGEST_VARINT: Final = 10

_CODES: Final = {2: "f", 3: "d"}
"""By the field of `Value` that a tensor is: float32_tensor, float64_tensor."""
_INT32: Final = 7


class Part(IntEnum):
    """Which map of a `Record`: its field's number."""

    FEATURES = 1
    LABEL = 2
    """Where replies have their predictions."""


def tensors_of_recordio(content: bytes, part: Part) -> list[Tensor]:
    """Return one tensor per name; refuse records that are sparse, not of numbers, or of different names."""
    rows: list[dict[str, list[Any]]] = []
    count = 0
    for record in _records(content):
        rows.append(dict(_named_values(entry) for number, entry in _fields(record) if number == part))
        count += 1 + sum(map(len, rows[-1].values()))
        require_few_values(count)
    if not rows or not rows[0]:
        raise Refused(Undecodable.NO_DATA)
    if any(row.keys() != rows[0].keys() for row in rows):
        raise Refused(Undecodable.RAGGED)
    return [tensor_of(name, [row[name] for row in rows]) for name in rows[0]]


def _records(content: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(content):
        if len(content) - position < 8:
            raise Refused(Undecodable.MALFORMED)
        magic, length = struct.unpack_from("<II", content, position)
        start, end = position + 8, position + 8 + length
        if magic != _MAGIC or length >> _LENGTH_BITS or end > len(content):
            raise Refused(Undecodable.MALFORMED)
        yield content[start:end]
        position = end + -length % 4


def _named_values(entry: Any) -> tuple[str, list[Any]]:
    """Return the key and the values of an entry of a map."""
    fields = dict(_fields(entry))
    name, value = fields.get(1, b""), dict(_fields(fields.get(2, b"")))
    for number, tensor in value.items():
        if number in _CODES or number == _INT32:
            return _text(name), _values(number, tensor)
    raise Refused(Undecodable.NO_DATA)


def _values(number: int, tensor: Any) -> list[Any]:
    """Return the values of a tensor that has no keys: with them it would be sparse."""
    fields = dict(_fields(tensor))
    if 2 in fields:
        raise Refused(Undecodable.NO_DATA)
    packed = fields.get(1, b"")
    if type(packed) is not bytes:
        raise Refused(Undecodable.MALFORMED)
    if number == _INT32:
        return list(_integers(packed))
    code = _CODES[number]
    count, rest = divmod(len(packed), struct.calcsize(code))
    if rest:
        raise Refused(Undecodable.MALFORMED)
    return list(struct.unpack(f"<{count}{code}", packed))


def _integers(packed: bytes) -> Iterator[int]:
    position = 0
    while position < len(packed):
        value, position = _varint(packed, position)
        yield (value & (1 << 64) - 1) - (1 << 64) * (value >> 63 & 1)  # negative ones are written as 64 bits


def _fields(message: Any) -> Iterator[tuple[int, int | bytes]]:
    """Yield the numbers and values of a message's fields: an integer, or bytes."""
    if type(message) is not bytes:
        raise Refused(Undecodable.MALFORMED)
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        wire_type = tag & 7
        if wire_type == 0:
            value, position = _varint(message, position)
            yield tag >> 3, value
            continue
        size = {1: 8, 5: 4}.get(wire_type)
        if wire_type == 2:
            size, position = _varint(message, position)
        if size is None or position + size > len(message):
            raise Refused(Undecodable.MALFORMED)
        yield tag >> 3, message[position : position + size]
        position += size


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """Return an integer of seven bits per byte, the lowest first, and where it ends."""
    value = 0
    for index, byte in enumerate(content[position : position + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, position + index + 1
    raise Refused(Undecodable.MALFORMED)


def _text(value: Any) -> str:
    if type(value) is not bytes:
        raise Refused(Undecodable.MALFORMED)
    return value.decode(errors="backslashreplace")
