"""A model behind FastAPI, tuned: uvloop, httptools, orjson, no validation, no log: `python -m bench.runtime_fastapi PORT MODEL`."""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime
import orjson
import uvicorn
from fastapi import FastAPI, Request, Response

from bench.runtime_floor import reply_of

_options = onnxruntime.SessionOptions()
_options.intra_op_num_threads = 1
_session = onnxruntime.InferenceSession(sys.argv[2], _options, providers=["CPUExecutionProvider"])
application = FastAPI()


@application.post("/v2/models/m/infer")
async def infer(request: Request) -> Response:
    """Answer one request."""
    (tensor,) = orjson.loads(await request.body())["inputs"]
    rows = np.array(tensor["data"], np.float32).reshape(tensor["shape"])
    return Response(reply_of(*_session.run(None, {"x": rows})), media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(application, host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools", log_level="warning", access_log=False)
