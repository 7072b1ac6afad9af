"""Small ONNX models, made here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WEIGHTS = np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2)


def written(
    file: Path, nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], constants: dict[str, np.ndarray] | None = None, opset: int = 17
) -> Path:
    """Write a graph; return the file."""
    graph = helper.make_graph(nodes, "g", inputs, outputs, [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()])
    file.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), file)
    return file


def linear(file: Path, scale: float = 1.0) -> Path:
    """Write `y = x @ WEIGHTS * scale`: x FP32[n, 3], y FP32[n, 2]."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])
    return written(file, [helper.make_node("MatMul", ["x", "w"], ["y"])], [x], [y], {"w": WEIGHTS * np.float32(scale)})
