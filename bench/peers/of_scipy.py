"""What people write themselves: SciPy's Kolmogorov–Smirnov for numbers and chi-squared for categories, at 0.05 with Bonferroni's correction."""

from __future__ import annotations

import numpy as np
import scipy
from scipy import stats

from bench.peers.measure import Reading

_LEVEL = 0.05


class BonferroniTests:
    name = "SciPy KS, chi-squared"
    version = scipy.__version__
    remembers = False

    def fit(self, rows: dict[str, np.ndarray], times_ns: np.ndarray | None) -> None:  # noqa: ARG002 - it knows no cycles
        self._baseline = rows

    def restart(self) -> None:
        """It remembers nothing."""

    def read(self, rows: dict[str, np.ndarray], times_ns: np.ndarray) -> Reading:  # noqa: ARG002
        numbers = [_ks(self._baseline[name], column) for name, column in rows.items() if column.dtype != object]
        categories = [_chi_squared(self._baseline[name], column) for name, column in rows.items() if column.dtype == object]
        p_values = np.array(numbers + categories)
        scores = {"numbers": -np.log(p_values[: len(numbers)]), "categories": -np.log(p_values[len(numbers) :])}
        return Reading(scores, {"Bonferroni": bool(np.nanmin(p_values) < _LEVEL / len(p_values))})


def _ks(baseline: np.ndarray, column: np.ndarray) -> float:
    """Return the p-value for the values that are not missing."""
    return max(1e-300, float(stats.ks_2samp(baseline, column[~np.isnan(column)], method="asymp").pvalue))


def _chi_squared(baseline: np.ndarray, column: np.ndarray) -> float:
    levels = np.union1d(baseline, column)
    counts = [np.bincount(np.searchsorted(levels, each), minlength=len(levels)) for each in (baseline, column)]
    return max(1e-300, float(stats.chi2_contingency(counts).pvalue))


PEERS = [BonferroniTests]
