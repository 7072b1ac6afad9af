"""`POST /forget` on the monitor's socket."""

from __future__ import annotations

import msgspec
from aiohttp import web

from console.audit import peer
from console.replies import ApiError, json_reply
from console.threads import StoreThreads
from records.forgetting import ForgetRequest
from records.ports import Forget

_EXAMPLE = '{"request_id": "order-7"}'


class ForgetDesk:
    """Takes requests to forget."""

    def __init__(self, forget: Forget, store: StoreThreads) -> None:
        self._forget = forget
        self._store = store

    async def take(self, request: web.Request) -> web.Response:
        """Answer with the report."""
        try:
            wanted = msgspec.json.decode(await request.read(), type=ForgetRequest)
        except msgspec.MsgspecError as error:
            raise ApiError(400, f"Expected JSON such as {_EXAMPLE}: {error}.") from error
        try:
            report = await self._store.ask(self._forget, wanted, peer(request))
        except ValueError as error:
            raise ApiError(400, str(error)) from error
        except OSError as error:
            raise ApiError(503, f"This cannot be put on record, so nothing was deleted: {error.strerror}.") from error
        return json_reply(msgspec.to_builtins(report))
