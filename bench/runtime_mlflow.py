"""`mlflow models serve` with an ONNX model: `python -m bench.runtime_mlflow PORT MODEL`, with a Python that has mlflow-skinny, onnxruntime, pandas, fastapi and uvicorn.

It speaks MLflow's own protocol: the same row, as `{"inputs": [[…]]}`, to `/invocations`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import onnxruntime


class Model(mlflow.pyfunc.PythonModel):
    def load_context(self, context: Any) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(context.artifacts["model"], options, providers=["CPUExecutionProvider"])
        self._names = [output.name for output in self._session.get_outputs()]

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:  # noqa: ARG002 - MLflow's signature
        label, probabilities = self._session.run(self._names, {"x": np.asarray(model_input, np.float32)})
        return {"label": label, "probabilities": probabilities}


def main() -> None:
    """Write the model in MLflow's form, and become the server."""
    directory = str(Path(tempfile.mkdtemp(dir=Path(sys.argv[2]).parent), "m"))  # goes with the benchmark's own directory
    mlflow.pyfunc.save_model(directory, python_model=Model(), artifacts={"model": sys.argv[2]}, pip_requirements=[])
    served = ["models", "serve", "--model-uri", directory, "--env-manager", "local", "--host", "127.0.0.1", "--port", sys.argv[1], "--workers", "1"]
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # it calls uvicorn by its name
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", *served])


if __name__ == "__main__":
    main()
