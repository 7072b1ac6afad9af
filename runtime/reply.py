"""A reply, and who gets it."""

from __future__ import annotations

from typing import Final

JSON: Final = b"application/json"
BINARY: Final = b"application/octet-stream"


class Reply:
    """What is answered to one request."""

    __slots__ = ("content", "content_type", "fields", "is_plain", "status")

    def __init__(self, status: int, content: bytes, content_type: bytes = JSON, fields: bytes = b"") -> None:
        """`fields` are further lines of the head, each with its end."""
        self.status = status
        self.content = content
        self.content_type = content_type
        self.fields = fields
        self.is_plain = status == 200 and content_type is JSON and not fields
        """Nothing but its content sets it apart from others."""


class Recipient:
    """Who waits for a reply."""

    __slots__ = ()

    def respond(self, reply: Reply) -> None:
        """Send it; called once for each request."""
        raise NotImplementedError
