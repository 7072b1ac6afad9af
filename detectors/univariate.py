"""All tests of one feature, over tallies of its counts.

| test | numbers | categories | statistic | effect |
| --- | --- | --- | --- | --- |
| `ks` | ✓ | | Kolmogorov–Smirnov | the same without noise |
| `wasserstein` | ✓ | | Wasserstein-1 in standard deviations | the same without noise |
| `psi` | ✓ | ✓ | PSI | the same without bias |
| `jensen_shannon` | ✓ | ✓ | Jensen–Shannon divergence in bits | its root without bias |
| `hellinger` | ✓ | ✓ | the square of Hellinger's distance | its root without bias |
| `chi_squared`, `g_test` | ✓ | ✓ | Pearson's chi-squared, G | total variation without noise |
| `missing_rate` | ✓ | ✓ | share of rows in which there is nothing | difference of rates without noise |
| `non_finite_rate` | ✓ | | share of rows whose number is infinite or too large | likewise |
| `type_change_rate` | ✓ | ✓ | share of rows with text for a number, or a number for text | likewise |
| `out_of_range_rate` | ✓ | | share of values outside what the baseline saw | likewise |
| `unseen_rate` | | ✓ | share of values that the baseline never saw | likewise |
| `other_rate` | | ✓ | share of values other than the one level that is frequent, where there is no other one to compare | likewise |

Settings choose which of them give evidence; rates always do. Whatever they choose, an effect is worth an alert from its floor on: 0.05 of Kolmogorov–Smirnov, 0.1 standard
deviations of Wasserstein-1, 0.05 of the total variation of levels, one percentage point of a rate. A floor is raised to the baseline's own tolerance where a small
baseline cannot tell smaller effects from none.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Final, NamedTuple

import numpy as np

from config.choices import CategoricalStatistic, NumericStatistic
from config.settings import DriftSettings
from detectors.calibration import SMALLEST_ROWS
from detectors.chi_squared import ChiSquared
from detectors.dependence import Dependence
from detectors.frequencies import Cells, DivergenceEffect, MetricEffect, divergence_test, homogeneity_test, metric_test
from detectors.g_test import LikelihoodRatio
from detectors.hellinger import Hellinger
from detectors.jensen_shannon import JensenShannon
from detectors.ks import KolmogorovSmirnov
from detectors.psi import PopulationStability
from detectors.rates import MissingRateTest, NonFiniteRateTest, OtherRateTest, OutOfRangeRateTest, TypeChangeRateTest, UnseenRateTest
from detectors.statistic import Divergence, Effect, ShownDivergence, UnivariateTest
from detectors.tally import Tally
from detectors.total_variation import TotalVariation
from detectors.wasserstein import Wasserstein
from records.baseline import CategoricalBaseline, FeatureBaseline, NumericBaseline

_RATES_OF_NUMBERS: Final = 4
_RATES_OF_LEVELS: Final = 3
_COARSE_CELLS: Final = 16
_SHOWN: Final[tuple[ShownDivergence, ...]] = (PopulationStability(), JensenShannon(), Hellinger())
_OF_HOMOGENEITY: Final[tuple[Divergence, ...]] = (ChiSquared(), LikelihoodRatio())


class Statistics(NamedTuple):
    """Which statistics give evidence."""

    numeric: tuple[NumericStatistic, ...] = DriftSettings().numeric_statistics
    categorical: tuple[CategoricalStatistic, ...] = DriftSettings().categorical_statistics

    @classmethod
    def of(cls, settings: DriftSettings) -> Statistics:
        """Return those that the settings choose."""
        return cls(settings.numeric_statistics, settings.categorical_statistics)

    @property
    def tests_per_feature(self) -> int:
        """The most tests that a feature has: the risk over the baseline is shared by so many."""
        return max(len(self.numeric) + _RATES_OF_NUMBERS, len(self.categorical) + _RATES_OF_LEVELS)


class FeatureTests(NamedTuple):
    """What is asked of one feature's windows."""

    tests: list[UnivariateTest]
    """They give evidence."""
    effects: dict[str, Effect[Tally]]
    """What may be worth an alert."""


class _Frequencies(NamedTuple):
    """How a feature's values are compared."""

    metrics: tuple[MetricEffect, ...] = ()
    fine: Cells | None = None
    """For divergences whose effect is shown."""
    coarse: MetricEffect | None = None
    """For tests of homogeneity: their cells, and their effect."""

    def tests(self, chosen: Container[str]) -> Iterator[UnivariateTest]:
        yield from (metric_test(metric) for metric in self.metrics if metric.name in chosen)
        if self.fine is not None:
            yield from (divergence_test(divergence, self.fine) for divergence in _SHOWN if divergence.name in chosen)
        if self.coarse is not None:
            yield from (homogeneity_test(divergence, self.coarse) for divergence in _OF_HOMOGENEITY if divergence.name in chosen)


def feature_tests(baseline: FeatureBaseline, rows: int, risk: float, statistics: Statistics = Statistics()) -> FeatureTests:  # noqa: B008 - a constant
    """Return the tests of a feature whose baseline has `rows`, each wrong about the baseline's error with probability `risk`."""
    bins = _bins(baseline, rows, risk)
    tests: list[UnivariateTest] = []
    effects: dict[str, Effect[Tally]] = {}
    if bins.independent_rows >= SMALLEST_ROWS:
        is_numeric = isinstance(baseline, NumericBaseline)
        found = _of_numbers(baseline, bins) if isinstance(baseline, NumericBaseline) else _of_levels(bins)
        tests += found.tests(statistics.numeric if is_numeric else statistics.categorical)
        effects |= {metric.name: metric for metric in found.metrics}
        tests += _rates_of_levels(baseline, bins) if isinstance(baseline, CategoricalBaseline) else _rates_of_numbers(bins)
    if rows >= SMALLEST_ROWS * bins.design_effect:
        tests += _rates_of_rows(baseline, rows, bins)
    return FeatureTests(tests, effects | {test.name: test.effect for test in tests if test.effect is not None})


def shown_effects(baseline: FeatureBaseline, rows: int, tally: Tally) -> dict[str, float]:
    """Return the effects that people know by name and that no alert needs, of a window's tally."""
    bins = _bins(baseline, rows, 1.0)
    cells = bins.joined() if isinstance(baseline, NumericBaseline) else bins.frequent()
    if bins.independent_rows < SMALLEST_ROWS or len(cells.first) < 2:
        return {}
    return {divergence.name: DivergenceEffect(divergence, cells).size(tally) for divergence in _SHOWN}


def _bins(baseline: FeatureBaseline, rows: int, risk: float) -> Cells:
    counts = np.array(baseline.counts, dtype=np.float64)
    return Cells(np.arange(len(counts)), counts, _design_effect(baseline, rows), risk)


def _design_effect(baseline: FeatureBaseline, rows: int) -> float:
    """Return how many times noisier a feature's baseline is than independent rows. One with a cycle is as good as its thinnest hour."""
    thinnest = min((sum(each.counts) + each.absent for each in baseline.slices), default=rows)
    return Dependence(baseline.memories).design_effect(rows) * rows / max(1, thinnest)


def _of_numbers(baseline: NumericBaseline, bins: Cells) -> _Frequencies:
    if len(bins.first) < 2:
        return _Frequencies()
    metrics = [MetricEffect(KolmogorovSmirnov(), bins)]
    if baseline.standard_deviation > 0:
        metrics.append(MetricEffect(Wasserstein(np.array(baseline.centres), baseline.standard_deviation), bins))
    fine, coarse = bins.joined(), bins.joined(0.9 * bins.counts.sum() / _COARSE_CELLS)  # of 64 equal bins, four make a coarse cell
    return _Frequencies(tuple(metrics), fine if len(fine.first) > 1 else None, MetricEffect(TotalVariation(), coarse) if len(coarse.first) > 1 else None)


def _of_levels(bins: Cells) -> _Frequencies:
    cells = bins.frequent()
    if len(cells.first) < 2:
        return _Frequencies()
    variation = MetricEffect(TotalVariation(), cells)
    return _Frequencies((variation,), cells, variation)


def _rates_of_rows(baseline: FeatureBaseline, rows: int, bins: Cells) -> Iterator[UnivariateTest]:
    yield MissingRateTest(baseline.missing, rows, bins.design_effect, bins.risk)
    yield TypeChangeRateTest(baseline.type_changes, rows, bins.design_effect, bins.risk)
    if isinstance(baseline, NumericBaseline):
        yield NonFiniteRateTest(baseline.non_finite, rows, bins.design_effect, bins.risk)


def _rates_of_numbers(bins: Cells) -> Iterator[UnivariateTest]:
    yield OutOfRangeRateTest(bins.counts.sum(), bins.design_effect, bins.risk)


def _rates_of_levels(baseline: CategoricalBaseline, bins: Cells) -> Iterator[UnivariateTest]:
    rows = bins.counts.sum()
    yield UnseenRateTest(baseline.singletons, baseline.doubletons, rows, bins.design_effect, bins.risk)
    if len(bins.frequent().first) < 2 and bins.counts[0] > rows / 2:
        yield OtherRateTest(rows - bins.counts[0], rows, bins.design_effect, bins.risk)
