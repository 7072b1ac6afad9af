"""Working hours, as settings write them."""

from __future__ import annotations

import re
from typing import ClassVar, Final, Self

import msgspec

from config.units import QuantityError

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_WRITTEN: Final = re.compile(
    r"(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))? (?P<begin>[0-2]\d:[0-5]\d)-(?P<end>[0-2]\d:[0-5]\d)(?: (?P<zone>[A-Za-z0-9_+/-]{1,40}))?", re.ASCII
)


class Hours(msgspec.Struct, frozen=True):
    """The same hours of some days in a row, `mon-fri 09:00-17:00 Europe/Berlin`; without a time zone in UTC.

    >>> str(Hours.parse("mon-fri 09:00-17:00"))
    'mon-fri 09:00-17:00 UTC'
    """

    first: str
    last: str
    """Days of the week as in `DAYS`, both included."""
    begin: str
    end: str
    """Times of the day, HH:MM; the end is after the beginning, 24:00 at most."""
    zone: str

    UNIT: ClassVar = "hours"
    EXPECTED: ClassVar = "days and hours with an IANA time zone or none, DAY-DAY HH:MM-HH:MM [ZONE]"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read days (mon to sun, in the order of a week), hours and a time zone."""
        found = _WRITTEN.fullmatch(text.strip())
        hours = cls(found["first"], found["last"] or found["first"], found["begin"], found["end"], found["zone"] or "UTC") if found else None
        if hours is None or not hours.is_sound():
            raise QuantityError(cls.EXPECTED, text, "mon-fri 09:00-17:00 Europe/Berlin")
        return hours

    def is_sound(self) -> bool:
        """Whether there are such days, hours and such a time zone."""
        if not {self.first, self.last} <= set(DAYS) or DAYS.index(self.first) > DAYS.index(self.last) or not self.begin < self.end <= "24:00":
            return False
        from zoneinfo import available_timezones  # noqa: PLC0415 - the data plane reads settings too, and most have no hours

        known = available_timezones()  # none, in images without the time zone database
        return self.zone == "UTC" or not known or self.zone in known

    def __str__(self) -> str:
        days = self.first if self.first == self.last else f"{self.first}-{self.last}"
        return f"{days} {self.begin}-{self.end} {self.zone}"
