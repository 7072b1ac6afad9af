"""MLServer before an ONNX model, in one process: `python -m bench.runtime_mlserver PORT MODEL`, with a Python that has mlserver and onnxruntime."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import mlserver
import onnxruntime
from mlserver.codecs import NumpyCodec
from mlserver.settings import ModelParameters, ModelSettings, Settings
from mlserver.types import InferenceRequest, InferenceResponse


class Model(mlserver.MLModel):
    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(self.settings.parameters.uri, options, providers=["CPUExecutionProvider"])
        self._names = [output.name for output in self._session.get_outputs()]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0])
        outputs = self._session.run(self._names, {"x": rows})
        encoded: list[Any] = [NumpyCodec.encode_output(name, array) for name, array in zip(self._names, outputs, strict=True)]
        return InferenceResponse(model_name=self.name, outputs=encoded)


async def serve(port: int, model: str) -> None:
    """Answer until the process is ended."""
    settings = Settings(host="127.0.0.1", http_port=port, grpc_port=0, metrics_endpoint=None, parallel_workers=0, debug=False)
    server = mlserver.MLServer(settings)
    await server.start([ModelSettings(name="m", implementation=Model, parameters=ModelParameters(uri=model))])


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2]))
