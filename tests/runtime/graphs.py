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


def summing(file: Path) -> Path:
    """Write `y = x / sum(x)`, whose rows depend on each other: x, y FP32[n]."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy")
    return written(file, [helper.make_node("ReduceSum", ["x"], ["s"]), helper.make_node("Div", ["x", "s"], ["y"])], [x], [y])


def gathering(file: Path) -> Path:
    """Write `y = table[i]`, which fails for i above 2: i INT64[n], y FP32[n]."""
    i, y = helper.make_tensor_value_info("i", TensorProto.INT64, ["n"]), helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])
    return written(file, [helper.make_node("Gather", ["t", "i"], ["y"])], [i], [y], {"t": np.array([0.5, 1.5, 2.5], np.float32)})


def doubling(file: Path) -> Path:
    """Write `y = x + x` over lengths that vary: x, y FP32[n, length]."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "length"]) for name in "xy")
    return written(file, [helper.make_node("Add", ["x", "x"], ["y"])], [x], [y])


def echoing(file: Path) -> Path:
    """Write `y = x` for texts: x, y BYTES[n]."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.STRING, ["n"]) for name in "xy")
    return written(file, [helper.make_node("Identity", ["x"], ["y"])], [x], [y])


def counting(file: Path) -> Path:
    """Write a loop that goes round as often as it is told, in time that grows with that: rounds INT64[1], y FP32[1]."""
    rounds, y = helper.make_tensor_value_info("rounds", TensorProto.INT64, [1]), helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("MatMul", ["m", "m"], ["p"]),
            helper.make_node("ReduceMax", ["p"], ["q"], keepdims=0),
            helper.make_node("Mul", ["q", "zero"], ["r"]),
            helper.make_node("Add", ["state", "r"], ["next_state"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, [1]),
        ],
        [helper.make_tensor_value_info("go_on", TensorProto.BOOL, []), helper.make_tensor_value_info("next_state", TensorProto.FLOAT, [1])],
        [numpy_helper.from_array(np.eye(64, dtype=np.float32), "m"), numpy_helper.from_array(np.zeros((), np.float32), "zero")],
    )
    nodes = [
        helper.make_node("Squeeze", ["rounds"], ["trips"]),
        helper.make_node("Loop", ["trips", "yes", "start"], ["y"], body=body),
    ]
    return written(file, nodes, [rounds], [y], {"yes": np.array(True), "start": np.zeros(1, np.float32)})
