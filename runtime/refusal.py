"""Why a request is not answered as it asks. Each protocol writes it in its own form."""

from __future__ import annotations


class Refused(Exception):  # noqa: N818 - an expected outcome that stays inside this room, not an error
    """Leaves whatever finds that a request cannot be answered; the connection makes a reply of it."""

    def __init__(self, status: int, text: str, retry_after_seconds: int = 0) -> None:
        """`status` is HTTP's; `text` says what was expected and what was found; with `retry_after_seconds` the same request may do better then."""
        super().__init__(text)
        self.status = status
        self.text = text
        self.retry_after_seconds = retry_after_seconds
