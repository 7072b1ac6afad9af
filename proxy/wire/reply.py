"""Reply heads (RFC 9112 §4, §6)."""

from __future__ import annotations

from proxy.wire.fields import Field, connection_options, parse_content_length, parse_fields, require_chunked
from proxy.wire.grammar import STATUS_LINE
from proxy.wire.reader import Reader, WireError


class ReplyHead:
    """A reply's head, checked."""

    __slots__ = ("chunked", "connection", "content_length", "fields", "keep_alive", "minor", "named", "raw_fields", "reason", "status", "until_close")

    status: int
    reason: bytes
    minor: int
    raw_fields: bytes
    """All field lines as received."""
    fields: list[Field]
    named: dict[bytes, bytes]
    content_length: int | None
    """As announced, also where there is no body (HEAD, 304); None where it was not."""
    chunked: bool
    until_close: bool
    """The body ends with the connection."""
    keep_alive: bool
    connection: frozenset[bytes]

    @property
    def interim(self) -> bool:
        """Another head follows (RFC 9110 §15.2)."""
        return self.status < 200


class ReplyReader(Reader[ReplyHead]):
    """Reads the replies of one upstream connection. `expect` says which request the next reply belongs to."""

    __slots__ = ("_method",)

    def __init__(self, max_head_bytes: int) -> None:
        super().__init__(max_head_bytes)
        self._method = b"GET"

    def expect(self, method: bytes) -> None:
        """The next reply answers a request with this method: a reply to HEAD has no body."""
        self._method = method

    def too_large(self) -> WireError:
        """Return the error for a head over the limit."""
        return WireError(502, "the reply's head is larger than is accepted")

    def parse_head(self, section: bytes) -> ReplyHead:
        """Parse a status line and its fields."""
        line = STATUS_LINE.match(section)
        if line is None or line[1] != b"1":
            raise WireError(502, "the status line is malformed")
        _, minor, status, reason = line.groups()
        head = ReplyHead()
        head.status = int(status)
        head.reason = reason or b""
        head.minor = 0 if minor == b"0" else 1
        head.raw_fields = section[line.end() :]
        head.fields, head.named = parse_fields(section, line.end(), 502)
        head.connection = connection = connection_options(head.named)
        head.keep_alive = b"close" not in connection and (head.minor == 1 or b"keep-alive" in connection)
        self._set_framing(head)
        return head

    def _set_framing(self, head: ReplyHead) -> None:
        """RFC 9112 §6.3."""
        length = head.named.get(b"content-length")
        coding = head.named.get(b"transfer-encoding")
        head.content_length = None if length is None else parse_content_length(length, 502)
        head.chunked = coding is not None
        head.until_close = False
        if coding is not None:
            if length is not None or head.minor == 0:
                raise WireError(502, "the reply's framing is ambiguous")
            require_chunked(coding, 502)
        if head.status < 200:
            if head.status == 101:
                raise WireError(502, "the upstream switched protocols unasked")
            self.start_next()
        elif self._method == b"HEAD" or head.status in {204, 304}:
            head.chunked = False
            self._frame(length=0)
        else:
            head.until_close = not head.chunked and head.content_length is None
            self._frame(length=head.content_length, chunked=head.chunked)
