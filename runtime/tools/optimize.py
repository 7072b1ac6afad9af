"""Graph optimisation, saved: what ONNX Runtime would do at each start (constants folded, operators fused), done once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnxruntime as ort

from runtime.tools.errors import ToolError


def optimize(source: Path, target: Path, *, providers: Sequence[str]) -> None:
    """Write the optimised model. `providers` are ONNX Runtime's names of the devices that it will run on: some fusions exist on one of them only.

    The level is "extended": what the highest one adds is a layout that fits the processor on which it was made. Raises `ToolError`.
    """
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 3  # a warning says that such a model is for this kind of device, which is meant
    try:
        ort.InferenceSession(str(source), options, providers=list(providers))
    except Exception as error:  # ONNX Runtime's errors share no class but this one
        raise ToolError(f"{source} cannot be optimised: {str(error).strip().splitlines()[0]}") from error
