"""What statistics, tests and effects are, whatever the feature.

A statistic is a function of frequencies in cells, so that it can be calibrated by throwing counts.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeVar

from detectors.arrays import Floats
from detectors.tally import News, Tally
from records.verdict import TestResult


class Spread(NamedTuple):
    """What one row adds to the noise of a norm, in the worst direction."""

    variance: float
    variance_error: float
    """The standard error of the variance as estimated from one row: it falls with the root of the rows."""
    largest: float
    """The largest absolute part of one row."""


class Metric(Protocol):
    """A distance of frequencies for which the triangle inequality holds."""

    @property
    def name(self) -> str:
        """What it is called in settings and verdicts."""
        ...

    @property
    def floor(self) -> float:
        """A distance that is worth an alert."""
        ...

    def __call__(self, window: Floats, baseline: Floats) -> Floats:
        """Return the distances of windows (… × cells) from a baseline (cells)."""
        ...

    def spread(self, frequencies: Floats) -> Spread:
        """Return the noise of one row drawn with these frequencies."""
        ...


class Divergence(Protocol):
    """About the square of a Euclidean distance between frequencies."""

    @property
    def name(self) -> str:
        """What it is called in settings and verdicts."""
        ...

    def __call__(self, window: Floats, baseline: Floats, rows: float, baseline_rows: float) -> Floats:
        """Return the divergences of windows (… × cells) from a baseline (cells)."""
        ...

    def norm(self, value: Floats, rows: float, baseline_rows: float) -> Floats:
        """Return the distance, in units that do not grow with the rows."""
        ...


class ShownDivergence(Divergence, Protocol):
    """A divergence that people read as an effect."""

    def effect(self, value: float, cells: int, rows: float, baseline_rows: float) -> float:
        """Return the effect of a divergence between so many cells, without what noise makes of it."""
        ...


TallyT_contra = TypeVar("TallyT_contra", contravariant=True)


class Effect(Protocol[TallyT_contra]):
    """The size of a change of one kind, and what to make of it. Tallies are of independent rows."""

    @property
    def floor(self) -> float:
        """The size that is worth an alert."""
        ...

    def size(self, tally: TallyT_contra) -> float:
        """Return the size that the tally shows."""
        ...

    def can_return(self, tally: TallyT_contra) -> bool:
        """Return whether the tally has rows enough to tell an effect at the floor from none."""
        ...

    def return_p_value(self, tally: TallyT_contra) -> float:
        """Return the p-value of "the effect is at the floor or above"."""
        ...


class UnivariateTest(Protocol):
    """One statistic of one feature."""

    name: str
    effect: Effect[Tally] | None
    """What may be worth an alert by this test's name; None where its effect is only shown, or is that of a metric that is measured in any case."""

    def missing_step(self, tally: Tally) -> int | None:
        """Return the size on the grid of window sizes that must be learned before this tally of independent rows is tested; None if there is none."""
        ...

    def learn(self, step: int) -> None:
        """Learn the null distribution for windows of this size."""
        ...

    def result(self, news: News[Tally]) -> TestResult:
        """Return the statistic, its p-value and its effect."""
        ...
