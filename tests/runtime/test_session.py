from importlib import metadata
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from config.choices import Device
from runtime import device_memory, session
from runtime.device_memory import used_bytes
from runtime.session import ModelError, Session, Stop, require_one_package, threads_for
from runtime.signature import TensorSpec
from tests.runtime.graphs import WEIGHTS, linear, written


def test_a_model_says_what_it_takes_and_gives_and_computes_it(tmp_path: Path) -> None:
    session = Session(linear(tmp_path / "model.onnx"))
    assert session.signature.inputs == (TensorSpec("x", "FP32", ("n", 3)),)
    assert session.signature.outputs == (TensorSpec("y", "FP32", ("n", 2)),)
    assert str(session.signature) == "x FP32[-1, 3] -> y FP32[-1, 2]"
    assert session.signature.has_rows
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    (outputs,) = session.run([rows])
    np.testing.assert_allclose(outputs, rows @ WEIGHTS, rtol=1e-6)


def test_auto_takes_the_cpu_where_there_is_nothing_else(tmp_path: Path) -> None:
    assert Session(linear(tmp_path / "model.onnx"), device=Device.AUTO).device in {Device.CPU, Device.CUDA}


def test_cuda_that_is_not_there_is_said_with_what_to_install(tmp_path: Path) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("there is CUDA here")
    with pytest.raises(ModelError, match=r"pip install 'driftline\[gpu\]'"):
        Session(linear(tmp_path / "model.onnx"), device=Device.CUDA)


def test_the_libraries_of_cuda_are_loaded_once_and_say_nothing_on_standard_output(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("Failed to load libcurand.so.10"))
    session._load_cuda.cache_clear()
    assert session._providers(Device.CPU) == ["CPUExecutionProvider"]
    assert capsys.readouterr().err == ""
    assert session._providers(Device.AUTO) == session._providers(Device.CUDA) == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert capsys.readouterr() == ("", "Failed to load libcurand.so.10\n")
    session._load_cuda.cache_clear()


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_bound_arrays_give_what_passed_ones_give(tmp_path: Path, rows: int) -> None:
    """What runs on CUDA, on the CPU."""
    session = Session(linear(tmp_path / "model.onnx"))
    inputs = [np.arange(2 * rows * 3, dtype=np.float32).reshape(2 * rows, 3)[::2]]  # every other row: not contiguous
    (bound,), (passed,) = session._run_bound(inputs, None), session._run_passed(inputs, None)
    np.testing.assert_array_equal(bound, passed)


def test_a_bound_run_can_be_stopped(tmp_path: Path) -> None:
    session = Session(linear(tmp_path / "model.onnx"))
    stop = Stop()
    stop.now()
    with pytest.raises(Exception, match="terminate"):
        session._run_bound([np.zeros((1, 3), np.float32)], stop.options)


def test_texts_are_passed_wherever_the_model_runs_since_they_cannot_be_bound(tmp_path: Path) -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.STRING, ["n", 1]) for name in "xy")
    session = Session(written(tmp_path / "model.onnx", [helper.make_node("Identity", ["x"], ["y"])], [x], [y]))
    texts = np.array([["a"], ["b"]], dtype=np.object_)
    with pytest.raises(RuntimeError, match="non-string"):
        session._run_bound([texts], None)
    assert not session._is_bound(Device.CUDA)
    assert session.run([texts])[0].tolist() == [["a"], ["b"]]


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x08" * 1000])
def test_a_corrupt_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.onnx cannot be loaded: \S"):
        Session(tmp_path / "model.onnx")


def test_outputs_are_computed_in_the_order_that_is_asked_for(tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])
    a, b = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 2]) for name in "ab")
    file = written(tmp_path / "model.onnx", [helper.make_node("Abs", ["x"], ["a"]), helper.make_node("Neg", ["x"], ["b"])], [x], [a, b])
    session = Session(file, outputs=("b", "a"))
    assert [spec.name for spec in session.signature.outputs] == ["b", "a"]
    negated, absolute = session.run([np.array([[1, -2]], np.float32)])
    assert negated.tolist() == [[-1, 2]]
    assert absolute.tolist() == [[1, 2]]
    with pytest.raises(ModelError, match="has no output c; it has a, b"):
        Session(file, outputs=("c",))


def test_a_model_that_raises_says_why_in_one_line(tmp_path: Path) -> None:
    x, i = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None]), helper.make_tensor_value_info("i", TensorProto.INT64, [None])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None])
    session = Session(written(tmp_path / "model.onnx", [helper.make_node("Gather", ["x", "i"], ["y"])], [x, i], [y]))
    with pytest.raises(ModelError) as raised:
        session.run([np.ones(2, np.float32), np.array([5])])
    assert "out of" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_run_can_be_stopped(tmp_path: Path) -> None:
    session, stop = Session(linear(tmp_path / "model.onnx")), Stop()
    stop.now()
    with pytest.raises(ModelError, match="terminate"):
        session.run([np.ones((1, 3), np.float32)], stop)
    assert len(session.run([np.ones((1, 3), np.float32)], Stop())) == 1


def test_texts_go_in_and_come_out(tmp_path: Path) -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.STRING, [None]) for name in "xy")
    session = Session(written(tmp_path / "model.onnx", [helper.make_node("Identity", ["x"], ["y"])], [x], [y]))
    (texts,) = session.run([np.array(["a", "ü"], object)])
    assert texts.tolist() == ["a", "ü"]


def test_what_is_not_a_tensor_is_refused_with_a_way_out(tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])
    y = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
    file = written(tmp_path / "model.onnx", [helper.make_node("SplitToSequence", ["x"], ["y"], axis=0)], [x], [y])
    with pytest.raises(ModelError, match="y is a seq"):
        Session(file)


def test_without_cuda_nothing_is_told_of_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert session.device_bytes(Device.CPU) is None
    assert session.device_bytes(Device.AUTO) is None
    assert used_bytes("12.8") is None


def test_memory_of_the_device_is_what_cuda_says_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cuda:
        def cudaMemGetInfo(self, free, total):  # noqa: N802 - CUDA's name
            free._obj.value, total._obj.value = 3, 10
            return 0

    monkeypatch.setattr(device_memory, "_library", lambda major: Cuda() if major == "12" else None)
    assert used_bytes("12.8") == 7
    assert used_bytes("11.8") is None


def test_both_packages_are_found_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "distribution", lambda _name: None)
    with pytest.raises(ModelError, match="pip uninstall onnxruntime onnxruntime-gpu"):
        require_one_package()


def test_instances_share_the_cores() -> None:
    assert threads_for(1) >= threads_for(2) >= threads_for(1000) == 1
