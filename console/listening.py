"""The sockets of the operator's surface, and serving on them."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from config.addresses import socket_name

_BACKLOG: Final = 128
_SHUTDOWN_SECONDS: Final = 2.0


def listen_tcp(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises OSError with a sentence for the user."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _listen(listener, address)
    except OSError as error:
        raise OSError(f"The admin address {host}:{port} cannot be used: {error.strerror}; choose another with --admin.") from error
    return listener


def listen_unix(path: Path) -> socket.socket:
    """Return a socket that listens at `path` and that only this user can open; replaces what a killed process left there."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # On Linux the mode that the file gets is that of the socket's inode: nobody can connect in between.
    os.fchmod(listener.fileno(), 0o600)
    with socket_name(path) as name:
        _listen(listener, name)
    return listener


def _listen(listener: socket.socket, address: Any) -> None:
    try:
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise


@asynccontextmanager
async def serving(app: web.Application, listener: socket.socket, tls: ssl.SSLContext | None = None) -> AsyncIterator[None]:
    """Serve `app` on `listener`, with TLS where it is given, for as long as the context lasts; then close and remove it, and let what is being answered finish."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.SockSite(runner, listener, ssl_context=tls, backlog=_BACKLOG).start()
        yield
    finally:
        _remove(listener)
        await runner.cleanup()
        listener.close()


def _remove(listener: socket.socket) -> None:
    """Remove a unix socket's file, so that nobody takes it for a running monitor."""
    if listener.family == socket.AF_UNIX:
        Path(listener.getsockname()).unlink(missing_ok=True)
