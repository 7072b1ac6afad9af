"""One request and its reply by one arm: the record from which every view is derived."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from records.ids import ExchangeId


class Role(StrEnum):
    """Whose reply it was: the one that the client got, or one that nobody saw."""

    SERVED = "served"  # the reply that the client got
    SHADOW = "shadow"  # a shadow's, which nobody saw


class ErrorKind(StrEnum):
    """Why an exchange did not end in an ordinary reply. An HTTP error status alone is not an error of the exchange."""

    NONE = ""
    BAD_REQUEST = "bad_request"  # the client's message could not be parsed or was refused
    HEAD_TIMEOUT = "head_timeout"  # a request's head was begun and not ended in time
    BODY_TIMEOUT = "body_timeout"  # the rest of a request's body did not come
    SEND_TIMEOUT = "send_timeout"  # the client did not take its reply
    OVERLOADED = "overloaded"  # a limit of this worker was reached
    UNAUTHENTICATED = "unauthenticated"  # the client did not show who it is
    FORBIDDEN = "forbidden"  # it may not send requests
    RATE_LIMITED = "rate_limited"  # it sent more requests than it may
    NO_ROUTE = "no_route"  # no route takes the request's path
    CONNECT_FAILED = "connect_failed"  # no endpoint could be connected to
    CONNECT_TIMEOUT = "connect_timeout"  # no endpoint could be connected to in time
    QUEUE_FULL = "queue_full"  # as many requests as may wait for a connection to the upstream did so already
    QUEUE_TIMEOUT = "queue_timeout"  # no connection to the upstream became free in time
    FIRST_BYTE_TIMEOUT = "first_byte_timeout"  # the upstream did not begin its reply in time
    REPLY_IDLE_TIMEOUT = "reply_idle_timeout"  # the upstream went silent in the middle of its reply
    TUNNEL_IDLE_TIMEOUT = "tunnel_idle_timeout"  # an upgraded connection on which neither side said anything
    TOTAL_TIMEOUT = "total_timeout"  # the exchange took longer than it may in all
    UPSTREAM_CLOSED = "upstream_closed"  # the upstream closed the connection before its reply was whole
    BAD_REPLY = "bad_reply"  # the upstream's reply broke HTTP's framing rules
    CLIENT_LEFT = "client_left"  # the client closed before the reply was whole
    SHUTDOWN = "shutdown"  # the worker's grace period ended first
    TOO_SLOW = "too_slow"  # a shadow took its copy slower than it came, and too much waited for it
    REPLY_NOT_LOGGED = "reply_not_logged"  # of a payload logger's events, the reply's did not come
    REQUEST_NOT_LOGGED = "request_not_logged"  # of a payload logger's events, the request's did not come
    INCOMPLETE = "incomplete"  # a shadow's copy ended with the served request, which was never whole


KEPT_FIELDS: Final = frozenset(
    {
        "inference-header-content-length",
        "x-amzn-sagemaker-target-model",
        "x-amzn-sagemaker-inference-id",
        "azureml-model-deployment",
        "seldon-model",
        "x-seldon-route",
    }
)
"""Lower-case names of the header fields, beyond content type and encoding, without which bodies cannot be decoded
(WIRE formats: Open Inference V2 binary extension, SageMaker, Azure ML, Seldon 2)."""


class Redaction(StrEnum):
    """What became of a body before it was kept."""

    NONE = ""
    REDACTED = "redacted"  # what the rules name was dropped, masked or hashed; the rest was written anew
    NOT_KEPT = "not_kept"  # the route's settings keep no such bodies, or the rules could not see what is in this one


class Body(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message body as it was seen on the wire, with what is needed to decode it."""

    content: bytes = b""
    """The first bytes, at most the capture limit; transfer coding removed, content coding as sent."""
    size_bytes: int = 0
    """The whole length, also when `content` is shorter."""
    truncated: bool = False
    content_type: str = ""
    content_encoding: str = ""
    fields: dict[str, str] = {}
    """Header fields named in `KEPT_FIELDS` that the message had."""
    chunk_ends: tuple[int, ...] = ()
    """Of an event stream: the body's length in bytes after each piece that came, at most 4,096 of them."""
    chunk_ns: tuple[int, ...] = ()
    """When each of these pieces came, from the request's head on."""
    redaction: Redaction = Redaction.NONE
    """With `REDACTED`, `size_bytes` is still the length on the wire; with `NOT_KEPT`, `content` is empty."""


NO_BODY: Final = Body()


class Exchange(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One request and its reply by one arm. Times are Unix nanoseconds, durations nanoseconds, −1 where not reached."""

    exchange_id: ExchangeId
    """UUIDv7 (RFC 9562 §5.7), 16 bytes, shared by the served reply and every shadow's."""
    request_id: str
    """The caller's X-Request-Id, else made here and sent on."""
    role: Role
    route: str
    arm: str
    """Which of the route's targets replied: the upstream's name or a shadow's."""
    started_at_ns: int
    """When the first byte of the request's head was read."""
    method: str
    path: str
    """The request target as received, query included."""
    model: str = ""
    """As the settings name it; empty where the payload or its path is to tell."""
    version: str = ""
    queue_ns: int = -1
    """From the request's head until it had a connection to the arm."""
    connect_ns: int = -1
    """Establishing that connection; 0 where an idle one was used again."""
    first_byte_ns: int = -1
    """From the request's head until the reply's first byte."""
    total_ns: int = -1
    """From the request's head until the reply was whole or had failed."""
    status: int = 0
    """What the arm answered, or what the proxy answered in its place; 0 where nobody was answered."""
    error: ErrorKind = ErrorKind.NONE
    client: str = ""
    """The address of the peer."""
    principal: str = ""
    """Who was authenticated; empty where nobody was."""
    trace_id: str = ""
    """W3C Trace Context: 32 lower-case hexadecimal digits, empty where there was no valid `traceparent`."""
    span_id: str = ""
    """The caller's span (16 hexadecimal digits): the parent of the spans derived from this record."""
    sampling_rate: float = 1.0
    """The share of exchanges that were kept when this one was: statistics weigh it by the inverse."""
    request: Body = NO_BODY
    """For a shadow empty but for its size: it got the served request's body."""
    response: Body = NO_BODY
    subjects: tuple[str, ...] = ()
    """Whose data it is, hashed: `<name of the key>:<32 hexadecimal digits>`; on the served exchange alone."""
