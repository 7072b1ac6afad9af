"""All tests of one feature, over tallies of its counts.

| test | numbers | categories | statistic | effect, and the floor below which it is not worth an alert |
| --- | --- | --- | --- | --- |
| `ks` | ✓ | | Kolmogorov–Smirnov | the same without noise; 0.05 |
| `wasserstein` | ✓ | | Wasserstein-1 in standard deviations | the same without noise; 0.1 |
| `psi` | ✓ | | PSI | the same without bias; never alone worth an alert |
| `chi_squared` | ✓ | ✓ | Pearson's chi-squared | total variation without noise; 0.05 for categories |
| `missing_rate` | ✓ | ✓ | share of rows without a usable value | difference of rates without noise; one percentage point |
| `unseen_rate` | | ✓ | share of values that the baseline never saw | likewise |
| `other_rate` | | ✓ | share of values other than the one level that is frequent, in the place of chi-squared | likewise |

A floor is raised to the baseline's own tolerance where a small baseline cannot tell smaller effects from none.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from detectors.calibration import SMALLEST_ROWS
from detectors.dependence import Dependence
from detectors.frequencies import Cells, chi_squared_test, ks_test, psi_test, wasserstein_test
from detectors.rates import MissingRateTest, OtherRateTest, UnseenRateTest
from detectors.statistic import UnivariateTest
from records.baseline import CategoricalBaseline, FeatureBaseline, NumericBaseline

TESTS_PER_FEATURE: Final = 5
"""The most that a feature has: the risk over the baseline is shared by so many."""

_COARSE_CELLS: Final = 16


def univariate_tests(baseline: FeatureBaseline, rows: int, risk: float) -> list[UnivariateTest]:
    """Return the tests of a feature whose baseline has `rows`, each wrong about the baseline's error with probability `risk`."""
    counts = np.array(baseline.counts, dtype=np.float64)
    design_effect = _design_effect(baseline, rows)
    bins = Cells(np.arange(len(counts)), counts, design_effect, risk)
    tests = (
        []
        if bins.independent_rows < SMALLEST_ROWS
        else _numeric_tests(baseline, bins)
        if isinstance(baseline, NumericBaseline)
        else _categorical_tests(baseline, bins)
    )
    if rows >= SMALLEST_ROWS * design_effect:
        tests.append(MissingRateTest(rows - counts.sum(), rows, design_effect, risk))
    return tests


def _design_effect(baseline: FeatureBaseline, rows: int) -> float:
    """Return how many times noisier a feature's baseline is than independent rows. One with a cycle is as good as its thinnest hour."""
    thinnest = min((sum(each.counts) + each.absent for each in baseline.slices), default=rows)
    return Dependence(baseline.memories).design_effect(rows) * rows / max(1, thinnest)


def _numeric_tests(baseline: NumericBaseline, bins: Cells) -> list[UnivariateTest]:
    if len(bins.first) < 2:
        return []
    tests: list[UnivariateTest] = [ks_test(bins)]
    if baseline.standard_deviation > 0:
        tests.append(wasserstein_test(bins, np.array(baseline.centres), baseline.standard_deviation))
    fine, coarse = bins.joined(), bins.joined(0.9 * bins.counts.sum() / _COARSE_CELLS)  # of 64 equal bins, four make a coarse cell
    if len(fine.first) > 1:
        tests.append(psi_test(fine))
    if len(coarse.first) > 1:
        tests.append(chi_squared_test(coarse, is_alertable=False))
    return tests


def _categorical_tests(baseline: CategoricalBaseline, levels: Cells) -> list[UnivariateTest]:
    rows = levels.counts.sum()
    cells = levels.frequent()
    tests: list[UnivariateTest] = [UnseenRateTest(baseline.singletons, baseline.doubletons, rows, levels.design_effect, levels.risk)]
    if len(cells.first) > 1:
        tests.append(chi_squared_test(cells, is_alertable=True))
    elif levels.counts[0] > rows / 2:
        tests.append(OtherRateTest(rows - levels.counts[0], rows, levels.design_effect, levels.risk))
    return tests
