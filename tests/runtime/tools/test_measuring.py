import numpy as np
import onnx
import pytest

from config.choices import Device
from runtime.tools import measuring
from runtime.tools.errors import ToolError
from runtime.tools.measuring import Rows, compare
from runtime.tools.prune import prune_units


@pytest.fixture(autouse=True)
def short_measurements(monkeypatch):
    monkeypatch.setattr(measuring, "_TIMED_SECONDS", 0.02)


def test_a_model_equals_itself(perceptron, data):
    found = compare(perceptron, perceptron, Rows([data.rows], data.labels, "the training rows"), device=Device.CPU)
    assert (found.rows, found.rows_from, found.agreement_ratio) == (len(data.rows), "the training rows", 1.0)
    assert found.largest_difference_ratio == {"probabilities": 0.0}
    assert found.original_metric == found.candidate_metric
    assert found.original_metric.value > 0.95
    assert found.original.size_bytes == found.candidate.size_bytes == perceptron.stat().st_size
    assert 0 < found.original.compressed_bytes <= perceptron.stat().st_size
    assert set(found.original.latency_seconds) == {1, 32}
    assert min(found.original.latency_seconds.values()) > 0


def test_a_worse_model_is_seen_to_be_worse(perceptron, data, tmp_path):
    prune_units(perceptron, tmp_path / "p.onnx", 1.0)
    found = compare(perceptron, tmp_path / "p.onnx", Rows([data.rows], data.labels, ""), device=Device.CPU)
    assert found.agreement_ratio < 0.95
    assert found.candidate_metric.value < found.original_metric.value
    assert found.candidate.size_bytes < found.original.size_bytes


def test_numbers_are_compared_by_their_error(regression, data):
    found = compare(regression, regression, Rows([data.rows[:, 1:]], data.rows[:, 0] * 2, ""), device=Device.CPU)
    assert found.agreement_ratio is None
    assert found.original_metric.name == "root mean squared error"
    assert found.original_metric.value < 0.5


def test_fewer_rows_than_a_batch_are_enough(perceptron, data):
    found = compare(perceptron, perceptron, Rows([data.rows[:3]], None, ""), device=Device.CPU)
    assert set(found.original.latency_seconds) == {1, 3}
    assert found.original_metric is None


def test_models_with_other_outputs_cannot_be_compared(perceptron, regression, data):
    with pytest.raises(ToolError, match="outputs of"):
        compare(regression, regression_with_another_name(regression), Rows([data.rows[:, 1:]], None, ""), device=Device.CPU)


def regression_with_another_name(regression):
    model = onnx.load(regression)
    for node in model.graph.node:
        node.output[:] = ["renamed" if name == model.graph.output[0].name else name for name in node.output]
    model.graph.output[0].name = "renamed"
    path = regression.with_name("renamed.onnx")
    onnx.save(model, path)
    return path


def test_rows_beyond_a_batch_are_all_answered(perceptron, data):
    many = np.tile(data.rows, (3, 1))
    assert compare(perceptron, perceptron, Rows([many], np.tile(data.labels, 3), ""), device=Device.CPU).rows == 3 * len(data.rows)
