"""Server-sent events (WHATWG HTML §9.2) as inference services write them: their data, and when each came."""

from __future__ import annotations

import io
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from payloads.json_documents import load_object
from payloads.media_types import media_type
from payloads.refusal import Refused, require_few_values
from records.exchange import Body
from records.payload import STREAM_TIMES, Tensor, Undecodable

_END: Final = b"[DONE]"
"""What OpenAI's protocol writes as the last event."""


class Event(NamedTuple):
    """One event whose data is an object."""

    document: dict[str, Any]
    end_bytes: int
    """The stream's length up to the end of the event."""


def is_stream(body: Body) -> bool:
    """Whether the body is an event stream by its content type."""
    return media_type(body.content_type) == "text/event-stream"


def events(content: bytes) -> Iterator[Event]:
    """Yield the events up to `[DONE]` or the end; refuse one whose data is not an object, and one that reports an error."""
    for count, (data, end_bytes) in enumerate(_data(content), start=1):
        require_few_values(count)
        if data == _END:
            return
        document = load_object(data)
        if document.get("error"):
            raise Refused(Undecodable.ERROR_REPLY)  # under HTTP status 200: it had begun well
        yield Event(document, end_bytes)


def _data(content: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the data of each event and where it ends; an event that no empty line ends is none, by the specification."""
    lines: list[bytes] = []
    position = 0
    for line in io.BytesIO(content):
        position += len(line)
        field, _, value = line.rstrip(b"\r\n").partition(b":")
        if field == b"data":
            lines.append(value.removeprefix(b" "))
        elif not field and not value and lines:
            yield b"\n".join(lines), position
            lines = []


def seconds_until(end_bytes: int, body: Body) -> float | None:
    """Return the time from the request's head until the reply had this length; None where it was not recorded, or the body was compressed."""
    if not body.chunk_ends or body.content_encoding:
        return None
    piece = bisect_left(body.chunk_ends, end_bytes)
    return body.chunk_ns[piece] / 1e9 if piece < len(body.chunk_ns) else None


def timing_tensors(first_bytes: int, last_bytes: int, tokens: int, body: Body) -> list[Tensor]:
    """Return how long the first of `tokens` took, and then each further one; nothing where times were not recorded.

    `first_bytes` and `last_bytes` are the stream's lengths when the first and the last token had come.
    """
    first, last = seconds_until(first_bytes, body), seconds_until(last_bytes, body)
    if first is None or last is None:
        return []
    each = (last - first) / (tokens - 1) if tokens > 1 else None
    return [Tensor(name, "FP64", (1,), [seconds]) for name, seconds in zip(STREAM_TIMES, (first, each), strict=True)]
