"""LitServe before an ONNX model: `python -m bench.runtime_litserve PORT MODEL`, with a Python that has litserve and onnxruntime."""

from __future__ import annotations

import sys
from typing import Any

import litserve
import numpy as np
import onnxruntime


class Model(litserve.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's signature
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(sys.argv[2], options, providers=["CPUExecutionProvider"])
        self._names = [output.name for output in self._session.get_outputs()]

    def decode_request(self, request):  # noqa: ANN001, ANN201 - what stands here is what LitServe checks requests for
        (tensor,) = request["inputs"]
        return np.array(tensor["data"], np.float32).reshape(tensor["shape"])

    def predict(self, rows: Any) -> Any:
        return self._session.run(self._names, {"x": rows})

    def encode_response(self, outputs: Any) -> Any:
        label, probabilities = outputs
        return {
            "model_name": "m",
            "outputs": [
                {"name": "label", "datatype": "INT64", "shape": label.shape, "data": label.tolist()},
                {"name": "probabilities", "datatype": "FP32", "shape": probabilities.shape, "data": probabilities.ravel().tolist()},
            ],
        }


if __name__ == "__main__":
    api = Model(api_path="/v2/models/m/infer")
    litserve.LitServer(api, accelerator="cpu").run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="error")
