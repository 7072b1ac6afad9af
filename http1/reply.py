"""Reply heads (RFC 9112 §4, §6)."""

from __future__ import annotations

from typing import Final

from http1.fields import ContentFields, Field, connection_options, parse_content_length, parse_fields, require_chunked
from http1.grammar import STATUS_LINE
from http1.reader import ANOTHER_HEAD, CHUNKED, UNTIL_CLOSE, HeadParser, MessageHead, Reader, WireError


class ReplyHead(MessageHead):
    """A reply's head, checked; shared between replies as requests' heads are, with what is made of it (`returned`, `content`)."""

    __slots__ = (
        "connection",
        "content",
        "event_stream",
        "fields",
        "interim",
        "keep_alive",
        "minor",
        "named",
        "reason",
        "returned",
        "status",
        "unbounded",
    )

    status: int
    reason: bytes
    minor: int
    returned: bytes
    """Status line and fields as they go back; empty until `proxy.heads` makes them, and kept with a remembered head."""
    content: ContentFields | None
    """Likewise, what is recorded of them."""
    fields: list[Field]
    named: dict[bytes, bytes]
    interim: bool
    """Another head follows (RFC 9110 §15.2)."""
    unbounded: bool
    """Only the body's end tells its length."""
    keep_alive: bool
    event_stream: bool
    """Its body is events (`text/event-stream`), each worth its time."""
    connection: frozenset[bytes]


def parse_reply_head(section: bytes) -> ReplyHead:
    """Parse a status line and its fields, without the end of the last line. Raises WireError."""
    line, _, lines = section.partition(b"\r\n")
    found = STATUS_LINE.match(line)
    if found is None or found[1] != b"1":
        raise WireError(502, "the status line is malformed")
    _, minor, status, reason = found.groups()
    head = ReplyHead()
    head.status = int(status)
    head.reason = reason or b""
    head.minor = 0 if minor == b"0" else 1
    head.returned = b""
    head.content = None
    head.fields, head.named = parse_fields(lines, 502)
    head.connection = connection = connection_options(head.named)
    head.keep_alive = b"close" not in connection and (head.minor == 1 or b"keep-alive" in connection)
    head.interim = head.status < 200
    head.body_length = _body_length(head)
    head.unbounded = head.body_length in {CHUNKED, UNTIL_CLOSE}
    head.event_stream = head.named.get(b"content-type", b"").lower().startswith(b"text/event-stream")
    return head


_parser: Final[HeadParser[ReplyHead]] = HeadParser(parse_reply_head)


class ReplyReader(Reader[ReplyHead]):
    """Reads the replies of one upstream connection; set `bodiless` before the reply to a HEAD request."""

    __slots__ = ()

    def __init__(self, max_head_bytes: int) -> None:
        super().__init__(max_head_bytes, _parser)

    def too_large(self) -> WireError:
        """Return the error for a head over the limit."""
        return WireError(502, "the reply's head is larger than is accepted")

    def _skip_empty_lines(self) -> None:
        """Skip none: before a status line they are a fault."""


def _body_length(head: ReplyHead) -> int:
    length = head.named.get(b"content-length")
    coding = head.named.get(b"transfer-encoding")
    announced = None if length is None else parse_content_length(length, 502)
    if coding is not None:
        if length is not None or head.minor == 0:
            raise WireError(502, "the reply's framing is ambiguous")
        require_chunked(coding, 502)
    if head.interim:
        return ANOTHER_HEAD
    if head.status in {204, 304}:
        return 0
    if coding is not None:
        return CHUNKED
    return UNTIL_CLOSE if announced is None else announced
