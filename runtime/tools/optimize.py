"""Graph optimisation, saved: what ONNX Runtime would do at each start (constants folded, operators fused), done once."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import onnxruntime as ort

from config.choices import Device
from runtime.tools.errors import ToolError

_PROVIDERS: Final = {Device.CPU: ["CPUExecutionProvider"], Device.CUDA: ["CUDAExecutionProvider", "CPUExecutionProvider"]}


def optimize(source: Path, target: Path, *, device: Device) -> None:
    """Write the model as it is best run on `device`, `CPU` or `CUDA`: some fusions exist on one of them only.

    The level is "extended": what the highest one adds is a layout that fits the processor on which it was made. Raises `ToolError`.
    """
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 3  # a warning says that such a model is for this kind of device, which is meant
    try:
        ort.InferenceSession(str(source), options, providers=_PROVIDERS[device])
    except Exception as error:  # ONNX Runtime's errors share no class but this one
        raise ToolError(f"{source} cannot be optimised: {str(error).strip().splitlines()[0]}") from error
