"""ONNX graphs of well-known sizes with random weights: what computing them costs does not depend on what they know."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 20
"""The first one with Gelu."""


class Graph:
    """A graph that grows node by node; every method returns the name of what it made."""

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self.parameters = 0

    def weight(self, *shape: int, gain: float = 1.0) -> str:
        """Random weights, scaled so that what flows neither grows nor fades (He et al., 2015)."""
        scale = gain * math.sqrt(2 / max(1, math.prod(shape[1:]) if len(shape) == 4 else shape[0])) if len(shape) > 1 else 0.1
        return self.constant(self._random.standard_normal(shape, dtype=np.float32) * np.float32(scale))

    def constant(self, values: np.ndarray[Any, Any]) -> str:
        name = f"w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(values, name))
        self.parameters += values.size if values.dtype == np.float32 and values.ndim else 0
        return name

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        name = output or f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def dense(self, x: str, width: int, out: int, **options: Any) -> str:
        return self.node("Add", self.node("MatMul", x, self.weight(width, out)), self.weight(out), **options)

    def save(self, path: Path, given: tuple[str, int, list[Any]], made: list[Any]) -> Self:
        """Write it with one input (name, element type, shape) and the output `y` of floats."""
        inputs = [helper.make_tensor_value_info(*given)]
        outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, made)]
        graph = helper.make_graph(self._nodes, "random", inputs, outputs, self._weights)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10), path)
        return self


def mlp(path: Path) -> Graph:
    """30–512–512–2: x FP32[n, 30]."""
    graph = Graph()
    x = graph.node("Relu", graph.dense("x", 30, 512))
    x = graph.node("Relu", graph.dense(x, 512, 512))
    graph.dense(x, 512, 2, output="y")
    return graph.save(path, ("x", TensorProto.FLOAT, ["n", 30]), ["n", 2])


def resnet50(path: Path, *, blocks: tuple[int, ...] = (3, 4, 6, 3), side: int = 224) -> Graph:
    """ResNet-50 (He et al., 2016, table 1) with batch normalisation folded into the convolutions: x FP32[n, 3, 224, 224]."""
    graph = Graph()
    x = graph.node("Relu", _convolution(graph, "x", 3, 64, kernel=7, stride=2))
    x = graph.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = 64
    for stage, count in enumerate(blocks):
        for block in range(count):
            x = _bottleneck(graph, x, channels, 64 << stage, stride=2 if stage and not block else 1)
            channels = 256 << stage
    x = graph.node("Flatten", graph.node("GlobalAveragePool", x))
    graph.dense(x, channels, 1000, output="y")
    return graph.save(path, ("x", TensorProto.FLOAT, ["n", 3, side, side]), ["n", 1000])


def _bottleneck(graph: Graph, x: str, channels: int, narrow: int, *, stride: int) -> str:
    wide = 4 * narrow
    y = graph.node("Relu", _convolution(graph, x, channels, narrow, kernel=1))
    y = graph.node("Relu", _convolution(graph, y, narrow, narrow, kernel=3, stride=stride))
    y = _convolution(graph, y, narrow, wide, kernel=1, gain=0.3)  # what is added block by block must stay within FP16
    beside = x if channels == wide and stride == 1 else _convolution(graph, x, channels, wide, kernel=1, stride=stride)
    return graph.node("Relu", graph.node("Add", y, beside))


def _convolution(graph: Graph, x: str, channels: int, out: int, *, kernel: int, stride: int = 1, gain: float = 1.0) -> str:
    weights, bias = graph.weight(out, channels, kernel, kernel, gain=gain), graph.weight(out)
    return graph.node("Conv", x, weights, bias, kernel_shape=[kernel, kernel], strides=[stride, stride], pads=[kernel // 2] * 4)


def bert_base(path: Path, *, layers: int = 12, tokens: int = 128, width: int = 768, vocabulary: int = 30522) -> Graph:
    """The encoder of BERT-base (Devlin et al., 2019), all tokens seen: x INT64[n, 128] of token ids; gives the first token's vector."""
    graph = Graph()
    x = graph.node("Gather", graph.weight(vocabulary, width), "x")
    x = _normalised(graph, graph.node("Add", x, graph.weight(tokens, width)), width)
    for _ in range(layers):
        x = _normalised(graph, graph.node("Add", x, _attention(graph, x, width, tokens)), width)
        inner = graph.node("Gelu", graph.dense(x, width, 4 * width))
        x = _normalised(graph, graph.node("Add", x, graph.dense(inner, 4 * width, width)), width)
    graph.node("Gather", x, graph.constant(np.array(0)), axis=1, output="y")
    return graph.save(path, ("x", TensorProto.INT64, ["n", tokens]), ["n", width])


def _attention(graph: Graph, x: str, width: int, tokens: int) -> str:
    depth = 64
    shape = graph.constant(np.array([0, tokens, width // depth, depth]))
    query, key, value = (graph.node("Reshape", graph.dense(x, width, width), shape) for _ in range(3))
    query, value = (graph.node("Transpose", part, perm=[0, 2, 1, 3]) for part in (query, value))
    scores = graph.node("MatMul", query, graph.node("Transpose", key, perm=[0, 2, 3, 1]))
    scores = graph.node("Softmax", graph.node("Mul", scores, graph.constant(np.float32(1 / math.sqrt(depth)))), axis=-1)
    mixed = graph.node("Transpose", graph.node("MatMul", scores, value), perm=[0, 2, 1, 3])
    joined = graph.node("Reshape", mixed, graph.constant(np.array([0, tokens, width])))
    return graph.dense(joined, width, width)


def _normalised(graph: Graph, x: str, width: int) -> str:
    return graph.node("LayerNormalization", x, graph.constant(np.ones(width, np.float32)), graph.weight(width), axis=-1)
