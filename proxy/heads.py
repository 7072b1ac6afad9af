"""The head that goes on to the upstream, and the head that comes back."""

from __future__ import annotations

from typing import Final

from http1.fields import ContentFields, Field, parse_field
from http1.grammar import TRACEPARENT
from http1.reply import ReplyHead
from http1.request import RequestHead
from records.exchange import KEPT_FIELDS

_HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""RFC 9110 §7.6.1 and its registry: fields that end at this hop, whether the Connection field names them or not."""

_OWN: Final = frozenset(
    {b"host", b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-proto", b"x-request-id", b"content-length", b"content-type", b"cache-control"}
)
"""Fields that the Connection field cannot strip: they are ours, or a message is not the same without them."""

_REWRITTEN: Final = _HOP_BY_HOP | {b"forwarded", b"via", b"x-forwarded-for"}
_NOTHING: Final[frozenset[bytes]] = frozenset()

_LENGTH: Final = frozenset({b"content-length"})
"""RFC 9110 §8.6: not sent where a status never has content; somebody behind us could wait for it."""

_UPGRADE: Final = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"

_NO_TRAILERS: Final = _HOP_BY_HOP | _OWN | {b"authorization", b"content-encoding", b"content-range", b"set-cookie", b"www-authenticate"}
"""RFC 9110 §6.5.1: what frames, routes or authenticates a message, or says what its content is, must not come after it."""

KEPT: Final = frozenset(name.encode() for name in KEPT_FIELDS)

_NONE_KEPT: Final[dict[str, str]] = {}

MAX_REQUEST_ID_BYTES: Final = 200

HTTP: Final = b"http"
HTTPS: Final = b"https"
"""The schemes by which a client can have come."""


def upstream_fields(head: RequestHead, client: bytes, scheme: bytes, request_id: bytes, left_out: frozenset[bytes] = _NOTHING) -> bytes:
    """Return the fields, with the empty line, of the request that goes on: all but the request line.

    `scheme` is `HTTP` or `HTTPS` itself; `left_out`, lower-case names of fields that do not go on, is the same for equal heads. Hop-by-hop fields are left out; Via (RFC 9110 §7.6.3), X-Forwarded-For, X-Forwarded-Proto and X-Request-Id
    are added or extended; Forwarded (RFC 7239) is extended where it is used.
    """
    if head.scheme is not scheme:
        head.scheme = scheme
        head.forwarded = _forwarded(head, left_out)
    if b"forwarded" in head.named:
        node = b'"[%b]"' % client if b":" in client else client
        client += b"\r\nForwarded: %b, for=%b" % (head.named[b"forwarded"], node)
    if head.named.get(b"x-request-id") == request_id:
        return b"%b%b\r\n\r\n" % (head.forwarded, client)
    return b"%b%b\r\nX-Request-Id: %b\r\n\r\n" % (head.forwarded, client, request_id)


def _forwarded(head: RequestHead, left_out: frozenset[bytes]) -> bytes:
    """Return what goes on of the client's fields, up to the client's address at the end of X-Forwarded-For."""
    named = head.named
    id_may_pass = b"x-request-id" not in named or usable_request_id(named[b"x-request-id"])
    if id_may_pass and not left_out and not head.withheld and _REWRITTEN.isdisjoint(named) and head.host is named.get(b"host"):
        fields = head.raw_fields
    else:
        left_out |= _REWRITTEN | {b"host", head.withheld} | (head.connection - _OWN) | (_NOTHING if id_may_pass else {b"x-request-id"})
        fields = _joined(head.fields, named, left_out) + b"Host: %b\r\n" % head.host
    if head.upgrade:
        fields += _UPGRADE
    via = named.get(b"via")
    forwarded_for = named.get(b"x-forwarded-for")
    return b"%bVia: %b1.%d driftline\r\n%b%bX-Forwarded-For: %b" % (
        fields,
        via + b", " if via else b"",
        head.minor,
        b"" if b"x-forwarded-proto" in named else b"X-Forwarded-Proto: %b\r\n" % head.scheme,
        b"Transfer-Encoding: chunked\r\n" if head.chunked else b"",
        forwarded_for + b", " if forwarded_for else b"",
    )


def client_head(reply: ReplyHead, request_id: bytes, *, chunked: bool, connection: bytes, body: bytes = b"") -> bytes:
    """Return the reply's head for the client, and a small body with it. `connection` is the Connection field's line, or empty."""
    coding = b"Transfer-Encoding: chunked\r\n" if chunked else b""
    returned = reply.returned or _returned(reply)
    if b"x-request-id" in reply.named:
        return b"%b%b%b\r\n%b" % (returned, coding, connection, body)
    return b"%bX-Request-Id: %b\r\n%b%b\r\n%b" % (returned, request_id, coding, connection, body)


def interim_head(reply: ReplyHead) -> bytes:
    """Return an interim reply (RFC 9110 §15.2) for the client."""
    return (reply.returned or _returned(reply)) + b"\r\n"


def _returned(reply: ReplyHead) -> bytes:
    """Return the status line and what goes back of the upstream's fields, and keep it with the head."""
    left_out = _HOP_BY_HOP | (reply.connection - _OWN)
    if reply.interim or reply.status == 204:
        left_out |= _LENGTH
    fields = _joined(reply.fields, reply.named, left_out)
    reply.returned = b"HTTP/1.1 %d %b\r\n%b" % (reply.status, reply.reason, fields)
    return reply.returned


def passed_trailers(section: bytes) -> bytes:
    """Return the lines of a checked trailer section that may go on (RFC 9110 §6.5)."""
    parsed = [parse_field(line) for line in section[:-2].split(b"\r\n")]
    return b"".join([b"%b: %b\r\n" % each[0] for each in parsed if each is not None and each[1] not in _NO_TRAILERS])


def usable_request_id(value: bytes) -> bool:
    """Whether the caller's X-Request-Id can be sent on: one short word of ASCII."""
    return 0 < len(value) <= MAX_REQUEST_ID_BYTES and b"," not in value and value.isascii()


def trace_context(named: dict[bytes, bytes]) -> tuple[str, str]:
    """Return the caller's trace id and span id; empty where there is no valid `traceparent`."""
    value = named.get(b"traceparent")
    found = TRACEPARENT.match(value) if value else None
    return (found[1].decode(), found[2].decode()) if found else ("", "")


def _joined(fields: list[Field], named: dict[bytes, bytes], left_out: frozenset[bytes]) -> bytes:
    # Without repeats the lower-case names stand in `named` in the fields' own order.
    lowered = named if len(named) == len(fields) else [name.lower() for name, _ in fields]
    return b"".join([b"%b: %b\r\n" % field for field, name in zip(fields, lowered, strict=True) if name not in left_out])


def content_fields(head: RequestHead | ReplyHead, kept_names: frozenset[bytes] = KEPT) -> ContentFields:
    """Return what is recorded of a message's fields beside its body, and keep it with the head: `kept_names` are those of its route."""
    named = head.named
    kept = _NONE_KEPT if kept_names.isdisjoint(named) else {name.decode(): named[name].decode("latin-1") for name in kept_names if name in named}
    head.content = (named.get(b"content-type", b"").decode("latin-1"), named.get(b"content-encoding", b"").decode("latin-1"), kept)
    return head.content
