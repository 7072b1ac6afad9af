"""Evidently: the tests that DataDriftPreset chooses, at its thresholds.

The preset takes 1.9 s of CPU per window for its report; its tests alone, which are called here as it chooses them, give the same scores (`tests/bench/test_drift_peers.py`, where it is installed).
"""

from __future__ import annotations

import os

os.environ.setdefault("DO_NOT_TRACK", "1")

import evidently
import numpy as np
import pandas as pd
from evidently.legacy.calculations.stattests.registry import get_stattest
from evidently.legacy.core import ColumnType

from bench.peers.measure import Reading

_DRIFT_SHARE = 0.5  # of the columns, for what the preset calls dataset drift


class DataDrift:
    name = "Evidently"
    version = evidently.__version__
    remembers = False

    def fit(self, rows: dict[str, np.ndarray], times_ns: np.ndarray | None) -> None:  # noqa: ARG002 - it knows no cycles
        self._baseline = {name: pd.Series(column) for name, column in rows.items()}
        self._types = {name: ColumnType.Categorical if column.dtype == object else ColumnType.Numerical for name, column in rows.items()}
        self._tests = {name: get_stattest(column, column, self._types[name], None) for name, column in self._baseline.items()}

    def restart(self) -> None:
        """It remembers nothing."""

    def read(self, rows: dict[str, np.ndarray], times_ns: np.ndarray) -> Reading:  # noqa: ARG002
        results = {name: self._tests[name](self._baseline[name], pd.Series(column).dropna(), self._types[name], None) for name, column in rows.items()}
        drifted = [bool(result.drifted) for result in results.values()]
        scores = {
            kind.value: np.array([result.drift_score for name, result in results.items() if self._types[name] is kind])
            for kind in (ColumnType.Numerical, ColumnType.Categorical)
        }
        return Reading(scores, {"any column": any(drifted), "half of the columns": np.mean(drifted) >= _DRIFT_SHARE})


PEERS = [DataDrift]
