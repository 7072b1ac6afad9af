"""The models that `bench.runtime` serves: the same bytes in every run, with one input x FP32[n, 30] and two outputs, label and probabilities."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

FEATURES = 30
TITLES = {"tiny": "Logistic regression, 30 features", "mlp": "MLP 30-512-512-2", "trees": "200 trees"}


def write_models(directory: Path) -> dict[str, Path]:
    """Train and write them; return the files by name."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(2000, FEATURES)).astype(np.float32)
    labels = (rows[:, :3].sum(axis=1) > 0).astype(int)
    models = {
        "tiny": LogisticRegression(),
        "mlp": MLPClassifier((512, 512), max_iter=1, random_state=0),
        "trees": GradientBoostingClassifier(n_estimators=200, random_state=0),
    }
    files = {}
    for name, model in models.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one round of training is no training: only the size matters here
            onnx = to_onnx(model.fit(rows, labels), initial_types=[("x", FloatTensorType([None, FEATURES]))], options={"zipmap": False})
        files[name] = directory / f"{name}.onnx"
        files[name].write_bytes(onnx.SerializeToString())
    return files
