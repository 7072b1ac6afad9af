"""The model that is served and its challenger: trained in a second, the same in every run, written as ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from driftline.demo.measurements import Measurements


def export_served(data: Measurements, path: Path) -> None:
    """Train a logistic regression on standardised measurements and write it to `path`."""
    _export(make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000)), data.training, data.diagnoses, path)


def export_challenger(data: Measurements, path: Path) -> None:
    """Train gradient-boosted trees, which might replace the served model one day, and write them to `path`."""
    _export(GradientBoostingClassifier(random_state=0), data.training, data.diagnoses, path)


def _export(model: Any, rows: npt.NDArray[np.float64], labels: npt.NDArray[np.int64], path: Path) -> None:
    """Write the model with one input [n, 30] and two outputs: `label` [n] and `probabilities` [n, 2]."""
    model.fit(rows, labels)
    inputs = [("measurements", FloatTensorType([None, rows.shape[1]]))]
    onnx = to_onnx(model, initial_types=inputs, options={"zipmap": False})
    path.write_bytes(onnx.SerializeToString())
