"""Ray Serve before an ONNX model: `python -m bench.runtime_ray PORT MODEL`, with a Python that has ray[serve] and onnxruntime."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import onnxruntime
from ray import serve
from starlette.requests import Request


class Model:
    def __init__(self, model: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._names = [output.name for output in self._session.get_outputs()]

    async def __call__(self, request: Request) -> dict[str, Any]:
        (tensor,) = (await request.json())["inputs"]
        label, probabilities = self._session.run(self._names, {"x": np.array(tensor["data"], np.float32).reshape(tensor["shape"])})
        return {
            "model_name": "m",
            "outputs": [
                {"name": "label", "datatype": "INT64", "shape": label.shape, "data": label.tolist()},
                {"name": "probabilities", "datatype": "FP32", "shape": probabilities.shape, "data": probabilities.ravel().tolist()},
            ],
        }


if __name__ == "__main__":
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    deployment = serve.deployment(Model, name="m", num_replicas=1, max_ongoing_requests=100)
    serve.run(deployment.bind(sys.argv[2]), route_prefix="/v2/models/m/infer", blocking=True)
