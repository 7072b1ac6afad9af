"""What was recorded comes back from the store, through a monitor that holds it and without one."""

import json
import signal
import subprocess
import time
import urllib.request

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.driftline.conftest import DRIFTLINE, free_port
from tests.driftline.scoring.conftest import ROWS, answers
from tests.runtime.graphs import WEIGHTS, linear, written


@pytest.fixture
def monitor(tmp_path):
    """Start `driftline monitor` over `data`; return its process when everything recorded is stored."""
    started = []

    def start():
        port = free_port()
        command = [str(DRIFTLINE), "monitor", "--data-dir", str(tmp_path / "data"), "--admin", f"127.0.0.1:{port}"]
        with (tmp_path / "log").open("wb") as log:
            started.append(subprocess.Popen(command, stdout=log, stderr=log))
        deadline = time.monotonic() + 60
        while pending(port) != 0:
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.1)
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def pending(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/status") as reply:
            counts = json.loads(reply.read())["counts"]
            return counts["pending"] if counts["stored"] else None
    except OSError:
        return None


@pytest.mark.timeout(300)
def test_a_period_in_the_store_is_answered_once(run, models, tmp_path, monitor, capsys):
    data = ("--data-dir", tmp_path / "data")
    assert run("--record", *data) == 0
    holder = monitor()
    linear(models / "m" / "2" / "model.onnx", scale=2)
    for name in ("through_monitor", "without_monitor"):
        assert run("--out", tmp_path / name, *data, source=("--from-store",)) == 0
        table = answers(tmp_path / name)
        expected = np.arange(ROWS * 3).reshape(ROWS, 3) @ WEIGHTS * 2
        np.testing.assert_allclose(np.stack(table.column("y").to_numpy()), expected, rtol=1e-5)
        assert table.column_names == ["started_at_ns", "writer", "sequence", "row", "y"]
        assert len(set(zip(*(table.column(key).to_pylist() for key in ("writer", "sequence", "row")), strict=True))) == ROWS
        holder.send_signal(signal.SIGTERM)
        assert holder.wait(40) == 0
    assert run("--out", tmp_path / "without_monitor", *data, source=("--from-store",)) == 0
    assert "0 of them now" in capsys.readouterr().out
    relu_of_four(models / "m" / "3" / "model.onnx")
    assert run("--out", tmp_path / "too_wide", *data, source=("--from-store",)) == 0
    assert "3 stored requests were left out" in capsys.readouterr().out
    assert answers(tmp_path / "too_wide").num_rows == 0


def relu_of_four(file):
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in "xy")
    written(file, [helper.make_node("Relu", ["x"], ["y"])], [x], [y])
