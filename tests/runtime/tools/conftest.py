"""Small models as people have them, trained once."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits


class Data(NamedTuple):
    rows: np.ndarray
    labels: np.ndarray


@pytest.fixture(scope="session")
def data():
    rows, labels = load_breast_cancer(return_X_y=True)
    return Data(StandardScaler().fit_transform(rows).astype(np.float32), labels)


def export(model, path: Path) -> Path:
    options = {"zipmap": False} if hasattr(model, "classes_") else None
    onnx = to_onnx(model, initial_types=[("measurements", FloatTensorType([None, model.n_features_in_]))], options=options)
    path.write_bytes(onnx.SerializeToString())
    return path


@pytest.fixture(scope="session")
def perceptron(data, tmp_path_factory):
    """Two hidden layers of 64 units; gives `label` and `probabilities`."""
    model = MLPClassifier((64, 64), solver="lbfgs", max_iter=40, alpha=1.0, random_state=0)
    with threadpool_limits(1), pytest.warns(match="converge"):
        model.fit(*data)
    return export(model, tmp_path_factory.mktemp("models") / "perceptron.onnx")


@pytest.fixture(scope="session")
def regression(data, tmp_path_factory):
    """Gives one number, the first column's double, from the others."""
    model = LinearRegression().fit(data.rows[:, 1:], data.rows[:, 0] * 2)
    return export(model, tmp_path_factory.mktemp("models") / "regression.onnx")


@pytest.fixture(scope="session")
def trees(data, tmp_path_factory):
    return export(GradientBoostingClassifier(n_estimators=10, random_state=0).fit(*data), tmp_path_factory.mktemp("models") / "trees.onnx")
