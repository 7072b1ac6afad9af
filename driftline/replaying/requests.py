"""Which stored exchanges can be sent again, and as what."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from yarl import URL

from records.exchange import Exchange, Redaction, Role
from records.ids import format_uuid

REPLAY_FIELD: Final = "X-Driftline-Replay"
"""Names the exchange that a request repeats, so that whoever gets it can tell."""

_HAS_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


class NotSent(StrEnum):
    """Why an exchange is not sent again."""

    SHADOW = "shadow"  # another arm's reply to a request that is sent for the served one
    TRUNCATED = "truncated"  # the capture limit cut the request's body, or the store has forgotten it
    REDACTED = "redacted"  # the body was changed or not kept
    NEVER_WHOLE = "never_whole"  # nobody had answered it, or the request had not come wholly
    TARGET = "target"  # the request's target is not a path


class Request(NamedTuple):
    """One request to send."""

    method: str
    url: URL
    headers: dict[str, str]
    content: bytes | None


def request_of(exchange: Exchange, to: str) -> Request | NotSent:
    """Return the request at the service `to` (scheme, host and maybe a path before all), or why there is none."""
    if exchange.role is not Role.SERVED:
        return NotSent.SHADOW
    if exchange.request.redaction is not Redaction.NONE:
        return NotSent.REDACTED
    if exchange.request.truncated or len(exchange.request.content) != exchange.request.size_bytes:
        return NotSent.TRUNCATED
    if not exchange.status:
        return NotSent.NEVER_WHOLE
    if not exchange.path.startswith("/"):
        return NotSent.TARGET
    body = exchange.request
    named = {"Content-Type": body.content_type, "Content-Encoding": body.content_encoding, **body.fields, REPLAY_FIELD: format_uuid(exchange.exchange_id)}
    headers = {name: value for name, value in named.items() if value}
    content = body.content if body.content or exchange.method in _HAS_BODY else None
    return Request(exchange.method, URL(to.rstrip("/") + exchange.path, encoded=True), headers, content)
