"""How quantities are written in settings and options, and how they print: `parse` reads what `str` writes.

The types are what they count (`Bytes` is an int, `Seconds` a float), so that code which uses a setting computes with it
and never parses. Reading is exact: `0.1s` is the float nearest to a tenth.
"""

from __future__ import annotations

import re
import socket
from fractions import Fraction
from typing import ClassVar, Final, NamedTuple, Self
from urllib.parse import quote, unquote

import msgspec

_LONGEST_QUANTITY: Final = 40  # characters; keeps every number within what a float can hold
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


class Address(msgspec.Struct, frozen=True):
    """Where to listen: `host:port`, `[::1]:port`, or `:port` for every interface. Port 0 lets the system choose."""

    host: str
    """A name or an address, IPv6 without its brackets; empty for every interface."""
    port: int

    UNIT: ClassVar = "host:port"
    EXPECTED: ClassVar = "an address HOST:PORT with a port from 0 to 65535"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address; names are not looked up."""
        host, port = _authority(text) or ("", None)
        if port is None:
            raise QuantityError(cls.EXPECTED, text, "127.0.0.1:8080")
        return cls(host, port)

    def __str__(self) -> str:
        return f"{_bracketed(self.host)}:{self.port}"


class Url(msgspec.Struct, frozen=True):
    """The root of an HTTP service, `http://host:port[/prefix]`: what requests are forwarded to."""

    scheme: str
    """`http` or `https`."""
    host: str
    """A name or an address, IPv6 without its brackets."""
    port: int
    path: str = ""
    """The prefix, without a trailing slash; empty for the root."""

    UNIT: ClassVar = "url"
    EXPECTED: ClassVar = "an http:// or https:// URL without user, query or fragment"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the URL of a service; the port defaults to the scheme's."""
        parts = _url_parts(text)
        if parts is None or parts.user or parts.query:
            raise QuantityError(cls.EXPECTED, _without_secrets(text), "http://127.0.0.1:9000")
        return cls(parts.scheme, parts.host, parts.port, parts.path.rstrip("/"))

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """`host:port` as the Host field has it (RFC 9110 §7.2): without the scheme's own port."""
        host = _bracketed(self.host)
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


class Endpoint(Url, frozen=True):
    """A URL that Driftline itself calls: it may name a user, a password and a query. Printing hides the password."""

    query: str = ""
    user: str = ""
    password: str = ""

    EXPECTED: ClassVar = "an http:// or https:// URL"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URL; user and password are percent-decoded."""
        parts = _url_parts(text)
        if parts is None:
            raise QuantityError(cls.EXPECTED, _without_secrets(text), "http://127.0.0.1:9095/hook")
        return cls(parts.scheme, parts.host, parts.port, parts.path, parts.query, unquote(parts.user), unquote(parts.password))

    @property
    def address(self) -> str:
        """The URL to call, without user and password."""
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{self.authority}{self.path}{query}"

    def __str__(self) -> str:
        user = quote(self.user, safe="") + (":***" if self.password else "")
        return self.address.replace("://", f"://{user}@", 1) if user else self.address

    __repr__ = __str__


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
        """Read `N per DURATION` or `N per M windows`; both numbers are at least 1."""
        match = _BUDGET.fullmatch(text.strip())
        if match is None or len(text) > _LONGEST_QUANTITY:
            raise QuantityError(cls.EXPECTED, text, "1 per 30 days")
        alerts, windows, duration = match.groups()
        try:
            budget = cls(int(alerts), windows=int(windows)) if windows else cls(int(alerts), Seconds.parse(duration))
        except QuantityError:
            budget = cls(0)
        if not budget.alerts or not (budget.windows or budget.seconds):
            raise QuantityError(cls.EXPECTED, text, "1 per 30 days")
        return budget

    def __str__(self) -> str:
        return f"{self.alerts} per {self.windows} windows" if self.windows else f"{self.alerts} per {self.seconds}"


def parse_shadow(text: str) -> tuple[Url, Share]:
    """Read `URL` or `URL@SHARE`, as the option `--shadow` takes it; without a share everything is mirrored."""
    url, separator, share = text.rpartition("@")
    try:
        return (Url.parse(url), Share.parse(share)) if separator else (Url.parse(text), Share(1))
    except QuantityError as error:
        raise QuantityError(f"a shadow's URL, or URL@SHARE, with {error.expected}", error.found, "http://127.0.0.1:9001@25%") from None


class _UrlParts(NamedTuple):
    scheme: str
    user: str
    password: str
    host: str
    port: int
    path: str
    query: str


_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_AUTHORITY: Final = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]*))(?::(?P<port>\d{1,5}))?", re.ASCII)
_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z]+)://(?:(?P<user>[^@:/?#]+)(?::(?P<password>[^@/?#]*))?@)?(?P<authority>[^@/?#]+)(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?"
)
_BUDGET: Final = re.compile(r"(\d+)\s+per\s+(?:(\d+)\s+windows?|(.+))", re.ASCII)


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


def _authority(text: str) -> tuple[str, int | None] | None:
    """Split `host[:port]`; None where it is neither a name, an IPv4 nor a bracketed IPv6 address."""
    match = _AUTHORITY.fullmatch(text)
    if match is None or (match["ipv6"] and not _is_ipv6(match["ipv6"])):
        return None
    port = int(match["port"]) if match["port"] else None
    return None if port is not None and port > 65535 else (match["ipv6"] or match["name"], port)


def _is_ipv6(host: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6, host)
    except OSError:
        return False
    return True


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _url_parts(text: str) -> _UrlParts | None:
    """Split an http(s) URL of visible ASCII characters; None where it is not one."""
    match = _URL.fullmatch(text) if text.isascii() and text.isprintable() and " " not in text else None
    scheme = match["scheme"].lower() if match else ""
    authority = _authority(match["authority"]) if match else None
    if match is None or authority is None or scheme not in _DEFAULT_PORTS:
        return None
    host, port = authority[0], _DEFAULT_PORTS[scheme] if authority[1] is None else authority[1]
    if not host or not port:
        return None
    return _UrlParts(scheme, match["user"] or "", match["password"] or "", host, port, match["path"] or "", match["query"] or "")


def _without_secrets(text: str) -> str:
    return re.sub(r"//[^@/]*@", "//***@", text)
