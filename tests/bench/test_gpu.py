import json
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bench import gpu, random_graphs
from runtime.session import Session
from runtime.tools.quantize import halve_precision
from runtime.tools.rows import made_up_inputs

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)
def test_it_measures_on_a_cpu_where_that_is_asked_for(tmp_path):
    command = [sys.executable, "-m", "bench.gpu", "--device", "cpu", "--quick", "--json", str(tmp_path / "gpu.json")]
    finished = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    figures = msgspec.convert(json.loads((tmp_path / "gpu.json").read_text())["figures"], list[gpu.Figures])
    assert [(found.graph, found.precision) for found in figures][:2] == [("MLP", "FP32"), ("MLP", "FP16")]
    assert len(figures) == 6
    assert all(found.bare_rows_per_second > 0 and len(found.served) == 4 for found in figures)
    assert gpu.report(figures) in finished.stdout


def test_without_a_device_it_says_so_and_measures_nothing():
    if "CUDAExecutionProvider" in gpu.onnxruntime.get_available_providers():
        pytest.skip("there is a CUDA device")
    finished = subprocess.run([sys.executable, "-m", "bench.gpu", "--quick"], cwd=ROOT, check=False, capture_output=True, text=True)
    assert finished.returncode == 1
    assert "finds no CUDA device here" in finished.stderr
    assert "rows/s" not in finished.stdout


def test_a_target_takes_what_gives_the_most_within_half_of_it():
    timed = [gpu.Timed(1, 1, 100, 0.001, None), gpu.Timed(1, 8, 400, 0.004, 0.5), gpu.Timed(2, 8, 700, 0.006, 0.9)]
    assert gpu._best_within(10, timed) == gpu.Served(10, 1, 8, 400, 8.0, 0.5)
    assert gpu._best_within(12, timed).rows_per_second == 700
    assert gpu._best_within(1, timed).rows == 0


def test_the_graphs_have_the_sizes_of_what_they_are_named_after(tmp_path):
    assert random_graphs.mlp(tmp_path / "m.onnx").parameters == 30 * 512 + 512 + 512 * 512 + 512 + 512 * 2 + 2
    assert random_graphs.resnet50(tmp_path / "r.onnx").parameters == pytest.approx(25.5e6, rel=0.01)
    one, two = (random_graphs.bert_base(tmp_path / "b.onnx", layers=layers, vocabulary=10).parameters for layers in (1, 2))
    assert two - one == 4 * (768 * 768 + 768) + 2 * 768 * 3072 + 3072 + 768 + 4 * 768
    assert one + 11 * (two - one) + (30522 - 10) * 768 == pytest.approx(109e6, rel=0.01)


@pytest.mark.parametrize("build", gpu._SMALL_GRAPHS.values(), ids=gpu._SMALL_GRAPHS)
def test_what_flows_through_a_graph_stays_finite_in_half_precision_too(tmp_path, build):
    build(tmp_path / "full.onnx")
    halve_precision(tmp_path / "full.onnx", tmp_path / "half.onnx")
    full, half = (Session(tmp_path / f"{name}.onnx") for name in ("full", "half"))
    inputs = made_up_inputs(full.signature, 4)
    (expected,), (found,) = full.run(inputs), half.run(inputs)
    assert np.isfinite(found).all()
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()
