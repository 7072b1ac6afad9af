"""Labels from callers: some bodies at a time, of a bounded size, each answered with what became of its lines."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
from aiohttp import web

from console.replies import ApiError, json_reply
from records.label import LabelReceipt
from records.ports import LabelIntake, LabelsNotKeptError, UnreadableLabelsError

BODY_AT_MOST_BYTES: Final = 16 * 1024 * 1024
"""After decompression. Larger ones are answered 413."""

_BODIES_AT_ONCE: Final = 4
_BODY_SECONDS: Final = 60.0


class LabelDesk:
    """Takes bodies of labels. One per application."""

    def __init__(self, intake: LabelIntake) -> None:
        self._intake = intake
        self._places = asyncio.Semaphore(_BODIES_AT_ONCE)

    async def take(self, request: web.Request) -> web.Response:
        """Answer 200 where all lines were labels, 207 where some were, 400 where none was, 503 where labels cannot be kept now."""
        async with self._places:
            try:
                async with asyncio.timeout(_BODY_SECONDS):
                    content = await request.clone(client_max_size=BODY_AT_MOST_BYTES).read()
            except TimeoutError:
                raise ApiError(408, f"The body did not come within {_BODY_SECONDS:g} s; send it in smaller parts.") from None
            receipt = await asyncio.to_thread(self._keep, content, request.headers.get("Content-Type", ""))
        return json_reply(msgspec.to_builtins(receipt), status=_status(receipt))

    def _keep(self, content: bytes, content_type: str) -> LabelReceipt:
        try:
            return self._intake(content, content_type)
        except UnreadableLabelsError as error:
            raise ApiError(400, f"No label was taken: {error}.") from error
        except LabelsNotKeptError as error:
            raise ApiError(503, f"No label was taken: {error}.") from error


def _status(receipt: LabelReceipt) -> int:
    if not receipt.refused:
        return 200
    return 207 if receipt.accepted else 400
