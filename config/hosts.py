"""Which hosts are meant: `models.example.com`, `*.models.svc`, `10.0.0.0/8`."""

from __future__ import annotations

import ipaddress
import re
from typing import ClassVar, Final, Self

import msgspec

from config.units import QuantityError

_NAME: Final = re.compile(r"(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")


class Hosts(msgspec.Struct, frozen=True):
    """Hosts by name, by the end of their names, by address or by network.

    >>> Hosts.parse("*.example.com").include("a.b.example.com"), Hosts.parse("*.example.com").include("example.com")
    (True, False)
    >>> Hosts.parse("10.0.0.0/8").include("10.1.2.3"), Hosts.parse("10.0.0.0/8").include("10.example.com")
    (True, False)
    """

    text: str
    """In small letters."""

    UNIT: ClassVar = "hosts"
    EXPECTED: ClassVar = "a host's name, *.NAME for all below it, an address, or a network ADDRESS/BITS"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read which hosts are meant; names are not looked up."""
        text = text.strip().lower()
        if not _NAME.fullmatch(text) and _network(text) is None:
            raise QuantityError(cls.EXPECTED, text, "*.models.svc")
        return cls(text)

    def include(self, host: str) -> bool:
        """Return whether a URL's host is one of them. A name is not one of a network's, whatever it leads to."""
        host = host.lower().rstrip(".")
        network, address = _network(self.text), _network(host)
        if network is not None or address is not None:
            return network is not None and address is not None and network.version == address.version and address.subnet_of(network)  # type: ignore[arg-type]  # of one version
        return host.endswith(self.text[1:]) if self.text.startswith("*.") else host == self.text

    def __str__(self) -> str:
        return self.text


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return the network, or an address as one of its own; None for a name."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None
