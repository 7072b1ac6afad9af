"""How requests are picked out by what they carry, `X-Canary=yes`, `X-Session-Id`, `?session`.

As in `config.units`, `parse` reads what `str` writes, and raises `QuantityError`.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final, Self

import msgspec

from config.units import QuantityError

_FIELD_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # RFC 9110 §5.1
_FIELD_VALUE: Final = re.compile(r"[!-~](?:[ -~]{0,198}[!-~])?")  # RFC 9110 §5.5, of ASCII
_PARAMETER: Final = re.compile(r"[!-\"$%'-<>-~]{1,100}")  # visible ASCII without #, & and =


class Condition(msgspec.Struct, frozen=True):
    """Requests whose header field has exactly this value.

    >>> Condition.parse("X-Canary=yes")
    Condition(field='x-canary', value='yes')
    """

    field: str
    """Its name in lower case."""
    value: str

    UNIT: ClassVar = "field=value"
    EXPECTED: ClassVar = "a header field's name and value, FIELD=VALUE"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a condition; the field's name may be in any case."""
        field, _, value = text.strip().partition("=")
        if not _FIELD_NAME.fullmatch(field) or not _FIELD_VALUE.fullmatch(value):
            raise QuantityError(cls.EXPECTED, text, "X-Canary=yes")
        return cls(field.lower(), value)

    def __str__(self) -> str:
        return f"{self.field}={self.value}"


class Key(msgspec.Struct, frozen=True):
    """What requests of one session have in common: the value of a header field, or of a parameter in the query.

    >>> Key.parse("X-Session-Id"), Key.parse("?session")
    (Key(name='x-session-id', in_query=False), Key(name='session', in_query=True))
    """

    name: str
    """Of a field in lower case; of a parameter as it is, percent-encoding included."""
    in_query: bool

    UNIT: ClassVar = "field or ?parameter"
    EXPECTED: ClassVar = "a header field's name, or a query parameter as ?NAME"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a key; a field's name may be in any case."""
        name = text.strip()
        if name.startswith("?") and _PARAMETER.fullmatch(name, 1):
            return cls(name[1:], in_query=True)
        if not _FIELD_NAME.fullmatch(name):
            raise QuantityError(cls.EXPECTED, text, "X-Session-Id")
        return cls(name.lower(), in_query=False)

    def __str__(self) -> str:
        return f"?{self.name}" if self.in_query else self.name
