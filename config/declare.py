"""The words in which settings are declared, and the declarations read back as values.

A setting is a field of a `Section`, annotated with its type and `setting(...)`. What loads, prints or documents settings
works on `Declaration`s and knows no setting by name.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cache
from types import NoneType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from config.units import QuantityError


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A group of settings, whose values never change."""


def setting(text: str, *, unit: str = "", example: str = "", at_least: str = "", at_most: str = "") -> msgspec.Meta:
    """Say what one setting does and how a user would write it; bounds are written as the user would write them.

    The unit of a type in `config.units` is the type's own.
    """
    extra: dict[str, Any] = {"unit": unit, "example": example, "at_least": at_least, "at_most": at_most}
    return msgspec.Meta(description=text, extra=extra)


class Declaration(NamedTuple):
    """One setting, as declared."""

    name: str
    type: type
    """What one value is: a section, a type of `config.units`, `int`, `bool`, `str` or an enumeration of texts."""
    is_list: bool
    default: Any
    """`msgspec.NODEFAULT` where the setting must be given, None where it is off by default."""
    help: str
    unit: str
    example: str
    """As a user would write it; never empty for a value."""
    at_least: str
    at_most: str

    @property
    def is_section(self) -> bool:
        """Whether it holds settings of its own."""
        return issubclass(self.type, Section)

    @property
    def is_required(self) -> bool:
        """Whether there is no default."""
        return self.default is msgspec.NODEFAULT

    @property
    def bounds(self) -> str:
        """The least and the largest value in words; empty where there are none."""
        if self.at_least and self.at_most:
            return f"from {self.at_least} to {self.at_most}"
        return f"at least {self.at_least}" if self.at_least else f"at most {self.at_most}" if self.at_most else ""

    @property
    def expected(self) -> str:
        """What a value must be, in words."""
        return str(_reader(self.type).EXPECTED)

    @property
    def is_value_list(self) -> bool:
        """Whether it holds one or more values, not sections."""
        return self.is_list and not self.is_section

    def parse(self, text: str) -> Any:
        """Read what a user wrote: a value, or for a list of values all of them with commas between."""
        return tuple(self.parse_one(part) for part in text.split(",")) if self.is_value_list else self.parse_one(text)

    def parse_one(self, text: str) -> Any:
        """Read one value within its bounds, or raise `QuantityError` with this setting's example."""
        text = text.strip() if self.is_value_list else text
        read = _reader(self.type).parse
        try:
            value = read(text)
        except QuantityError as error:
            raise QuantityError(error.expected, error.found, self.example) from None
        if (self.at_least and value < read(self.at_least)) or (self.at_most and value > read(self.at_most)):
            raise QuantityError(self.bounds, text, self.example)
        return value


@cache
def declarations(section: type[Section]) -> dict[str, Declaration]:
    """Return the settings of a section by name, in their order."""
    hints = get_type_hints(section, include_extras=True)
    return {field.name: _declaration(field.name, hints[field.name], field.default) for field in msgspec.structs.fields(section)}


def _declaration(name: str, hint: Any, default: Any) -> Declaration:
    annotated, meta = get_args(hint)
    is_list = get_origin(annotated) is tuple
    kind = next((part for part in get_args(annotated) if part not in {NoneType, Ellipsis}), annotated)
    extra = meta.extra
    unit, example = extra["unit"] or getattr(kind, "UNIT", ""), extra["example"] or _example(kind, default)
    return Declaration(name, kind, is_list, default, meta.description, unit, example, extra["at_least"], extra["at_most"])


def written(value: Any) -> str:
    """Return a value as a file would have it; a list with commas between."""
    if isinstance(value, tuple):
        return ", ".join(map(written, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _example(kind: type, default: Any) -> str:
    """Write the default, or for a section its first setting, as a file would have it."""
    if not issubclass(kind, Section):
        return written(default)
    first = next(iter(declarations(kind).values()))
    return f"{{{first.name}: {first.example}}}"


class _Text:
    EXPECTED = "text of printable characters"

    @staticmethod
    def parse(text: str) -> str:
        if not text.isprintable():
            raise QuantityError(_Text.EXPECTED, text, "default")
        return text


class _WholeNumber:
    EXPECTED = "a whole number"
    _WRITTEN = re.compile(r"-?[0-9](_?[0-9]){0,17}")

    @staticmethod
    def parse(text: str) -> int:
        if not _WholeNumber._WRITTEN.fullmatch(text.strip()):
            raise QuantityError(_WholeNumber.EXPECTED, text, "1000")
        return int(text)


class _YesOrNo:
    EXPECTED = "true or false"

    @staticmethod
    def parse(text: str) -> bool:
        if text not in {"true", "false"}:
            raise QuantityError(_YesOrNo.EXPECTED, text, "true")
        return text == "true"


class _OneOf:
    """One of the values of an enumeration, by its text."""

    def __init__(self, kind: type[StrEnum]) -> None:
        self._kind = kind
        *others, last = kind
        self.EXPECTED = " or ".join(filter(None, (", ".join(others), last)))

    def parse(self, text: str) -> StrEnum:
        try:
            return self._kind(text)
        except ValueError:
            raise QuantityError(self.EXPECTED, text, next(iter(self._kind))) from None


def _reader(kind: type) -> Any:
    """Return what has `parse` and `EXPECTED` for a type: the types of `config.units` themselves."""
    return _OneOf(kind) if issubclass(kind, StrEnum) else {str: _Text, int: _WholeNumber, bool: _YesOrNo}.get(kind, kind)
