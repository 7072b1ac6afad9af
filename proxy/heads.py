"""The head that goes on to the upstream, the head that comes back, and the replies that the proxy makes itself."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final

from proxy.wire.fields import Field
from proxy.wire.grammar import TRACEPARENT
from proxy.wire.reply import ReplyHead
from proxy.wire.request import RequestHead

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

_OWN: Final = frozenset({b"host", b"via", b"x-forwarded-for", b"x-forwarded-proto", b"x-request-id", b"content-length", b"content-type", b"cache-control"})
"""Fields that the Connection field cannot strip: they are ours, or a message is not the same without them."""

_REWRITTEN: Final = _HOP_BY_HOP | {b"x-forwarded-for", b"via"}

MAX_REQUEST_ID_BYTES: Final = 200


def upstream_fields(head: RequestHead, client: bytes, request_id: bytes) -> bytes:
    """Return the fields, with the empty line, of the request that goes on: all but the request line.

    Hop-by-hop fields are left out; Via (RFC 9110 §7.6.3), X-Forwarded-For, X-Forwarded-Proto and X-Request-Id are added or extended.
    """
    named = head.named
    given_id = named.get(b"x-request-id")
    if _REWRITTEN.isdisjoint(named) and head.host is named.get(b"host") and given_id in {None, request_id}:
        fields = head.raw_fields
    else:
        given_id = None
        fields = _joined(head.fields, named, _REWRITTEN | (head.connection - _OWN) | {b"host", b"x-request-id"}) + b"Host: %b\r\n" % head.host
    via = named.get(b"via")
    forwarded_for = named.get(b"x-forwarded-for")
    return b"%bVia: %b1.%d driftline\r\nX-Forwarded-For: %b%b\r\n%b%b%b\r\n" % (
        fields,
        via + b", " if via else b"",
        head.minor,
        forwarded_for + b", " if forwarded_for else b"",
        client,
        b"" if b"x-forwarded-proto" in named else b"X-Forwarded-Proto: http\r\n",
        b"Transfer-Encoding: chunked\r\n" if head.chunked else b"",
        b"" if given_id else b"X-Request-Id: %b\r\n" % request_id,
    )


def client_head(reply: ReplyHead, request_id: bytes, *, chunked: bool, connection: bytes) -> bytes:
    """Return the reply's head for the client. `connection` is the Connection field's line, or empty."""
    named = reply.named
    if _HOP_BY_HOP.isdisjoint(named):
        fields = reply.raw_fields
    else:
        fields = _joined(reply.fields, named, _HOP_BY_HOP | (reply.connection - _OWN) if reply.connection else _HOP_BY_HOP)
    return b"HTTP/1.1 %d %b\r\n%b%b%b%b\r\n" % (
        reply.status,
        reply.reason,
        fields,
        b"" if b"x-request-id" in named else b"X-Request-Id: %b\r\n" % request_id,
        b"Transfer-Encoding: chunked\r\n" if chunked else b"",
        connection,
    )


def interim_head(reply: ReplyHead) -> bytes:
    """Return an interim reply (RFC 9110 §15.2) for the client."""
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (reply.status, reply.reason, _joined(reply.fields, reply.named, _HOP_BY_HOP | (reply.connection - _OWN)))


def own_reply(status: int, message: str, request_id: str, *, connection: bytes, head_only: bool = False) -> bytes:
    """Return a whole reply of the proxy's own: `{"error": …, "request_id": …}`."""
    body = json.dumps({"error": message, "request_id": request_id}, ensure_ascii=True).encode() + b"\n"
    reason = HTTPStatus(status).phrase.encode()
    head = b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\nX-Request-Id: %b\r\nServer: driftline\r\n%b\r\n"
    return head % (status, reason, len(body), request_id.encode("latin-1"), connection) + (b"" if head_only else body)


def usable_request_id(value: bytes | None) -> str | None:
    """Return the caller's X-Request-Id as text; None where there is none, or none that could be sent on as one short word."""
    if not value or len(value) > MAX_REQUEST_ID_BYTES or b"," in value:
        return None
    return value.decode("latin-1") if value.isascii() else None


def trace_context(named: dict[bytes, bytes]) -> tuple[str, str]:
    """Return the caller's trace id and span id; empty where there is no valid `traceparent`."""
    value = named.get(b"traceparent")
    found = TRACEPARENT.match(value) if value else None
    return (found[1].decode(), found[2].decode()) if found else ("", "")


def _joined(fields: list[Field], named: dict[bytes, bytes], left_out: frozenset[bytes]) -> bytes:
    # Without repeats the lower-case names stand in `named` in the fields' own order.
    lowered = named if len(named) == len(fields) else [name.lower() for name, _ in fields]
    return b"".join([b"%b: %b\r\n" % field for field, name in zip(fields, lowered, strict=True) if name not in left_out])
