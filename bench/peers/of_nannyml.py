"""NannyML: univariate drift with missing and unseen values beside it, and PCA reconstruction; chunks of 1,000 rows, its default methods and thresholds.

Its domain classifier takes 29 s of CPU per window here, and is left out.
"""

from __future__ import annotations

import os

os.environ.setdefault("NML_DISABLE_USAGE_LOGGING", "1")

import nannyml
import numpy as np
import pandas as pd

from bench.drift_traffic import WINDOW_ROWS
from bench.peers.measure import Reading


class Univariate:
    name = "NannyML univariate"
    version = nannyml.__version__
    remembers = False

    def fit(self, rows: dict[str, np.ndarray], times_ns: np.ndarray | None) -> None:  # noqa: ARG002 - it knows no cycles
        categories = [name for name, column in rows.items() if column.dtype == object]
        numbers = [name for name in rows if name not in categories]
        self._calculators = {
            "numbers": nannyml.UnivariateDriftCalculator(column_names=numbers, chunk_size=WINDOW_ROWS),
            "categories": nannyml.UnivariateDriftCalculator(column_names=categories, chunk_size=WINDOW_ROWS),
            "missing values": nannyml.MissingValuesCalculator(column_names=list(rows), chunk_size=WINDOW_ROWS),
            "unseen values": nannyml.UnseenValuesCalculator(column_names=categories, chunk_size=WINDOW_ROWS),
        }
        for calculator in self._calculators.values():
            calculator.fit(pd.DataFrame(rows))

    def restart(self) -> None:
        """It remembers nothing."""

    def read(self, rows: dict[str, np.ndarray], times_ns: np.ndarray) -> Reading:  # noqa: ARG002
        window = pd.DataFrame(rows)
        tables = {kind: _analysis(calculator.calculate(window)) for kind, calculator in self._calculators.items()}
        scores = {kind: _last_level(table, "value") for kind, table in tables.items()}
        return Reading(scores, {"any column": any(_last_level(table, "alert").astype(bool).any() for table in tables.values())})


class Reconstruction:
    name = "NannyML reconstruction"
    version = nannyml.__version__
    remembers = False

    def fit(self, rows: dict[str, np.ndarray], times_ns: np.ndarray | None) -> None:  # noqa: ARG002 - it knows no cycles
        self._calculator = nannyml.DataReconstructionDriftCalculator(column_names=list(rows), chunk_size=WINDOW_ROWS)
        table = self._calculator.fit(pd.DataFrame(rows)).result.to_df()
        self._usual = float(_last_level(table, "value").mean())

    def restart(self) -> None:
        """It remembers nothing."""

    def read(self, rows: dict[str, np.ndarray], times_ns: np.ndarray) -> Reading:  # noqa: ARG002
        table = _analysis(self._calculator.calculate(pd.DataFrame(rows)))
        error = _last_level(table, "value").astype(np.float64)
        return Reading({"error": np.abs(error - self._usual)}, {"default": bool(_last_level(table, "alert").astype(bool).any())})


def _analysis(result: nannyml.base.AbstractResult) -> pd.DataFrame:
    return result.filter(period="analysis").to_df()


def _last_level(table: pd.DataFrame, name: str) -> np.ndarray:
    """Return the columns with this last part of a name, for the one chunk."""
    return table.loc[:, table.columns.get_level_values(-1) == name].to_numpy().ravel()


PEERS = [Univariate, Reconstruction]
