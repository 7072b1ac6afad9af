"""Maximum mean discrepancy: how far the distribution of a window's vectors is from the baseline's.

    MMD = |mean of φ over the window − mean of φ over the baseline|

with φ the random features of `random_features`: 0 where the distributions are the same, and about 0.05 where all values have moved by a tenth of a standard deviation, or five
rows of a hundred are of a kind never seen. What it is when nothing has changed says `mean_distance`.
Source: Gretton, Borgwardt, Rasch, Schölkopf and Smola, "A kernel two-sample test", 2012.
"""

from __future__ import annotations

import math
from typing import Final

from detectors.mean_distance import MeanDistance
from detectors.random_features import VectorTally
from detectors.tally import News
from records.baseline import MeanNoise, VectorBaseline
from records.verdict import TestResult

FLOOR: Final = 0.05
"""A distance that is worth an alert."""

LARGEST_SQUARE: Final = 2.0
"""Of the distance of one row's φ from the mean, if not more than that of two that have nothing in common."""


class MmdTest:
    """The distance of a window's vectors from the baseline's, its p-value and its effect."""

    name: Final = "mmd"

    def __init__(self, baseline: VectorBaseline, independent_rows: float, risk: float) -> None:
        """The baseline is worth `independent_rows`, at least `SMALLEST_ROWS`; it is wrong about its own error with probability `risk`."""
        noise = MeanNoise(spectrum=baseline.spectrum, spread_error=baseline.spread_error, largest=math.sqrt(LARGEST_SQUARE))
        self._distance = MeanDistance(VectorTally.of(baseline).frequencies(), noise, independent_rows, risk, FLOOR)
        self.tolerance: Final = self._distance.tolerance
        """The distance between the baseline and the truth that is exceeded with probability `risk`."""
        self.floor: Final = self._distance.floor

    def result(self, news: News[VectorTally]) -> TestResult:
        """Return the distance, its p-value and its effect."""
        return self._distance.result(news.tally.frequencies(), news.tally.rows, remaining=news.remaining)

    def distance(self, tally: VectorTally) -> float:
        """Return the distance of the means."""
        return self._distance.distance(tally.frequencies())

    def size(self, tally: VectorTally) -> float:
        """Return the distance without the part that noise makes."""
        return self._distance.size(tally.frequencies(), tally.rows)

    def can_return(self, tally: VectorTally) -> bool:
        """Return whether the tally has rows enough to tell an effect at the floor from none."""
        return self._distance.can_return(tally.rows)

    def return_p_value(self, tally: VectorTally) -> float:
        """Return the p-value of "the effect is at the floor or above". As |φ| is 1, no direction varies more than 1 − |mean of φ|²."""
        mean = tally.frequencies()
        return self._distance.return_p_value(mean, tally.rows, max(0.0, 1 - float(mean @ mean)))
