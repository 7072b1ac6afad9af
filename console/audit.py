"""Puts on record who asks for what: a middleware around the applications that show or change stored data."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from console.guarding import who
from console.replies import ApiError, Handler
from records.audit import user_name
from records.ports import Audit

_PEER_CREDENTIALS: Final = struct.Struct("3i")
"""Process, user, group (unix(7), SO_PEERCRED)."""

_ACTIONS: Final[Mapping[tuple[str, str], str]] = {
    ("POST", "/sql"): "sql",
    ("POST", "/labels"): "import labels",
    ("GET", "/api/v1/exchanges/{identifier}"): "read exchange",
}
"""By method and path. `POST /forget` is put on record by who does it, without what must not be kept."""


def audited(audit: Audit) -> Middleware:
    """Return the middleware. What cannot be put on record is not done."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        action = _ACTIONS.get((request.method, resource.canonical if resource else ""))
        if action is not None:
            await put_on_record(audit, peer(request), action, await _what(request))
        return await handler(request)

    return middleware


async def put_on_record(audit: Audit, who: str, action: str, what: str) -> None:
    """Write the entry. Raises ApiError where it cannot be written."""
    try:
        await asyncio.to_thread(audit, who, action, what)
    except OSError as error:
        raise ApiError(503, f"This cannot be put on record, so it is not done: {error.strerror}.") from error


def peer(request: web.Request) -> str:
    """Return who asks: over a unix socket a user of this machine, else by the name that was authenticated, or from where."""
    transport = request.transport
    connection = transport.get_extra_info("socket") if transport else None
    if connection is not None and connection.family == socket.AF_UNIX:
        _, uid, _ = _PEER_CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size))
        return user_name(uid)
    return who(request)


async def _what(request: web.Request) -> str:
    if request.method == "GET":
        return request.path
    if request.path == "/sql":
        return _query(await request.read())
    return f"{request.content_length or 0} bytes"


def _query(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body, type=dict[str, str]).get("query", ""))
    except msgspec.MsgspecError:
        return ""
