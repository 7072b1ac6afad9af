"""NannyML: univariate drift with missing and unseen values beside it, and PCA reconstruction; chunks of 1,000 rows, its default methods and thresholds.

Its domain classifier takes 29 s of CPU per window here, and is left out.
"""

from __future__ import annotations

import os
from typing import Any

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
        table = pd.DataFrame(rows)
        self._univariate = nannyml.UnivariateDriftCalculator(column_names=numbers + categories, chunk_size=WINDOW_ROWS).fit(table)
        self._missing = nannyml.MissingValuesCalculator(column_names=list(rows), chunk_size=WINDOW_ROWS).fit(table)
        self._unseen = nannyml.UnseenValuesCalculator(column_names=categories, chunk_size=WINDOW_ROWS).fit(table)
        self._kinds = {"numbers": numbers, "categories": categories}
        self._levels = {name: set(rows[name]) for name in categories}

    def restart(self) -> None:
        """It remembers nothing."""

    def read(self, rows: dict[str, np.ndarray], times_ns: np.ndarray) -> Reading:  # noqa: ARG002
        window = pd.DataFrame(rows)
        methods = {name: self._univariate._column_to_models_mapping[name][0] for name in rows}  # noqa: SLF001 - its results cost ten times as much as its methods
        values = {name: float(method.calculate(window[name])) for name, method in methods.items()}
        missing, is_missing = self._rates(self._missing, window, len(rows), asked=bool(window.isna().to_numpy().any()))
        unseen, is_unseen = self._rates(
            self._unseen, window, len(self._levels), asked=any(not levels.issuperset(rows[name]) for name, levels in self._levels.items())
        )
        scores = {kind: np.array([values[name] for name in names]) for kind, names in self._kinds.items()}
        drifted = any(method.alert(values[name]) for name, method in methods.items())
        return Reading(scores | {"missing values": missing, "unseen values": unseen}, {"any column": drifted or is_missing or is_unseen})

    def _rates(self, calculator: Any, window: pd.DataFrame, columns: int, *, asked: bool) -> tuple[np.ndarray, bool]:
        """Return the rates of the columns and whether any alerts; rates of 0, as in these baselines, need no asking."""
        if not asked:
            return np.zeros(columns), False
        table = _analysis(calculator.calculate(window))
        return _last_level(table, "value").astype(np.float64), bool(_last_level(table, "alert").astype(bool).any())


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
        error = _last_level(table, "value").astype(np.float64) - self._usual  # that of new rows is always above that of the rows which were fitted
        return Reading({"more error": error, "less error": -error}, {"default": bool(_last_level(table, "alert").astype(bool).any())})


def _analysis(result: Any) -> pd.DataFrame:
    return result.filter(period="analysis").to_df()


def _last_level(table: pd.DataFrame, name: str) -> np.ndarray:
    """Return the columns with this last part of a name, for the one chunk."""
    return table.loc[:, table.columns.get_level_values(-1) == name].to_numpy().ravel()


PEERS = [Univariate, Reconstruction]
