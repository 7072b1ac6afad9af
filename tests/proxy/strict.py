"""HTTP/1.1 read as strictly as RFC 9112 lets a recipient, without a line of the proxy's own code: the judge of the property tests.

It knows no state and no cutting: it is given everything that was sent so far, and reads one message at a place.
"""

from __future__ import annotations

from dataclasses import dataclass

TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
HEX = frozenset(b"0123456789abcdefABCDEF")
HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
HOP_BY_HOP |= {"http2-settings", "proxy-authenticate", "proxy-authorization"}
REWRITTEN = {"via", "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id", "host"}
NEVER_STRIPPED = {"host", "content-length", "content-type", "cache-control"}
"""Fields without which a message is not the same: a proxy keeps them although Connection names them."""

Fields = tuple[tuple[str, str], ...]


class MalformedError(Exception):
    """No strict recipient takes this."""


class IncompleteError(Exception):
    """It may become a message when more comes."""


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    minor: int
    fields: Fields
    body: bytes
    trailers: Fields

    def named(self, name: str) -> list[str]:
        return [value for field, value in self.fields if field == name]


@dataclass(frozen=True)
class Reply:
    status: int
    reason: str
    minor: int
    fields: Fields
    body: bytes
    trailers: Fields

    def named(self, name: str) -> list[str]:
        return [value for field, value in self.fields if field == name]


def end_to_end(fields: Fields) -> Fields:
    """Return the fields that must arrive as they were sent."""
    options = {option.strip(" \t").lower() for name, value in fields if name == "connection" for option in value.split(",")}
    return tuple(field for field in fields if field[0] not in HOP_BY_HOP | REWRITTEN | (options - NEVER_STRIPPED))


def passed_trailers(trailers: Fields) -> Fields:
    """Return the trailer fields that must arrive: those that frame or route a message have no place behind it (RFC 9110 §6.5.1)."""
    return tuple(field for field in trailers if field[0] not in HOP_BY_HOP | REWRITTEN | NEVER_STRIPPED)


def read_request(data: bytes, at: int = 0) -> tuple[Request, int]:
    """Read the request that begins here, and return it with the place behind it. Raises MalformedError or IncompleteError."""
    while data.startswith(b"\r\n", at):
        at += 2
    line, at = _line(data, at)
    parts = line.split(b" ")
    if len(parts) != 3 or not _is_token(parts[0]) or not parts[1] or min(parts[1]) <= 0x20:
        raise MalformedError("request line")
    if parts[0] == b"CONNECT":
        raise MalformedError("what follows a CONNECT is no HTTP")
    minor = _minor(parts[2])
    fields, at = _fields(data, at)
    hosts = [value for name, value in fields if name == "host"]
    if len(hosts) > 1 or (minor and not hosts):
        raise MalformedError("Host")
    length = _length(fields, minor)
    body, trailers, at = _body(data, at, 0 if length is None else length)
    return Request(parts[0].decode(), parts[1].decode("latin-1"), minor, fields, body, trailers), at


def read_requests(data: bytes) -> list[Request]:
    """Return the requests that are there whole, up to the first that is malformed."""
    found, at = [], 0
    while True:
        try:
            request, at = read_request(data, at)
        except (MalformedError, IncompleteError):
            return found
        found.append(request)


def read_reply(data: bytes, at: int, method: str, *, ended: bool) -> tuple[Reply, int]:
    """Read the reply, interim or final, that begins here; `ended` says that the connection closed behind the data."""
    line, at = _line(data, at)
    version, _, rest = line.partition(b" ")
    minor = _minor(version)
    status, _, reason = rest.partition(b" ")
    if len(status) != 3 or not status.isdigit() or status[:1] == b"0":
        raise MalformedError("status")
    fields, at = _fields(data, at)
    length = _length(fields, minor)
    if method == "HEAD" or status[:1] == b"1" or status in {b"204", b"304"}:
        body, trailers = b"", ()
    elif length is None:
        if not ended:
            raise IncompleteError
        body, trailers, at = data[at:], (), len(data)
    else:
        body, trailers, at = _body(data, at, length)
    return Reply(int(status), reason.decode("latin-1"), minor, fields, body, trailers), at


def read_answer(data: bytes, at: int, method: str, *, ended: bool) -> tuple[list[Reply], int]:
    """Return the interim replies and the final one that answer one request."""
    replies: list[Reply] = []
    while not replies or replies[-1].status < 200:
        reply, at = read_reply(data, at, method, ended=ended)
        replies.append(reply)
    return replies, at


def _line(data: bytes, at: int) -> tuple[bytes, int]:
    end = data.find(b"\n", at)
    line = data[at : end if end >= 0 else len(data)]
    if any((byte < 0x20 and byte not in b"\t\r") or byte == 0x7F for byte in line):
        raise MalformedError("control character")
    if end < 0:
        if b"\r" in line[:-1]:
            raise MalformedError("bare CR")
        raise IncompleteError
    if not line.endswith(b"\r") or b"\r" in line[:-1]:
        raise MalformedError("line ending")
    return line[:-1], end + 1


def _minor(version: bytes) -> int:
    if len(version) != 8 or not version.startswith(b"HTTP/1.") or not version[7:].isdigit():
        raise MalformedError("version")
    return min(int(version[7:]), 1)


def _fields(data: bytes, at: int) -> tuple[Fields, int]:
    found = []
    while True:
        line, at = _line(data, at)
        if not line:
            return tuple(found), at
        name, colon, value = line.partition(b":")
        if not colon or not _is_token(name):
            raise MalformedError("field")
        found.append((name.decode().lower(), value.strip(b" \t").decode("latin-1")))


def _length(fields: Fields, minor: int) -> int | None:
    """Return the body's length, −1 for chunked, None where nothing says."""
    lengths = [value for name, value in fields if name == "content-length"]
    codings = [value for name, value in fields if name == "transfer-encoding"]
    if codings:
        if lengths or not minor or ", ".join(codings).lower() != "chunked":
            raise MalformedError("framing")
        return -1
    if not lengths:
        return None
    if len(lengths) > 1 or not lengths[0].encode("latin-1").isdigit():
        raise MalformedError("Content-Length")
    return int(lengths[0])


def _body(data: bytes, at: int, length: int) -> tuple[bytes, Fields, int]:
    if length >= 0:
        return _exactly(data, at, length), (), at + length
    body = b""
    while True:
        line, at = _line(data, at)
        size = _chunk_size(line)
        if not size:
            trailers, at = _fields(data, at)
            return body, trailers, at
        body += _exactly(data, at, size)
        at += size
        ending = data[at : at + 2]
        if ending != b"\r\n"[: len(ending)]:
            raise MalformedError("chunk")
        _exactly(data, at, 2)
        at += 2


def _exactly(data: bytes, at: int, size: int) -> bytes:
    if len(data) < at + size:
        raise IncompleteError
    return data[at : at + size]


def _chunk_size(line: bytes) -> int:
    digits = len(line) - len(line.lstrip(bytes(HEX)))
    if not digits:
        raise MalformedError("chunk size")
    _check_extensions(line[digits:])
    return int(line[:digits], 16)


def _check_extensions(text: bytes) -> None:
    while text:
        text = text.lstrip(b" \t")
        if not text.startswith(b";"):
            raise MalformedError("chunk extension")
        text = _behind_token(text[1:].lstrip(b" \t"))
        if text.lstrip(b" \t").startswith(b"="):
            text = text.lstrip(b" \t")[1:].lstrip(b" \t")
            text = _behind_quoted(text) if text.startswith(b'"') else _behind_token(text)


def _behind_token(text: bytes) -> bytes:
    rest = text.lstrip(bytes(TOKEN))
    if len(rest) == len(text):
        raise MalformedError("chunk extension")
    return rest


def _behind_quoted(text: bytes) -> bytes:
    at = 1
    while at < len(text):
        if text[at : at + 1] == b'"':
            return text[at + 1 :]
        at += 2 if text[at : at + 1] == b"\\" else 1
    raise MalformedError("quoted string")


def _is_token(text: bytes) -> bool:
    return bool(text) and TOKEN.issuperset(text)
