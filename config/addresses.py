"""Where services are, as settings write it: `127.0.0.1:8080`, `http://host:port/prefix`, `unix:/run/model.sock`, `http://host@25%`.

As in `config.units`, `parse` reads what `str` writes, and raises `QuantityError`. Names are not looked up.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Final, NamedTuple, Self
from urllib.parse import quote, unquote

import msgspec

from config.units import QuantityError, Share

_SOCKADDR_UN_BYTES: Final = 107  # beside the terminating zero, on Linux
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_AUTHORITY: Final = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]*))(?::(?P<port>\d{1,5}))?", re.ASCII)
_UNIX: Final = re.compile(r"unix:(?://)?(?P<path>/[!-~]{1,106})")  # as long as sockaddr_un has room for
_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z]+)://(?:(?P<user>[^@:/?#]+)(?::(?P<password>[^@/?#]*))?@)?(?P<authority>[^@/?#]+)(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?"
)


class Address(msgspec.Struct, frozen=True):
    """Where to listen: `host:port`, `[::1]:port`, `:port` for every interface, or `unix:/path/of/socket`. Port 0 lets the system choose."""

    host: str
    """A name or an address, IPv6 without its brackets; empty for every interface; the path of a unix socket, with port 0."""
    port: int

    UNIT: ClassVar = "host:port"
    EXPECTED: ClassVar = "an address HOST:PORT with a port from 0 to 65535, or unix:/PATH"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address; names are not looked up."""
        socket_path = _UNIX.fullmatch(text)
        if socket_path is not None:
            return cls(socket_path["path"], 0)
        host, port = _authority(text) or ("", None)
        if port is None:
            raise QuantityError(cls.EXPECTED, text, "127.0.0.1:8080")
        return cls(host, port)

    @property
    def is_unix(self) -> bool:
        """Whether this is a unix socket."""
        return self.host.startswith("/")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it: a name that is not `localhost` may lead anywhere."""
        try:
            return self.is_unix or self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"unix:{self.host}" if self.is_unix else f"{_bracketed(self.host)}:{self.port}"


@contextmanager
def socket_name(path: Path) -> Iterator[str]:
    """Yield a name under which a unix socket can be bound or reached: `sockaddr_un` has room for 107 bytes, a data directory may have more."""
    if len(os.fsencode(path)) <= _SOCKADDR_UN_BYTES:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


class Url(msgspec.Struct, frozen=True):
    """The root of an HTTP service, `http://host:port[/prefix]` or `unix:/path/of/socket`: what requests are forwarded to."""

    scheme: str
    """`http`, `https` or `unix`, which is http over a unix socket."""
    host: str
    """A name or an address, IPv6 without its brackets; the path of a unix socket."""
    port: int
    """0 for a unix socket."""
    path: str = ""
    """The prefix, without a trailing slash; empty for the root."""

    UNIT: ClassVar = "url"
    EXPECTED: ClassVar = "an http:// or https:// URL without user, query or fragment, or unix:/PATH"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the URL of a service; the port defaults to the scheme's."""
        if socket_path := _UNIX.fullmatch(text):
            return cls("unix", socket_path["path"], 0)
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
        """`host:port` as the Host field has it (RFC 9110 §7.2): without the scheme's own port; `localhost` for a unix socket."""
        if self.scheme == "unix":
            return "localhost"
        host = _bracketed(self.host)
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"unix:{self.host}" if self.scheme == "unix" else f"{self.scheme}://{self.authority}{self.path}"


def written(urls: Iterable[Url]) -> str:
    """Write one or several URLs as an option takes them."""
    return ", ".join(map(str, urls))


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


def parse_shadow(text: str) -> tuple[tuple[Url, ...], Share]:
    """Read `URL[,URL…][@SHARE]`, as the option `--shadow` takes it; without a share everything is mirrored."""
    urls, separator, share = text.rpartition("@")
    try:
        return tuple(Url.parse(url.strip()) for url in (urls or text).split(",")), Share.parse(share) if separator else Share(1)
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
