"""BentoML before an ONNX model: `python -m bench.runtime_bentoml PORT MODEL`, with a Python that has bentoml and onnxruntime."""

from __future__ import annotations

import os
import sys
from typing import Any

import bentoml
import numpy as np
import onnxruntime


@bentoml.service(workers=1, metrics={"enabled": False}, logging={"access": {"enabled": False}})
class Model:
    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(os.environ["BENCH_MODEL"], options, providers=["CPUExecutionProvider"])
        self._names = [output.name for output in self._session.get_outputs()]

    @bentoml.api(route="/v2/models/m/infer")
    def infer(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        (tensor,) = inputs
        label, probabilities = self._session.run(self._names, {"x": np.array(tensor["data"], np.float32).reshape(tensor["shape"])})
        return {
            "model_name": "m",
            "outputs": [
                {"name": "label", "datatype": "INT64", "shape": label.shape, "data": label.tolist()},
                {"name": "probabilities", "datatype": "FP32", "shape": probabilities.shape, "data": probabilities.ravel().tolist()},
            ],
        }


if __name__ == "__main__":
    os.environ["BENCH_MODEL"] = sys.argv[2]
    os.execv(sys.executable, [sys.executable, "-m", "bentoml", "serve", "bench.runtime_bentoml:Model", "--host", "127.0.0.1", "--port", sys.argv[1]])
