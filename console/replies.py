"""JSON replies and errors, the same for every endpoint."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import msgspec
from aiohttp import web

from records.ports import StoreUnavailableError

_log = logging.getLogger(__name__)

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ApiError(Exception):
    """A request that cannot be answered; the text says what is wrong and what to do."""

    def __init__(self, status: int, text: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers


def json_reply(content: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return `content` as JSON that nobody may cache."""
    body = msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
    return web.Response(body=body, status=status, content_type="application/json", headers={"Cache-Control": "no-store", **(headers or {})})


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever goes wrong into `{"error": "..."}` with the status that fits."""
    try:
        return await handler(request)
    except ApiError as error:
        return _error_reply(error.status, str(error), error.headers)
    except StoreUnavailableError as error:
        return _error_reply(503, f"The store cannot be asked now: {error}")
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        return _error_reply(405, f"{request.method} is not possible on {request.path}; possible: {allowed}.", {"Allow": allowed})
    except web.HTTPNotFound:
        return _error_reply(404, f"There is nothing at {request.path}; GET / lists what there is.")
    except web.RequestPayloadError as error:
        return _error_reply(400, f"The body cannot be read: {' '.join(str(error).split())}.")
    except web.HTTPException as error:
        return _error_reply(error.status, f"{error.reason}.")
    except Exception:  # noqa: BLE001 - the last resort, logged with its traceback
        _log.exception("%s %s failed", request.method, request.path)
        return _error_reply(500, "The monitor failed to answer; its log says why.")


def _error_reply(status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return json_reply({"error": text}, status=status, headers=headers)
