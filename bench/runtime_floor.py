"""The least that serving a model over HTTP takes: a bare protocol on uvloop, orjson, `session.run`, nothing checked.

`python -m bench.runtime_floor PORT MODEL`; with `--without-run` behind it the model is not asked, and the same outputs are answered each time.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, cast

import numpy as np
import onnxruntime
import orjson
import uvloop


def reply_of(label: Any, probabilities: Any) -> bytes:
    """Return the outputs in the terms of Open Inference V2."""
    outputs = [
        {"name": "label", "datatype": "INT64", "shape": label.shape, "data": label},
        {"name": "probabilities", "datatype": "FP32", "shape": probabilities.shape, "data": probabilities.ravel()},
    ]
    return orjson.dumps({"model_name": "m", "model_version": "1", "outputs": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)


class Bare(asyncio.Protocol):
    """Takes for granted that each read is one whole request."""

    session: Any
    names: list[str]
    always: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        _, _, body = data.partition(b"\r\n\r\n")
        (tensor,) = orjson.loads(body)["inputs"]
        rows = np.array(tensor["data"], np.float32).reshape(tensor["shape"])
        label, probabilities = self.always or self.session.run(self.names, {"x": rows})
        reply = reply_of(label, probabilities)
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(reply), reply))


async def serve(port: int, model: str, *, run: bool) -> None:
    """Answer until the process is ended."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    Bare.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    Bare.names = [output.name for output in Bare.session.get_outputs()]
    if not run:
        Bare.always = Bare.session.run(Bare.names, {"x": np.zeros((1, 30), np.float32)})
    await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2], run="--without-run" not in sys.argv))
