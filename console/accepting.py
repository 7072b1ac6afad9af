"""`POST /api/v1/models/{model}/baseline`, and `POST /accept` on the monitor's socket."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from aiohttp import web

from console.audit import peer
from console.replies import ApiError, json_reply
from console.threads import StoreThreads
from records.acceptance import AcceptRequest
from records.ports import Accept, StoreUnavailableError

_EXAMPLE: Final = '{"since": "2026-03-01T00:00:00Z"}'


class AcceptDesk:
    """Takes requests to accept traffic as a model's new baseline."""

    def __init__(self, accept: Accept, store: StoreThreads) -> None:
        self._accept = accept
        self._store = store

    async def take(self, request: web.Request, **fixed: str) -> web.Response:
        """Answer with the report; `fixed` is what the address says and the body need not."""
        try:
            body: dict[str, Any] = msgspec.json.decode(await request.read() or b"{}", type=dict[str, Any])
            wanted = msgspec.convert({**body, **fixed}, AcceptRequest)
        except msgspec.MsgspecError as error:
            raise ApiError(400, f"Expected JSON such as {_EXAMPLE}: {error}.") from error
        try:
            report = await self._store.ask(self._accept, wanted, peer(request))
        except ValueError as error:
            raise ApiError(400, f"{error}.") from error
        except StoreUnavailableError as error:
            raise ApiError(503, f"{error}.") from error
        except OSError as error:
            raise ApiError(503, f"This cannot be put on record, so it is not done: {error.strerror}.") from error
        return json_reply(msgspec.to_builtins(report))
