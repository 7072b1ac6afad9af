"""The replies that the proxy makes itself: in an upstream's place, and to requests that go nowhere."""

from __future__ import annotations

import json
import time
from binascii import hexlify
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from http1.request import RequestHead
from records.exchange import ErrorKind, Exchange, Role
from records.ids import new_exchange_id

if TYPE_CHECKING:
    from proxy.client import ClientConnection
    from proxy.context import Context

STATUSES: Final = {
    ErrorKind.CONNECT_FAILED: 502,
    ErrorKind.CONNECT_TIMEOUT: 504,
    ErrorKind.FIRST_BYTE_TIMEOUT: 504,
    ErrorKind.TOTAL_TIMEOUT: 504,
    ErrorKind.BODY_TIMEOUT: 408,
    ErrorKind.QUEUE_FULL: 503,
    ErrorKind.QUEUE_TIMEOUT: 503,
    ErrorKind.UPSTREAM_CLOSED: 502,
    ErrorKind.BAD_REPLY: 502,
    ErrorKind.SHUTDOWN: 503,
    ErrorKind.BAD_REQUEST: 400,
}
"""What a client is answered when its exchange fails before the upstream's reply began."""

CLOSE: Final = b"Connection: close\r\n"


def own_reply(status: int, message: str, request_id: bytes, *, connection: bytes, head_only: bool = False, field: bytes = b"") -> bytes:
    """Return a whole reply of the proxy's own: `{"error": …, "request_id": …}`. `connection` is the Connection field's line, `field` another one, or empty."""
    body = json.dumps({"error": message, "request_id": request_id.decode()}, ensure_ascii=True).encode() + b"\n"
    reason = HTTPStatus(status).phrase.encode()
    fields = field or (b"Retry-After: 1\r\n" if status == HTTPStatus.SERVICE_UNAVAILABLE else b"")
    head = b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\nX-Request-Id: %b\r\nServer: driftline\r\n%b%b\r\n"
    return head % (status, reason, len(body), request_id, connection, fields) + (b"" if head_only else body)


def refusal(
    context: Context,
    client: ClientConnection,
    status: int,
    kind: ErrorKind,
    message: str,
    head: RequestHead | None = None,
    request_id: bytes = b"",
    field: bytes = b"",
) -> bytes:
    """Put a request that goes nowhere on record, with what is known of it, and return the reply, after which its connection is closed."""
    now_ns = time.time_ns()
    exchange_id = new_exchange_id(now_ns)
    request_id = request_id or hexlify(exchange_id)
    context.tap.append(
        Exchange(
            exchange_id=exchange_id,
            request_id=request_id.decode(),
            role=Role.SERVED,
            route="",
            arm="",
            started_at_ns=now_ns,
            total_ns=0,
            method="" if head is None else head.method_text,
            path="" if head is None else head.target_text,
            status=status,
            error=kind,
            client=client.peer_text,
            principal=client.principal,
        )
    )
    context.unrouted.ended(status, kind, 0)
    return own_reply(status, message, request_id, connection=CLOSE, head_only=head is not None and head.method == b"HEAD", field=field)
