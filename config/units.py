"""How quantities are written in settings and options, and how they print: `parse` reads what `str` writes.

The types are what they count (`Bytes` is an int, `Seconds` a float), so that code which uses a setting computes with it
and never parses. Reading is exact: `0.1s` is the float nearest to a tenth.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import ClassVar, Final, Self

import msgspec

_LONGEST_QUANTITY: Final = 40  # characters; keeps every number within what a float can hold
_BUDGET: Final = re.compile(r"([1-9]\d*)\s+per\s+(?:([1-9]\d*)\s+windows?|([A-Za-z]+)|(.+))", re.ASCII)
_NUMBER: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z%]*)")


class QuantityError(ValueError):
    """Text that is not what was expected, said so that a user can correct it."""

    def __init__(self, expected: str, found: str, example: str) -> None:
        self.expected = expected
        self.found = found
        self.example = example
        super().__init__(f"expected {expected}, found {self.shown}; for example: {example}")

    @property
    def shown(self) -> str:
        """What was found, quoted, at most 80 characters of it."""
        return repr(self.found if len(self.found) <= 80 else self.found[:79] + "…")


class Bytes(int):
    """A size. Units: B, the decimal kB, MB, GB, TB and the binary KiB, MiB, GiB, TiB; a bare number counts bytes.

    >>> Bytes.parse("64 KiB") + 1, str(Bytes(500_000))
    (65537, '500 kB')
    """

    __slots__ = ()
    UNIT: ClassVar = "bytes"
    EXPECTED: ClassVar = "a size with its unit (B, kB, MB, GB, TB, KiB, MiB, GiB or TiB)"
    _UNITS: ClassVar[dict[str, int]] = {
        "TiB": 1 << 40,
        "GiB": 1 << 30,
        "MiB": 1 << 20,
        "KiB": 1 << 10,
        "TB": 10**12,
        "GB": 10**9,
        "MB": 10**6,
        "kB": 1000,
        "B": 1,
    }
    _BY_LOWER_CASE: ClassVar[dict[str, int]] = {"": 1} | {unit.lower(): size for unit, size in _UNITS.items()}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a size; a fraction of a byte is an error."""
        number, unit = _number(text)
        size = cls._BY_LOWER_CASE.get(unit.lower())
        if number is None or size is None or (number * size).denominator != 1:
            raise QuantityError(cls.EXPECTED, text, "64 KiB")
        return cls(number * size)

    def __str__(self) -> str:
        unit, size = next((unit, size) for unit, size in self._UNITS.items() if (self and self % size == 0) or size == 1)
        return f"{self // size} {unit}"


class Seconds(float):
    """A duration. Units: ms, s, m, h, days, weeks, or their names in full; a bare number is an error.

    >>> Seconds.parse("250ms") * 2, str(Seconds(600))
    (0.5, '10m')
    """

    __slots__ = ()
    UNIT: ClassVar = "duration"
    EXPECTED: ClassVar = "a duration with its unit (ms, s, m, h or days)"
    _UNITS: ClassVar[dict[str, int | Fraction]] = {" days": 86_400, "h": 3600, "m": 60, "s": 1, "ms": Fraction(1, 1000)}
    _NAMES: ClassVar[dict[str, int | Fraction]] = {
        "ms": Fraction(1, 1000),
        **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
        **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
        **dict.fromkeys(("h", "hour", "hours"), 3600),
        **dict.fromkeys(("d", "day", "days"), 86_400),
        **dict.fromkeys(("week", "weeks"), 7 * 86_400),
    }

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a duration."""
        number, unit = _number(text)
        size = cls._NAMES.get(unit.lower())
        if number is None or size is None:
            raise QuantityError(cls.EXPECTED, text, "10s")
        return cls(number * size)

    def __str__(self) -> str:
        exact = Fraction(repr(float(self)))
        for unit, size in self._UNITS.items():
            count = exact / size
            if count.denominator == 1 and count:
                return f"{count}{unit}" if unit != " days" or count > 1 else "1 day"
        return f"{_decimal(exact)}s"


class Share(float):
    """A part of the whole, 0 to 1, written `25%` or `0.25`.

    >>> Share.parse("25%") * 8, str(Share(0.25))
    (2.0, '25%')
    """

    __slots__ = ()
    UNIT: ClassVar = "share"
    EXPECTED: ClassVar = "a share between 0% and 100%"
    _UNITS: ClassVar[dict[str, Fraction]] = {"%": Fraction(1, 100), "": Fraction(1)}

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a share."""
        number, unit = _number(text)
        size = cls._UNITS.get(unit)
        if number is None or size is None or number * size > 1:
            raise QuantityError(cls.EXPECTED, text, "25%")
        return cls(number * size)

    def __str__(self) -> str:
        return f"{_decimal(Fraction(repr(float(self))) * 100)}%"


class Budget(msgspec.Struct, frozen=True):
    """How often a false alert is acceptable: `alerts` in `seconds` or in `windows`, whichever of the two is not 0.

    >>> Budget.parse("1 per 30 days").seconds, Budget.parse("1 per 1000 windows").windows
    (2592000.0, 1000)
    """

    alerts: int
    seconds: Seconds = Seconds(0)
    windows: int = 0

    UNIT: ClassVar = "budget"
    EXPECTED: ClassVar = "a number of alerts per time or per windows"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `N per DURATION`, `N per day` or `N per M windows`; both numbers are at least 1."""
        match = _BUDGET.fullmatch(text.strip()) if len(text) <= _LONGEST_QUANTITY else None
        alerts, windows, unit, duration = match.groups() if match else ("", "", "", "")
        if windows:
            return cls(int(alerts), windows=int(windows))
        try:
            seconds = Seconds.parse(f"1 {unit}" if unit else duration)
        except QuantityError:
            seconds = Seconds(0)
        if not seconds:
            raise QuantityError(cls.EXPECTED, text, "1 per 30 days")
        return cls(int(alerts), seconds)

    def __str__(self) -> str:
        return f"{self.alerts} per {self.windows} windows" if self.windows else f"{self.alerts} per {self.seconds}"


def _number(text: str) -> tuple[Fraction | None, str]:
    """Split a number from its unit; None where there is no number."""
    match = _NUMBER.fullmatch(text.strip()) if text.isascii() and len(text) <= _LONGEST_QUANTITY else None
    return (Fraction(match[1]), match[2]) if match else (None, "")


def _decimal(value: Fraction) -> str:
    """Write a fraction whose denominator divides a power of ten, exactly and without an exponent."""
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
    whole, part = divmod(int(value * 10**digits), 10**digits)
    return f"{whole}.{part:0{digits}d}" if digits else str(whole)
