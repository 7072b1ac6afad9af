"""Tests of frequencies: which cells a statistic looks at, its p-value and its effect, over tallies of counts.

A cell is a run of neighbouring bins, or a level. Neighbours are joined until a cell has 25 rows of the baseline and one in 200 of them, so that its own error there is moderate, and a window of
1,000 rows has five: what is customary for chi-squared. Source: Cochran, "Some methods for strengthening the common χ² tests", Biometrics 10, 1954.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from detectors.arrays import Floats, Integers
from detectors.calibration import SMALLEST_ROWS, CalibratedDivergence, CalibratedMetric, step_of, throw
from detectors.effect import NOISE_BELOW_FLOOR, return_p_value, without_noise
from detectors.statistic import Divergence, Effect, Metric, ShownDivergence, UnivariateTest
from detectors.tally import News, Tally
from records.verdict import TestResult

Shown: TypeAlias = Callable[[float, Floats, float], float]
"""The effect that is shown beside a statistic: of its value, and of the frequencies in its cells of so many rows."""

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


def metric_test(effect: MetricEffect) -> UnivariateTest:
    """Whether the distance is more than noise, and the baseline's error, explain."""
    return _FrequencyTest(effect.name, effect.cells, effect.metric, lambda distance, _, rows: effect.beyond_noise(distance, rows))


def homogeneity_test(divergence: Divergence, effect: MetricEffect) -> UnivariateTest:
    """Whether window and baseline are samples of one population, in the cells of the effect that is shown."""

    def shown(_: float, frequencies: Floats, rows: float) -> float:
        return effect.beyond_noise(effect.metric.distance(frequencies), rows)

    return _FrequencyTest(divergence.name, effect.cells, _calibrated(divergence, effect.cells), shown)


def divergence_test(divergence: ShownDivergence, cells: Cells) -> UnivariateTest:
    """Likewise, by a divergence whose effect is its own."""

    def shown(value: float, _: Floats, rows: float) -> float:
        return divergence.effect(value, len(cells.first), rows, cells.independent_rows)

    return _FrequencyTest(divergence.name, cells, _calibrated(divergence, cells), shown)


def _calibrated(divergence: Divergence, cells: Cells) -> CalibratedDivergence:
    return CalibratedDivergence(divergence, cells.rows, cells.independent_rows, cells.risk)


class _FrequencyTest:
    """A statistic of frequencies in cells."""

    def __init__(self, name: str, cells: Cells, statistic: CalibratedMetric | CalibratedDivergence, shown: Shown) -> None:
        self.name = name
        self.effect: Effect[Tally] | None = None
        self._cells = cells
        self._statistic = statistic
        self._shown = shown

    def missing_step(self, tally: Tally) -> int | None:
        rows = tally.present
        return step_of(rows) if rows >= SMALLEST_ROWS and self._statistic.lacks(step_of(rows)) else None

    def learn(self, step: int) -> None:
        self._statistic.learn(throw(step))

    def result(self, news: News[Tally]) -> TestResult:
        frequencies, rows = self._cells.view(news.tally)
        if rows < SMALLEST_ROWS:
            return _NOTHING
        statistic, p_value = self._statistic.test(frequencies, rows, news.remaining)
        return TestResult(statistic=statistic, p_value=p_value, effect=self._shown(statistic, frequencies, rows))


class MetricEffect:
    """A distance without the part that noise makes alone: it may be worth an alert."""

    def __init__(self, metric: Metric, cells: Cells) -> None:
        self.name: Final = metric.name
        self.cells: Final = cells
        self.metric: Final = CalibratedMetric(metric, cells.rows, cells.independent_rows, cells.risk)
        self.floor: Final = max(metric.floor, self.metric.tolerance)
        """That of practice, or what a small baseline can tell."""

    def size(self, tally: Tally) -> float:
        """Return the distance; 0 where noise explains it."""
        frequencies, rows = self.cells.view(tally)
        return self.beyond_noise(self.metric.distance(frequencies), rows) if rows else 0.0

    def beyond_noise(self, distance: float, rows: float) -> float:
        """Return what noise does not explain of a distance of so many rows."""
        return without_noise(distance, self.metric.noise_square(rows))

    def can_return(self, tally: Tally) -> bool:
        """Return whether the tally has rows enough to tell an effect at the floor from none."""
        return tally.present * self.floor**2 >= NOISE_BELOW_FLOOR**2 * self.metric.mean_square

    def return_p_value(self, tally: Tally) -> float:
        """Return the p-value of "the effect is at the floor or above"."""
        frequencies, rows = self.cells.view(tally)
        return return_p_value(self.metric.distance(frequencies), self.floor, self.metric.metric.spread(frequencies), rows)


class DivergenceEffect:
    """What people read of a divergence, without what noise makes of it."""

    def __init__(self, divergence: ShownDivergence, cells: Cells) -> None:
        self.name: Final = divergence.name
        self._divergence = divergence
        self._cells = cells
        self._baseline = cells.rows / cells.counts.sum()

    def size(self, tally: Tally) -> float:
        """Return the effect; 0 where there are no rows."""
        frequencies, rows = self._cells.view(tally)
        if not rows:
            return 0.0
        before = self._cells.independent_rows
        value = float(self._divergence(frequencies, self._baseline, rows, before))
        return self._divergence.effect(value, len(self._baseline), rows, before)
