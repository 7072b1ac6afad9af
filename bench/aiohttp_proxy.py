"""A reverse proxy of aiohttp's low-level server and its client on uvloop: `python -m bench.aiohttp_proxy PORT UPSTREAM_PORT`."""

from __future__ import annotations

import asyncio
import sys

import uvloop
from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web

_HOP_BY_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "content-length"})


async def serve(port: int, upstream: str) -> None:
    """Forward until the process is ended."""
    async with ClientSession(upstream, connector=TCPConnector(limit=0), cookie_jar=DummyCookieJar(), auto_decompress=False) as session:

        async def forward(request: web.BaseRequest) -> web.Response:
            fields = [(name, value) for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP]
            async with session.request(request.method, request.path_qs, headers=fields, data=await request.read()) as reply:
                body = await reply.read()
                kept = [(name, value) for name, value in reply.headers.items() if name.lower() not in _HOP_BY_HOP]
                return web.Response(status=reply.status, headers=kept, body=body)

        runner = web.ServerRunner(web.Server(forward, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), f"http://127.0.0.1:{sys.argv[2]}"))
