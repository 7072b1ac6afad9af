"""A plain inference service: one ONNX model behind Open Inference Protocol V2 (JSON). It knows nothing of Driftline.

    python -m driftline.demo.service --model tumour.onnx --name tumour [--port 9000]

When it listens it prints its address in one line. `GET /v2/models/{name}/stats` counts the rows that it has answered, as
Triton's statistics do.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import orjson
from aiohttp import web

_V2_DATATYPES = {"int64": "INT64", "float32": "FP32"}


class Service:
    """Answers for one model. Rows are [n, width] numbers in one input tensor."""

    def __init__(self, model: bytes, name: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0]
        self._output_names = [output.name for output in self._session.get_outputs()]
        self._name = name
        self._answered_rows = 0

    def application(self) -> web.Application:
        """Return the routes."""
        application = web.Application()
        application.router.add_get("/v2/health/ready", self._ready)
        application.router.add_get(f"/v2/models/{self._name}/stats", self._stats)
        application.router.add_post(f"/v2/models/{self._name}/infer", self._infer)
        return application

    async def _ready(self, _: web.Request) -> web.Response:
        return web.json_response({"ready": True})

    async def _stats(self, _: web.Request) -> web.Response:
        return web.json_response({"model_stats": [{"name": self._name, "inference_count": self._answered_rows}]})

    async def _infer(self, request: web.Request) -> web.Response:
        try:
            rows = self._rows(orjson.loads(await request.read()))
        except (ValueError, TypeError, LookupError) as error:
            return web.json_response({"error": f"expected one input of shape [n, {self._input.shape[1]}]: {error}"}, status=400)
        outputs = self._session.run(self._output_names, {self._input.name: rows})
        self._answered_rows += len(rows)
        reply = {"model_name": self._name, "outputs": [_tensor(name, value) for name, value in zip(self._output_names, outputs, strict=True)]}
        return web.Response(body=orjson.dumps(reply, option=orjson.OPT_SERIALIZE_NUMPY), content_type="application/json")

    def _rows(self, message: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
        (tensor,) = message["inputs"]
        return np.asarray(tensor["data"], dtype=np.float32).reshape(tensor["shape"]).reshape(-1, self._input.shape[1])


def _tensor(name: str, value: np.ndarray[Any, Any]) -> dict[str, Any]:
    return {"name": name, "shape": value.shape, "datatype": _V2_DATATYPES[value.dtype.name], "data": value.ravel()}


async def serve(service: Service, port: int) -> None:
    """Answer on loopback until SIGTERM or SIGINT; port 0 takes a free one."""
    stopped = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stopped.set)
    runner = web.AppRunner(service.application(), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)  # noqa: T201 - whoever started it reads where it is
        await stopped.wait()
    finally:
        await runner.cleanup()


def main() -> None:
    """Serve the model named on the command line."""
    parser = argparse.ArgumentParser(description="Serve one ONNX model over Open Inference Protocol V2.")
    parser.add_argument("--model", type=Path, required=True, help="ONNX file with one input [n, width]")
    parser.add_argument("--name", required=True, help="the model's name in the URL")
    parser.add_argument("--port", type=int, default=0, help="TCP port on 127.0.0.1; 0 takes a free one (default)")
    arguments = parser.parse_args()
    asyncio.run(serve(Service(arguments.model.read_bytes(), arguments.name), arguments.port))


if __name__ == "__main__":
    main()
