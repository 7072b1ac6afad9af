"""Bodies that callers send: some at a time, of a bounded size, each answered with what became of its lines."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
from aiohttp import web

from console.replies import ApiError, json_reply
from records.ports import EventIntake, EventsNotTakenError, LabelIntake, LabelsNotKeptError, UnreadableEventsError, UnreadableLabelsError
from records.receipt import Receipt

BODY_AT_MOST_BYTES: Final = 8 * 1024 * 1024
"""After decompression. Larger ones are answered 413."""

_BODIES_AT_ONCE: Final = 2
"""Parsed, a body of small values takes some twenty times its size."""

_BODY_SECONDS: Final = 60.0


class BodyDesk:
    """Takes bodies of labels and of events. One per application.

    The answer is 200 where all lines were good, 207 where some were, 400 where none was, 503 where they cannot be taken now.
    """

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(_BODIES_AT_ONCE)

    async def take_labels(self, request: web.Request, take: LabelIntake) -> web.Response:
        """Take labels."""
        async with self._places:
            content = await _content(request)
            try:
                return _reply(await asyncio.to_thread(take, content, request.headers.get("Content-Type", "")))
            except UnreadableLabelsError as error:
                raise ApiError(400, f"No label was taken: {error}.") from error
            except LabelsNotKeptError as error:
                raise ApiError(503, f"No label was taken: {error}.") from error

    async def take_events(self, request: web.Request, take: EventIntake) -> web.Response:
        """Take CloudEvents."""
        async with self._places:
            content = await _content(request)
            try:
                return _reply(await take(content, {name.lower(): value for name, value in request.headers.items()}))
            except UnreadableEventsError as error:
                raise ApiError(400, f"No event was taken: {error}.") from error
            except EventsNotTakenError as error:
                raise ApiError(503, f"No event was taken: {error}.") from error


async def _content(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await request.clone(client_max_size=BODY_AT_MOST_BYTES).read()
    except TimeoutError:
        raise ApiError(408, f"The body did not come within {_BODY_SECONDS:g} s; send it in smaller parts.") from None


def _reply(receipt: Receipt) -> web.Response:
    status = 200 if not receipt.refused else 207 if receipt.accepted else 400
    return json_reply(msgspec.to_builtins(receipt), status=status)
