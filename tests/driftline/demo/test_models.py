import numpy as np
import onnxruntime
import pytest

from driftline.demo import models


@pytest.mark.parametrize("export", [models.export_served, models.export_challenger])
def test_training_gives_the_same_file_every_time(export, data, tmp_path):
    export(data, tmp_path / "a.onnx")
    export(data, tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_the_challenger_agrees_often_but_not_always(data, onnx):
    served, challenger = (_labels(file, data.pool) for file in (onnx["served"], onnx["challenger"]))
    assert 0.85 < np.mean(served == challenger) < 0.99


def _labels(file, rows):
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    return session.run(["label"], {"measurements": rows.astype(np.float32)})[0]
