"""Objects within objects to members with dotted names.

`{"user": {"age": 41}}` is `user.age`; a list of objects, as in a ranking, `{"items": [{"id": "a"}, {"id": "b"}]}`, is `items.id` with a
list of two values.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

from payloads.refusal import MAX_RANK, Refused, require_few_values
from records.payload import Undecodable

BASE64_KEYS: Final = {"b64"}
"""An object with this key alone is TensorFlow's way to write bytes, not an object of values."""

MAX_NAME_LENGTH: Final = 200
"""The most characters of a dotted name before its last part: each value under a long name would repeat it."""

_NESTING: Final = frozenset({dict, list})


def is_record(value: Any) -> bool:
    """Whether `value` is an object of values."""
    return type(value) is dict and value.keys() != BASE64_KEYS


def are_records(value: Any) -> bool:
    """Whether `value` is a list of objects of values, at least one."""
    return type(value) is list and len(value) > 0 and all(map(is_record, value))


class Flattening:
    """Flattens the objects of one body, within one bound on all values with which their lists of objects are filled up."""

    def __init__(self) -> None:
        self._values = 0

    def flat(self, record: dict[str, Any], depth: int = MAX_RANK) -> dict[str, Any]:
        """Return the record without objects in objects; at most `depth` of them may lie in each other."""
        return record if _NESTING.isdisjoint(map(type, record.values())) else dict(self._members(record, "", depth))

    def transposed(self, records: list[dict[str, Any]], depth: int = MAX_RANK) -> dict[str, list[Any]]:
        """Return a list of objects as an object of lists; where an object lacks a key, its value is missing."""
        flat = [self.flat(record, depth) for record in records]
        names = dict.fromkeys(chain.from_iterable(flat))
        self._values += len(names) * len(flat)
        require_few_values(self._values)
        return {name: [record.get(name) for record in flat] for name in names}

    def _members(self, record: dict[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
        if not depth:
            raise Refused(Undecodable.MALFORMED)
        for key, value in record.items():
            if is_record(value):
                yield from self._members(value, _prefix(prefix, key), depth - 1)
            elif are_records(value):
                yield from self._members(self.transposed(value, depth - 1), _prefix(prefix, key), depth - 1)
            else:
                yield prefix + key, value


def _prefix(prefix: str, key: str) -> str:
    if len(prefix) + len(key) >= MAX_NAME_LENGTH:
        raise Refused(Undecodable.TOO_LARGE)
    return f"{prefix}{key}."
