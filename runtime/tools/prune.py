"""Pruning by magnitude: whole hidden units, which makes a model smaller and faster, or single weights, which only makes it compress better.

Units: Li et al., "Pruning filters for efficient ConvNets", ICLR 2017. Weights: Han et al., "Learning both weights and connections", NeurIPS 2015.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper

from runtime.session import Array
from runtime.tools.errors import ToolError

_PRODUCTS: Final = frozenset({"MatMul", "Gemm"})
_WEIGHTED: Final = _PRODUCTS | {"Conv", "ConvTranspose"}
_ELEMENTWISE: Final = frozenset({"Relu", "LeakyRelu", "Elu", "Selu", "Celu", "Gelu", "Sigmoid", "HardSigmoid", "Softplus", "Softsign", "Tanh", "Identity"})


def prune_weights(source: Path, target: Path, share: float) -> None:
    """Write the model with this share (0–1) of each layer's weights zero, those of least magnitude. Raises `ToolError`."""
    model = onnx.load(source)
    wanted = {node.input[1] for node in model.graph.node if node.op_type in _WEIGHTED}
    found = [weight for weight in model.graph.initializer if weight.name in wanted and weight.data_type in _FLOATS]
    if not found:
        raise ToolError(f"{source} has no weights that can be pruned (such are those of MatMul, Gemm and Conv; trees have none)")
    for weight in found:
        weight.CopyFrom(numpy_helper.from_array(_without_least(numpy_helper.to_array(weight), share), weight.name))
    onnx.save(model, target)


def prune_units(source: Path, target: Path, share: float) -> None:
    """Write the model with this share (0–1) of each hidden layer's units removed, those of least magnitude. Raises `ToolError`."""
    model = onnx.load(source)
    graph = _Graph(model)
    layers = list(graph.hidden_layers())
    if not layers:
        raise ToolError(f"{source} has no hidden layer between two matrix products whose units can be removed; --what weights prunes single weights")
    for layer in layers:
        graph.remove(layer, share)
    del model.graph.value_info[:]  # shapes that were inferred for the wider layers
    onnx.save(model, target)


_FLOATS: Final = frozenset({onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE})


def _without_least(weights: Array, share: float) -> Array:
    count = int(share * weights.size)
    if not count:
        return weights
    magnitudes = np.abs(weights).reshape(-1)
    pruned = weights.copy().reshape(-1)
    pruned[np.argpartition(magnitudes, count - 1)[:count]] = 0
    return pruned.reshape(weights.shape)


class _Axis(NamedTuple):
    """The axis of a weight along which a layer's units lie."""

    weight: str
    axis: int


class _HiddenLayer(NamedTuple):
    """Units that one product makes and the next one takes."""

    made_by: _Axis
    taken_by: _Axis
    biases: list[str]


class _Graph:
    """A model's graph, by tensor."""

    def __init__(self, model: Any) -> None:
        graph = model.graph
        self._weights = {weight.name: weight for weight in graph.initializer}
        self._nodes = list(graph.node)
        self._outputs = {output.name for output in graph.output}
        self._uses: dict[str, list[Any]] = {}
        for node in self._nodes:
            for name in node.input:
                self._uses.setdefault(name, []).append(node)

    def hidden_layers(self) -> Iterator[_HiddenLayer]:
        """Yield the layers whose units nothing else sees: a product, additions and elementwise functions, a product."""
        for node in self._nodes:
            axis = self._axis(node, made=True)
            if axis is not None and (layer := self._follow(node, axis)) is not None:
                yield layer

    def remove(self, layer: _HiddenLayer, share: float) -> None:
        """Remove units, but at least one stays."""
        made, taken = self._array(layer.made_by.weight), self._array(layer.taken_by.weight)
        magnitudes = _norms(made, layer.made_by.axis) * _norms(taken, layer.taken_by.axis)
        kept = np.sort(np.argsort(magnitudes, kind="stable")[min(math.floor(share * len(magnitudes)), len(magnitudes) - 1) :])
        self._replace(layer.made_by.weight, made.take(kept, layer.made_by.axis))
        self._replace(layer.taken_by.weight, taken.take(kept, layer.taken_by.axis))
        for name in layer.biases:
            bias = self._array(name)
            self._replace(name, bias.take(kept, bias.ndim - 1))

    def _follow(self, node: Any, made_by: _Axis) -> _HiddenLayer | None:
        units = self._array(made_by.weight).shape[made_by.axis]
        biases: list[str] = []
        added = node.input[2:3] if node.op_type == "Gemm" else []
        while True:
            for name in added:
                if not self._is_own(name) or self._array(name).size not in (1, units):
                    return None
                biases += [name] if self._array(name).size == units else []
            tensor = node.output[0]
            consumers = self._uses.get(tensor, [])
            if len(consumers) != 1 or tensor in self._outputs:
                return None
            node = consumers[0]
            if node.op_type in _PRODUCTS and node.input[0] == tensor:
                taken_by = self._axis(node, made=False)
                return taken_by and _HiddenLayer(made_by, taken_by, biases)
            if node.op_type not in _ELEMENTWISE | {"Add"}:
                return None
            added = [name for name in node.input if name != tensor]

    def _axis(self, node: Any, *, made: bool) -> _Axis | None:
        """Return where the units lie in the weights of a product that makes them, or takes them."""
        if node.op_type not in _PRODUCTS or not self._is_own(node.input[1]) or len(self._weights[node.input[1]].dims) != 2:
            return None
        flags = {attribute.name: attribute.i for attribute in node.attribute}
        if flags.get("transA"):
            return None
        return _Axis(node.input[1], int(made) ^ flags.get("transB", 0))

    def _is_own(self, name: str) -> bool:
        """Whether it is a weight that only one node uses."""
        return name in self._weights and len(self._uses[name]) == 1

    def _array(self, name: str) -> Array:
        return numpy_helper.to_array(self._weights[name])

    def _replace(self, name: str, array: Array) -> None:
        self._weights[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), name))


def _norms(weights: Array, axis: int) -> Array:
    return np.asarray(np.linalg.norm(weights.astype(np.float64), axis=1 - axis))
