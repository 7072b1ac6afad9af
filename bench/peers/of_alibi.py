"""alibi-detect: TabularDrift and KSDrift, both at its p_val of 0.05 with Bonferroni's correction.

TabularDrift tests numbers as KSDrift does, so that KSDrift's p-values are a part of its. MMDDrift and ClassifierDrift take seconds of CPU per window here, and are left out.
"""

from __future__ import annotations

import alibi_detect
import numpy as np
from alibi_detect.cd import TabularDrift

from bench.drift_traffic import CATEGORIES, NUMBERS
from bench.peers.measure import Reading

_LEVEL = 0.05


class Tabular:
    name = "alibi-detect"
    version = alibi_detect.__version__
    remembers = False

    def fit(self, rows: dict[str, np.ndarray], times_ns: np.ndarray | None) -> None:  # noqa: ARG002 - it knows no cycles
        self._levels = {name: np.unique(column).tolist() for name, column in rows.items() if column.dtype == object}
        categories = dict.fromkeys(range(NUMBERS, NUMBERS + CATEGORIES))
        self._detector = TabularDrift(self._matrix(rows), p_val=_LEVEL, categories_per_feature=categories)

    def restart(self) -> None:
        """It remembers nothing."""

    def read(self, rows: dict[str, np.ndarray], times_ns: np.ndarray) -> Reading:  # noqa: ARG002
        prediction = self._detector.predict(self._matrix(rows))["data"]
        p_values = np.asarray(prediction["p_val"], dtype=np.float64)
        numbers, categories = p_values[:NUMBERS], p_values[NUMBERS:]
        with np.errstate(divide="ignore"):
            scores = {"numbers": -np.log(numbers), "categories": -np.log(categories)}
        alarms = {"TabularDrift": bool(prediction["is_drift"]), "KSDrift": bool((numbers < _LEVEL / NUMBERS).any())}
        return Reading(scores, alarms)

    def _matrix(self, rows: dict[str, np.ndarray]) -> np.ndarray:
        """Return rows × features, with the number of each level; one never seen has the next number."""
        return np.stack([self._codes(name, column) if column.dtype == object else column for name, column in rows.items()], axis=1)

    def _codes(self, name: str, column: np.ndarray) -> np.ndarray:
        codes = {level: code for code, level in enumerate(self._levels[name])}
        return np.array([codes.get(level, len(codes)) for level in column], dtype=np.float64)


PEERS = [Tabular]
