"""What people write themselves: SciPy's Kolmogorov–Smirnov for numbers and chi-squared for categories, at 0.05 with Bonferroni's correction."""

from __future__ import annotations

from collections import Counter

import numpy as np
import scipy
from scipy import stats

from bench.peers.measure import Reading

_LEVEL = 0.05


class BonferroniTests:
    name = "SciPy KS"
    version = scipy.__version__
    remembers = False

    def fit(self, rows: dict[str, np.ndarray], times_ns: np.ndarray | None) -> None:  # noqa: ARG002 - it knows no cycles
        self._baseline = {name: Counter(column.tolist()) if column.dtype == object else np.sort(column) for name, column in rows.items()}

    def restart(self) -> None:
        """It remembers nothing."""

    def read(self, rows: dict[str, np.ndarray], times_ns: np.ndarray) -> Reading:  # noqa: ARG002
        numbers = [kolmogorov_smirnov(self._baseline[name], column[~np.isnan(column)]) for name, column in rows.items() if column.dtype != object]
        categories = [_chi_squared(self._baseline[name], column) for name, column in rows.items() if column.dtype == object]
        p_values = np.array(numbers + categories)
        scores = {"numbers": -np.log(p_values[: len(numbers)]), "categories": -np.log(p_values[len(numbers) :])}
        return Reading({kind: of for kind, of in scores.items() if len(of)}, {"Bonferroni": bool(p_values.min() < _LEVEL / len(p_values))})


def kolmogorov_smirnov(baseline: np.ndarray, column: np.ndarray) -> float:
    """Return the p-value of `ks_2samp(method="asymp")`; the baseline is sorted once, which is most of the work."""
    rows, baseline_rows = len(column), len(baseline)
    values = np.sort(column)
    above = (np.arange(rows) + 1) / rows - np.searchsorted(baseline, values, side="right") / baseline_rows
    below = np.searchsorted(baseline, values, side="left") / baseline_rows - np.arange(rows) / rows
    size = round(rows * baseline_rows / (rows + baseline_rows))
    return max(1e-300, float(stats.kstwo.sf(max(above.max(), below.max()), size)))


def _chi_squared(baseline: Counter[str], column: np.ndarray) -> float:
    now = Counter(column.tolist())
    counts = [[of[level] for level in sorted(baseline | now)] for of in (baseline, now)]
    return max(1e-300, float(stats.chi2_contingency(counts).pvalue))


PEERS = [BonferroniTests]
