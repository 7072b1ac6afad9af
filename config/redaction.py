"""What of an exchange is kept, and how parts of it are picked out and changed before they are: `$.customer.id`, `tensor:ssn`, `?token`.

As in `config.units`, `parse` reads what `str` writes, and raises `QuantityError`.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import ClassVar, Final, NamedTuple, Self

import msgspec

from config.units import QuantityError

_STEP: Final = re.compile(r"(\.\.?)([\w-]+)|\.(\*)|\[(\*)\]|\[(\d{1,9})\]|\['([^']+)'\]|\[\"([^\"]+)\"\]")
_NAMED: Final = re.compile(r"(tensor|header|form):(\S(?:.*\S)?)|(\?)([!-\"$%'-<>-~]+)")
_FIELD_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # RFC 9110 §5.1
_LONGEST_PLACE: Final = 500


class Capture(StrEnum):
    """What of a route's exchanges is kept."""

    BOTH = "both"
    REQUEST = "request"
    RESPONSE = "response"
    HEADS = "heads"
    OFF = "off"


class Action(StrEnum):
    """What is done to what must not be kept as it is."""

    DROP = "drop"
    MASK = "mask"
    HASH = "hash"


class PlaceKind(StrEnum):
    """Where in an exchange a value stands."""

    JSON = "json"
    TENSOR = "tensor"
    HEADER = "header"
    QUERY = "query"
    FORM = "form"
    CLIENT = "client"  # the address of the peer
    PRINCIPAL = "principal"  # who was authenticated


_UNNAMED: Final = frozenset({PlaceKind.CLIENT, PlaceKind.PRINCIPAL})


class Step(NamedTuple):
    """One step of a JSON path: to the member or element with this key, to all where it is None."""

    key: str | int | None
    anywhere: bool = False
    """Not only one level down, but at any depth."""


class Place(msgspec.Struct, frozen=True):
    """Values of an exchange: by a path into its JSON bodies (a subset of RFC 9535), or by the name of a tensor, header field, query parameter or
    form field; or who asked, by address or as authenticated.

    >>> Place.parse("$.rows[*].id").steps
    (Step(key='rows', anywhere=False), Step(key=None, anywhere=False), Step(key='id', anywhere=False))
    >>> Place.parse("header:X-Customer")
    Place(kind=<PlaceKind.HEADER: 'header'>, name='x-customer', steps=())
    """

    kind: PlaceKind
    name: str
    """Of a header field in lower case; of a JSON path its text."""
    steps: tuple[Step, ...] = ()

    UNIT: ClassVar = "place"
    EXPECTED: ClassVar = "a JSON path such as $.customer.id, or tensor:NAME, header:NAME, form:NAME, ?PARAMETER, client or principal"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a place."""
        text = text.strip()
        found = _NAMED.fullmatch(text)
        if len(text) > _LONGEST_PLACE:
            raise QuantityError(cls.EXPECTED, text, "$.customer.id")
        if text in _UNNAMED:
            return cls(PlaceKind(text), "")
        if found and found[3]:
            return cls(PlaceKind.QUERY, found[4])
        if found and (found[1] != PlaceKind.HEADER or _FIELD_NAME.fullmatch(found[2])):
            kind = PlaceKind(found[1])
            return cls(kind, found[2].lower() if kind is PlaceKind.HEADER else found[2])
        return cls(PlaceKind.JSON, text, _steps(text))

    def __str__(self) -> str:
        if self.kind in _UNNAMED:
            return self.kind
        if self.kind is PlaceKind.JSON:
            return self.name
        return f"?{self.name}" if self.kind is PlaceKind.QUERY else f"{self.kind}:{self.name}"

    @property
    def feature(self) -> str:
        """The name under which a format that names its features has what stands here; empty where there is none."""
        if self.kind is PlaceKind.TENSOR:
            return self.name
        named = [step.key for step in self.steps if isinstance(step.key, str)]
        return named[-1] if named else ""


def _steps(text: str) -> tuple[Step, ...]:
    steps = []
    at = 1
    while found := _STEP.match(text, at):
        dots, name, _, _, index, *quoted = found.groups()
        key = name or quoted[0] or quoted[1] or (int(index) if index else None)
        steps.append(Step(key, anywhere=dots == ".."))
        at = found.end()
    if text[:1] != "$" or at != len(text) or not steps:
        raise QuantityError(Place.EXPECTED, text, "$.customer.id")
    return tuple(steps)
