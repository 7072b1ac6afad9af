"""What optimising, quantizing and pruning do to a model, as ONNX Runtime answers with it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from config.choices import Device
from runtime.session import Session
from runtime.tools.errors import ToolError
from runtime.tools.measuring import predict
from runtime.tools.optimize import optimize
from runtime.tools.predictions import agreement_ratio, largest_differences
from runtime.tools.prune import prune_units, prune_weights
from runtime.tools.quantize import halve_precision, quantize_calibrated, quantize_weights


def outputs(file, rows):
    return predict(Session(file), [rows])


def operators(file):
    return {node.op_type for node in onnx.load(file).graph.node}


def zeros_ratio(file):
    weights = [numpy_helper.to_array(weight) for weight in onnx.load(file).graph.initializer]
    large = [weight for weight in weights if weight.ndim == 2 and min(weight.shape) > 1]
    return sum(np.count_nonzero(weight == 0) for weight in large) / sum(weight.size for weight in large)


def test_optimising_fuses_operators_and_changes_no_answer(perceptron, data, tmp_path):
    optimize(perceptron, tmp_path / "o.onnx", device=Device.CPU)
    assert "FusedGemm" in operators(tmp_path / "o.onnx") - operators(perceptron)
    before, after = outputs(perceptron, data.rows), outputs(tmp_path / "o.onnx", data.rows)
    assert agreement_ratio(before, after) == 1
    assert max(largest_differences(before, after).values()) < 1e-5


@pytest.mark.parametrize("calibrated", [False, True])
def test_quantizing_makes_the_file_smaller_and_keeps_nearly_every_class(perceptron, data, tmp_path, calibrated):
    if calibrated:
        quantize_calibrated(perceptron, tmp_path / "q.onnx", ({"measurements": data.rows[start : start + 64]} for start in range(0, 512, 64)))
    else:
        quantize_weights(perceptron, tmp_path / "q.onnx")
    assert (tmp_path / "q.onnx").stat().st_size < 0.7 * perceptron.stat().st_size
    assert ("QuantizeLinear" in operators(tmp_path / "q.onnx")) == calibrated
    assert agreement_ratio(outputs(perceptron, data.rows), outputs(tmp_path / "q.onnx", data.rows)) > 0.97


def test_half_precision_keeps_the_signature_and_nearly_every_digit(perceptron, data, tmp_path):
    halve_precision(perceptron, tmp_path / "h.onnx")
    assert (tmp_path / "h.onnx").stat().st_size < 0.8 * perceptron.stat().st_size
    assert str(Session(tmp_path / "h.onnx").signature) == str(Session(perceptron).signature)
    assert max(largest_differences(outputs(perceptron, data.rows), outputs(tmp_path / "h.onnx", data.rows)).values()) < 0.02


@pytest.mark.parametrize(
    "change", [quantize_weights, lambda source, target: prune_weights(source, target, 0.5), lambda source, target: prune_units(source, target, 0.5)]
)
def test_a_model_without_weights_of_that_kind_is_refused_and_nothing_is_left(trees, tmp_path, change):
    with pytest.raises(ToolError, match=r"trees\.onnx has no"):
        change(trees, tmp_path / "c.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [quantize_weights, halve_precision, lambda source, target: optimize(source, target, device=Device.CPU)])
def test_a_file_that_is_no_model_is_refused_in_one_sentence(tmp_path, change):
    (tmp_path / "m.onnx").write_bytes(b"no model")
    with pytest.raises(ToolError, match=r"m\.onnx cannot be") as refused:
        change(tmp_path / "m.onnx", tmp_path / "c.onnx")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_pruning_weights_zeroes_the_share_of_least_magnitude(perceptron, tmp_path, share):
    prune_weights(perceptron, tmp_path / "p.onnx", share)
    assert zeros_ratio(tmp_path / "p.onnx") == pytest.approx(share, abs=0.01)
    before, after = ({weight.name: numpy_helper.to_array(weight) for weight in onnx.load(file).graph.initializer} for file in (perceptron, tmp_path / "p.onnx"))
    for name, weights in before.items():
        if weights.ndim == 2 and min(weights.shape) > 1 and share > 0:
            assert np.abs(weights[after[name] == 0]).max() <= np.abs(weights[after[name] != 0]).min()


def test_pruning_units_makes_the_layers_narrower(perceptron, data, tmp_path):
    prune_units(perceptron, tmp_path / "p.onnx", 0.5)
    shapes = [tuple(weight.dims) for weight in onnx.load(tmp_path / "p.onnx").graph.initializer]
    assert {(30, 32), (32, 32), (32, 1)} <= set(shapes)
    assert agreement_ratio(outputs(perceptron, data.rows), outputs(tmp_path / "p.onnx", data.rows)) > 0.9


def test_pruning_no_unit_and_all_units_leaves_a_model_that_runs(perceptron, data, tmp_path):
    prune_units(perceptron, tmp_path / "none.onnx", 0.0)
    assert max(largest_differences(outputs(perceptron, data.rows), outputs(tmp_path / "none.onnx", data.rows)).values()) < 1e-6
    prune_units(perceptron, tmp_path / "all.onnx", 1.0)
    assert len(outputs(tmp_path / "all.onnx", data.rows)["label"]) == len(data.rows)


def test_units_that_contribute_nothing_are_the_first_to_go_whatever_way_the_weights_lie(tmp_path):
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(6, 4)).astype(np.float32), generator.normal(size=(6, 3)).astype(np.float32)
    second[[1, 4]] = 0
    tensors = {"first": first, "bias": generator.normal(size=6).astype(np.float32), "second": second, "slope": np.float32([[1.5]])}
    nodes = [
        helper.make_node("Gemm", ["x", "first", "bias"], ["made"], transB=1),
        helper.make_node("Tanh", ["made"], ["bent"]),
        helper.make_node("Add", ["bent", "slope"], ["moved"]),
        helper.make_node("MatMul", ["moved", "second"], ["y"]),
    ]
    file = graph(tmp_path / "m.onnx", nodes, tensors, {"x": [None, 4]}, {"y": [None, 3]})
    prune_units(file, tmp_path / "p.onnx", 1 / 3)
    rows = generator.normal(size=(10, 4)).astype(np.float32)
    np.testing.assert_allclose(outputs(tmp_path / "p.onnx", rows)["y"], outputs(file, rows)["y"], rtol=1e-5)
    assert {tuple(weight.dims) for weight in onnx.load(tmp_path / "p.onnx").graph.initializer} == {(4, 4), (4,), (4, 3), (1, 1)}


@pytest.mark.parametrize("use", ["output", "softmax", "shared"])
def test_units_that_something_else_sees_stay(tmp_path, use):
    ones = np.ones((4, 4), np.float32)
    tensors = {"first": ones, "second": ones}
    between = {"output": ("Relu", "hidden"), "softmax": ("Softmax", "hidden"), "shared": ("Relu", "hidden")}[use]
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["made"]),
        helper.make_node(between[0], ["made"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "first" if use == "shared" else "second"], ["y"]),
    ]
    given = {"y": [None, 4]} | ({"hidden": [None, 4]} if use == "output" else {})
    with pytest.raises(ToolError, match="no hidden layer"):
        prune_units(graph(tmp_path / "m.onnx", nodes, tensors, {"x": [None, 4]}, given), tmp_path / "p.onnx", 0.5)


def graph(path: Path, nodes, tensors, inputs, given) -> Path:
    """Write a model of these nodes."""
    initializers = [numpy_helper.from_array(array, name) for name, array in tensors.items()]
    described = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in side.items()] for side in (inputs, given)]
    model = helper.make_model(helper.make_graph(nodes, "g", *described, initializers), opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
