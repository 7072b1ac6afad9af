"""Real rows: 30 measurements of cell nuclei per tumour (scikit-learn's breast-cancer data)."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import parquet
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

Rows: TypeAlias = npt.NDArray[np.float64]

DRIFTED: Final = ("mean area", "worst area")
"""What a miscalibrated microscope reads wrong in this demo: the areas, and nothing else."""
SCALE: Final = 1.15


class Measurements(NamedTuple):
    """The data, split in two: models are trained on one half, traffic and baseline are drawn from the other."""

    names: tuple[str, ...]
    training: Rows
    """Shape [n, 30]."""
    diagnoses: npt.NDArray[np.int64]
    """Of the training rows, shape [n]: 0 malignant, 1 benign."""
    pool: Rows
    """Shape [m, 30]: rows that the models have never seen."""


def load() -> Measurements:
    """Return the measurements; the split is the same in every run."""
    data = load_breast_cancer()
    training, pool, diagnoses, _ = train_test_split(data.data, data.target, test_size=0.6, random_state=0, stratify=data.target)
    return Measurements(tuple(str(name) for name in data.feature_names), training, diagnoses, pool)


def resample(pool: Rows, count: int, seed: int) -> Rows:
    """Draw `count` rows with replacement: independent, and from the same distribution whatever the seed."""
    return pool[np.random.default_rng(seed).integers(len(pool), size=count)]


def miscalibrate(rows: Rows, names: tuple[str, ...]) -> Rows:
    """Return the rows as an instrument would give them that reads the areas 15 % too high."""
    scale = np.where(np.isin(names, DRIFTED), SCALE, 1.0)
    return rows * scale


def write_table(rows: Rows, names: tuple[str, ...], path: Path) -> None:
    """Write rows as a Parquet file with one column per measurement."""
    parquet.write_table(pa.table(dict(zip(names, rows.T, strict=True))), path)
