"""The service behind `bench.soak`: `python -m bench.soak_upstream FD`, on a listening socket that outlives it.

POST answers with the request's body; GET `/stream` sends ten pieces, one every 10 ms; any other GET answers with a few bytes.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import suppress

import uvloop
from aiohttp import web

STREAMED = tuple(b"data: piece %d\n\n" % number for number in range(10))
SMALL = b'{"ready":true}'


async def answer(request: web.BaseRequest) -> web.StreamResponse:
    """Answer by method and path."""
    body = await request.read()
    if request.method == "POST":
        return web.Response(body=body, content_type="application/octet-stream")
    if request.path != "/stream":
        return web.Response(body=SMALL, content_type="application/json")
    reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await reply.prepare(request)
    with suppress(ConnectionError):  # who asked may be killed
        for piece in STREAMED:
            await reply.write(piece)
            await asyncio.sleep(0.01)
        await reply.write_eof()
    return reply


async def serve(listening: socket.socket) -> None:
    """Serve until the process is ended."""
    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.SockSite(runner, listening, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(socket.socket(fileno=int(sys.argv[1]))))
