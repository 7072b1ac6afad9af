"""Request heads (RFC 9112 §3, §6; RFC 9110 §7)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from http1.fields import REMEMBERED_FIELD_BYTES, ContentFields, Field, connection_options, parse_content_length, parse_fields, require_chunked
from http1.grammar import ABSOLUTE_FORM, HOST, REQUEST_LINE
from http1.reader import CHUNKED, REMEMBERED_HEADS, HeadParser, MessageHead, Reader, WireError

MAX_TARGET_BYTES: Final = 8192


class RequestHead(MessageHead):
    """A request's head, checked. Bytes are as received, but for the target, which is in origin form.

    Heads are remembered and shared between requests: what is made of them (`forwarded`, `scheme`, `content`) is a pure function of them, kept beside.
    """

    __slots__ = (
        "chunked",
        "connection",
        "content",
        "fields",
        "forwarded",
        "host",
        "keep_alive",
        "method",
        "method_text",
        "minor",
        "named",
        "raw_fields",
        "scheme",
        "target",
        "target_text",
        "upgrade",
        "withheld",
    )

    method: bytes
    target: bytes
    """Origin form (`/path?query`), or `*`."""
    minor: int
    """0 for HTTP/1.0, 1 for HTTP/1.1 and later."""
    method_text: str
    target_text: str
    forwarded: bytes
    """The fields as they go on for a client that came by `scheme`; `proxy.heads` makes them, and they are kept with a remembered head."""
    scheme: bytes
    """Empty until then."""
    content: ContentFields | None
    """Likewise, what is recorded of them."""
    raw_fields: bytes
    """All field lines as received."""
    fields: list[Field]
    """All fields in order, names as received, values without surrounding white space."""
    named: dict[bytes, bytes]
    """By lower-case name; repeated fields joined by commas."""
    host: bytes
    upgrade: bool
    """It asks to go on as WebSocket (RFC 6455 §4.1). Other protocols are not offered: what we cannot delimit we do not tunnel."""
    chunked: bool
    keep_alive: bool
    withheld: bytes
    """The lower-case name of a field that does not go on, since it holds a secret between client and proxy; empty where there is none. Likewise a pure function."""
    connection: frozenset[bytes]
    """Lower-case options of the Connection field: names of fields that end here, `close`, `keep-alive`."""


def parse_request_head(section: bytes) -> RequestHead:
    """Parse a request line and its fields, without the end of the last line. Raises WireError."""
    line, _, lines = section.partition(b"\r\n")
    method, target, minor, method_text = (_remembered_line if len(line) <= REMEMBERED_FIELD_BYTES else _parse_line)(line)
    head = RequestHead()
    head.method = method
    head.minor = minor
    head.method_text = method_text
    head.raw_fields = lines + b"\r\n" if lines else b""
    head.scheme = head.forwarded = head.withheld = b""
    head.content = None
    head.fields, head.named = parse_fields(lines, 400)
    head.connection = connection = connection_options(head.named)
    head.keep_alive = b"close" not in connection and (head.minor == 1 or b"keep-alive" in connection)
    head.body_length = _body_length(head.named, head.minor)
    head.chunked = head.body_length == CHUNKED
    asks = head.minor == 1 and head.body_length == 0 and method == b"GET" and b"upgrade" in connection
    head.upgrade = asks and head.named.get(b"upgrade", b"").lower() == b"websocket"
    _set_target(head, target)
    head.target_text = head.target.decode("latin-1")
    return head


_parser: Final[HeadParser[RequestHead]] = HeadParser(parse_request_head)


def _parse_line(line: bytes) -> tuple[bytes, bytes, int, str]:
    found = REQUEST_LINE.match(line)
    if found is None:
        raise WireError(400, "the request line is malformed")
    method, target, major, minor = found.groups()
    if major != b"1":
        raise WireError(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    return method, target, 0 if minor == b"0" else 1, method.decode("latin-1")


def _is_host(host: bytes) -> bool:
    return HOST.match(host) is not None


# Where a head as a whole does not repeat, these do.
_remembered_line = lru_cache(REMEMBERED_HEADS)(_parse_line)
_remembered_host = lru_cache(REMEMBERED_HEADS)(_is_host)


class RequestReader(Reader[RequestHead]):
    """Reads the requests of one client connection."""

    __slots__ = ()

    def __init__(self, max_head_bytes: int) -> None:
        super().__init__(max_head_bytes, _parser)

    def too_large(self) -> WireError:
        """RFC 6585 §5."""
        return WireError(431, "the request's head is larger than is accepted")


def _body_length(named: dict[bytes, bytes], minor: int) -> int:
    """RFC 9112 §6.3, refusing what two parsers could read in two ways."""
    length = named.get(b"content-length")
    coding = named.get(b"transfer-encoding")
    if coding is None:
        return 0 if length is None else parse_content_length(length, 400)
    if length is not None:
        raise WireError(400, "a message has either Transfer-Encoding or Content-Length, not both")
    if minor == 0:
        raise WireError(400, "HTTP/1.0 has no Transfer-Encoding")
    require_chunked(coding, 400)
    return CHUNKED


def _set_target(head: RequestHead, target: bytes) -> None:
    """RFC 9112 §3.2: one valid Host (HTTP/1.0 may leave it out), and a target in origin, absolute or asterisk form."""
    host = head.named.get(b"host")
    if host is None:
        if head.minor == 1:
            raise WireError(400, "a request has a Host field")
        host = b""
    elif not (_remembered_host if len(host) <= REMEMBERED_FIELD_BYTES else _is_host)(host):
        raise WireError(400, "the Host field is malformed")
    if len(target) > MAX_TARGET_BYTES:
        raise WireError(414, "the request target is longer than is accepted")
    if head.method == b"CONNECT":
        raise WireError(405, "CONNECT is not offered here")
    head.host = host
    if target.startswith(b"/") or (target == b"*" and head.method == b"OPTIONS"):
        if b"#" in target:
            raise WireError(400, "the request target has a fragment")
        head.target = target
    else:
        _set_absolute_target(head, target)


def _set_absolute_target(head: RequestHead, target: bytes) -> None:
    """RFC 9112 §3.2.2: the target's authority replaces the Host field."""
    absolute = ABSOLUTE_FORM.match(target)
    if absolute is None or not _is_host(absolute[1]):
        raise WireError(400, "the request target is malformed")
    head.host = absolute[1]
    rest = absolute[2] or b"/"
    head.target = rest if rest.startswith(b"/") else b"/" + rest
