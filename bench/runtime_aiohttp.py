"""A model behind aiohttp, as one would write it by hand: `python -m bench.runtime_aiohttp PORT MODEL`."""

from __future__ import annotations

import asyncio
import sys

import numpy as np
import onnxruntime
import orjson
import uvloop
from aiohttp import web

from bench.runtime_floor import reply_of


async def serve(port: int, model: str) -> None:
    """Answer until the process is ended."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    async def infer(request: web.Request) -> web.Response:
        (tensor,) = orjson.loads(await request.read())["inputs"]
        rows = np.array(tensor["data"], np.float32).reshape(tensor["shape"])
        return web.Response(body=reply_of(*session.run(None, {"x": rows})), content_type="application/json")

    application = web.Application()
    application.router.add_post("/v2/models/m/infer", infer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2]))
