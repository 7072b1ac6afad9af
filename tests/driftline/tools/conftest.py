"""A directory of models with one small model in it, and rows for it."""

import argparse
import shutil

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import make_classification
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from driftline.commands import runtime
from runtime.tools import measuring

FEATURES = 8


@pytest.fixture(autouse=True)
def short_measurements(monkeypatch):
    monkeypatch.setattr(measuring, "_TIMED_SECONDS", 0.02)


@pytest.fixture(scope="session")
def table():
    """Columns `f0` … `f7`, `id` and `y`, 600 rows."""
    rows, labels = make_classification(600, FEATURES, class_sep=2.0, random_state=0)
    features = {f"f{place}": rows[:, place].astype(np.float32) for place in range(FEATURES)}
    return pa.table({"id": [f"r{number}" for number in range(600)], **features, "y": labels})


@pytest.fixture(scope="session")
def trained(table, tmp_path_factory):
    rows = np.column_stack([table.column(f"f{place}").to_numpy() for place in range(FEATURES)])
    with threadpool_limits(1):  # for so small a model, threads that wait for each other are all that there is
        model = MLPClassifier((32, 32), solver="lbfgs", max_iter=2000, alpha=1.0, random_state=0).fit(rows, table.column("y").to_numpy())
    file = tmp_path_factory.mktemp("trained") / "model.onnx"
    onnx = to_onnx(model, initial_types=[("x", FloatTensorType([None, FEATURES]))], options={"zipmap": False})
    file.write_bytes(onnx.SerializeToString())
    return file


@pytest.fixture
def models(trained, tmp_path):
    """DIR with `m/1`."""
    (tmp_path / "models" / "m" / "1").mkdir(parents=True)
    shutil.copy(trained, tmp_path / "models" / "m" / "1" / "model.onnx")
    return tmp_path / "models"


@pytest.fixture
def rows_file(table, tmp_path):
    parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=100)
    return tmp_path / "rows.parquet"


@pytest.fixture
def rows_csv(table, tmp_path):
    csv.write_csv(table, tmp_path / "rows.csv")
    return tmp_path / "rows.csv"


@pytest.fixture
def tool():
    """Run `driftline runtime …` in this process; return its exit status."""

    def run(*words):
        parser = argparse.ArgumentParser()
        runtime.configure(parser)
        arguments = parser.parse_args([str(word) for word in words])
        return arguments.run(arguments)

    return run
