"""Tests of frequencies: which cells a statistic looks at, its p-value and its effect, over tallies of counts."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from detectors.arrays import Floats, Integers
from detectors.calibration import SMALLEST_ROWS, CalibratedDivergence, CalibratedMetric, step_of, throw
from detectors.chi_squared import ChiSquared, TotalVariation
from detectors.effect import NOISE_BELOW_FLOOR, return_p_value, without_noise
from detectors.ks import KolmogorovSmirnov
from detectors.psi import PopulationStability
from detectors.statistic import Effect, UnivariateTest
from detectors.tally import News, Tally
from detectors.wasserstein import Wasserstein
from records.verdict import TestResult

_MIN_CELL_ROWS: Final = 25  # of the baseline, so that its own error in a cell is moderate
_MIN_CELL_RATIO: Final = 0.005  # of the rows: five in a window of 1,000
_NOTHING: Final = TestResult(statistic=0.0, p_value=1.0, effect=0.0)


class Cells(NamedTuple):
    """Cells of neighbouring bins, and the baseline's rows in the bins, which its design effect divides."""

    first: Integers
    """The first bin of each cell."""
    counts: Floats
    design_effect: float
    risk: float

    @property
    def rows(self) -> Floats:
        """The baseline's rows in each cell."""
        return np.asarray(np.add.reduceat(self.counts, self.first))

    @property
    def independent_rows(self) -> float:
        """How many independent rows the baseline is worth."""
        return float(self.counts.sum()) / self.design_effect

    def joined(self, fewest_rows: float = 0.0) -> Cells:
        """Return cells of neighbouring bins that have rows enough to be tested, and at least `fewest_rows`."""
        return self._replace(first=_joined(self.counts, max(fewest_rows, self._fewest_rows)))

    def frequent(self) -> Cells:
        """Return, of bins that fall in frequency, a cell for each with rows enough to be tested, and one for all the rest.

        Rare levels are not joined by their frequency: those that were seen by chance would always be seen less.
        """
        frequent = int(np.count_nonzero(self.counts[:-1] >= self._fewest_rows))
        has_rest = self.counts[frequent:].sum() >= self._fewest_rows
        return self._replace(first=np.arange(max(1, frequent + has_rest)))

    @property
    def _fewest_rows(self) -> float:
        return max(_MIN_CELL_ROWS, _MIN_CELL_RATIO * float(self.counts.sum()))

    def view(self, tally: Tally) -> tuple[Floats, float]:
        """Return a tally's frequencies in the cells, and its rows with a value."""
        present = tally.present
        return np.add.reduceat(tally.counts, self.first) / (present or 1.0), present


def _joined(counts: Floats, fewest_rows: float) -> Integers:
    """Return the first bin of each cell: neighbours are joined until they have enough rows; too small a rest joins the last cell."""
    starts, rows = [0], 0.0
    for position, count in enumerate(counts.tolist()):
        if rows >= fewest_rows:
            starts.append(position)
            rows = 0.0
        rows += count
    return np.array(starts if rows >= fewest_rows or len(starts) == 1 else starts[:-1])


def ks_test(bins: Cells) -> UnivariateTest:
    """Kolmogorov–Smirnov on all bins."""
    ks = CalibratedMetric(KolmogorovSmirnov(), bins.rows, bins.independent_rows, bins.risk)
    effect = _MetricEffect(bins, ks, KolmogorovSmirnov.floor)
    return _FrequencyTest(KolmogorovSmirnov.name, bins, ks, effect, effect)


def wasserstein_test(bins: Cells, centres: Floats, standard_deviation: float) -> UnivariateTest:
    """Wasserstein-1 between bins whose rows lie about `centres`, in units of `standard_deviation`."""
    wasserstein = CalibratedMetric(Wasserstein(centres, standard_deviation), bins.rows, bins.independent_rows, bins.risk)
    effect = _MetricEffect(bins, wasserstein, Wasserstein.floor)
    return _FrequencyTest(Wasserstein.name, bins, wasserstein, effect, effect)


def psi_test(cells: Cells) -> UnivariateTest:
    """PSI, whose effect is only shown."""
    psi = CalibratedDivergence(PopulationStability(), cells.rows, cells.independent_rows, cells.risk)
    return _FrequencyTest(PopulationStability.name, cells, psi, _PsiExcess(cells), None)


def chi_squared_test(cells: Cells, *, is_alertable: bool) -> UnivariateTest:
    """Chi-squared, whose effect is the total variation."""
    chi_squared = CalibratedDivergence(ChiSquared(), cells.rows, cells.independent_rows, cells.risk)
    variation = CalibratedMetric(TotalVariation(), cells.rows, cells.independent_rows, cells.risk)
    effect = _MetricEffect(cells, variation, TotalVariation.floor)
    return _FrequencyTest(ChiSquared.name, cells, chi_squared, effect, effect if is_alertable else None)


class _FrequencyTest:
    """A statistic of frequencies in cells."""

    def __init__(
        self, name: str, cells: Cells, statistic: CalibratedMetric | CalibratedDivergence, shown: _MetricEffect | _PsiExcess, effect: Effect[Tally] | None
    ) -> None:
        self.name = name
        self.effect = effect
        self._cells = cells
        self._statistic = statistic
        self._shown = shown

    def missing_step(self, tally: Tally) -> int | None:
        rows = tally.present
        return step_of(rows) if rows >= SMALLEST_ROWS and self._statistic.lacks(step_of(rows)) else None

    def learn(self, step: int) -> None:
        self._statistic.learn(throw(step))

    def result(self, news: News) -> TestResult:
        frequencies, rows = self._cells.view(news.tally)
        if rows < SMALLEST_ROWS:
            return _NOTHING
        statistic, p_value = self._statistic.test(frequencies, rows, news.remaining)
        return TestResult(statistic=statistic, p_value=p_value, effect=self._shown.size(news.tally))


class _MetricEffect:
    """A distance without the part that noise makes alone."""

    def __init__(self, cells: Cells, metric: CalibratedMetric, floor: float) -> None:
        self.floor = max(floor, metric.tolerance)
        self._cells = cells
        self._metric = metric

    def size(self, tally: Tally) -> float:
        frequencies, rows = self._cells.view(tally)
        return without_noise(self._metric.distance(frequencies), self._metric.noise_square(rows)) if rows else 0.0

    def can_return(self, tally: Tally) -> bool:
        rows = tally.present
        return rows * self.floor**2 >= NOISE_BELOW_FLOOR**2 * self._metric.mean_square

    def return_p_value(self, tally: Tally) -> float:
        frequencies, rows = self._cells.view(tally)
        return return_p_value(self._metric.distance(frequencies), self.floor, self._metric.metric.spread(frequencies), rows)


class _PsiExcess:
    """PSI above what noise makes of it."""

    def __init__(self, cells: Cells) -> None:
        self._psi = PopulationStability()
        self._cells = cells
        self._baseline = cells.rows / cells.counts.sum()

    def size(self, tally: Tally) -> float:
        frequencies, rows = self._cells.view(tally)
        before = self._cells.independent_rows
        excess = self._psi(frequencies, self._baseline, rows, before) - self._psi.bias(len(self._baseline), rows, before)
        return max(0.0, float(excess))
