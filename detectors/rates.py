"""Rates of what is wrong with values (missing, not finite, of another type, out of range, never seen) and of rare levels: which rows are events, and of how many.

Each is tested as `two_proportions` says. A level that was never seen has the Good–Turing chance: the share of rows whose level was seen once.
Of values outside the range of the baseline's n rows as many are expected as of a rate of 1/n, and their true rate is a Beta(2, n − 1): Wilks' tolerance interval.

    unseen ≈ n₁ / n ,   as noisy as n₁ + 2·n₂ events ,   out of range ≈ 1 / n

with n₁ levels that the baseline's n rows have once, n₂ that they have twice.
Sources: Wilks, "Determination of sample sizes for setting tolerance limits", Annals of Mathematical Statistics 12, 1941; Good, "The population frequencies of species and
the estimation of population parameters", Biometrika 40, 1953; Robbins, "Estimating the total probability of the unobserved outcomes of an experiment", Annals of
Mathematical Statistics 39, 1968.
"""

from __future__ import annotations

from typing import Final

from detectors.calibration import SMALLEST_ROWS
from detectors.effect import NOISE_BELOW_FLOOR, without_noise
from detectors.statistic import Effect
from detectors.tally import News, Tally
from detectors.two_proportions import CalibratedRate
from records.verdict import TestResult

_NOTHING: Final = TestResult(statistic=0.0, p_value=1.0, effect=0.0)


class _RateTest:
    """The share of rows in which something is so; its own effect."""

    name: str

    def __init__(self, events: float, rows: float, design_effect: float, risk: float, *, baseline_noise: float = 1.0) -> None:
        """`events` of the baseline's `rows`, whose variance is `baseline_noise` times that of as many independent ones."""
        self.effect: Effect[Tally] | None = self
        self._rate = CalibratedRate(events / design_effect / baseline_noise, rows / design_effect / baseline_noise, risk)
        self.floor = max(CalibratedRate.floor, self._rate.tolerance)

    def missing_step(self, tally: Tally) -> int | None:  # noqa: ARG002 - binomials need no draws
        return None

    def learn(self, step: int) -> None:
        """Binomials need no draws."""

    def result(self, news: News[Tally]) -> TestResult:
        events, rows = self._view(news.tally)
        if not rows or not (events or self._rate.rate):
            return _NOTHING
        return TestResult(statistic=events / rows, p_value=self._p_value(events, rows, news.remaining), effect=self.size(news.tally))

    def size(self, tally: Tally) -> float:
        events, rows = self._view(tally)
        return without_noise(events / rows - self._rate.rate, self._rate.noise_square(events, rows)) if rows else 0.0

    def can_return(self, tally: Tally) -> bool:
        events, rows = self._view(tally)
        return rows >= SMALLEST_ROWS and self.floor**2 >= NOISE_BELOW_FLOOR**2 * self._rate.noise_square(events, rows)

    def return_p_value(self, tally: Tally) -> float:
        return self._rate.return_p_value(*self._view(tally), self.floor)

    def _p_value(self, events: float, rows: float, remaining: float) -> float:
        return self._rate.p_value(events, rows, remaining)

    def _view(self, tally: Tally) -> tuple[float, float]:
        raise NotImplementedError


class MissingRateTest(_RateTest):
    """Rows in which there is nothing, of all rows."""

    name = "missing_rate"

    def _view(self, tally: Tally) -> tuple[float, float]:
        return tally.missing, tally.rows


class NonFiniteRateTest(_RateTest):
    """Rows whose number is infinite, or too large to square, of all rows."""

    name = "non_finite_rate"

    def _view(self, tally: Tally) -> tuple[float, float]:
        return tally.non_finite, tally.rows


class TypeChangeRateTest(_RateTest):
    """Rows with text in the place of a number, or a number in the place of text, of all rows."""

    name = "type_change_rate"

    def _view(self, tally: Tally) -> tuple[float, float]:
        return tally.type_changes, tally.rows


class OutOfRangeRateTest(_RateTest):
    """Values below the baseline's smallest or above its largest, of all values. There are no fewer than none."""

    name = "out_of_range_rate"

    def __init__(self, rows: float, design_effect: float, risk: float) -> None:
        """`rows` with a value has the baseline."""
        super().__init__(design_effect, rows, design_effect, risk)  # one event among independent rows

    def _p_value(self, events: float, rows: float, remaining: float) -> float:
        return self._rate.excess_p_value(events, rows, remaining)

    def _view(self, tally: Tally) -> tuple[float, float]:
        return tally.out_of_range, tally.present


class OtherRateTest(_RateTest):
    """Values other than the most frequent level, of all values."""

    name = "other_rate"

    def _view(self, tally: Tally) -> tuple[float, float]:
        return float(tally.counts[1:].sum()), tally.present


class UnseenRateTest(_RateTest):
    """Values that the baseline never saw, of all values. Fewer than expected is no news: the baseline was as blind to them."""

    name = "unseen_rate"

    def __init__(self, singletons: float, doubletons: float, rows: float, design_effect: float, risk: float) -> None:
        """The Good–Turing estimate errs with the variance of singletons + 2 · doubletons events (Robbins 1968)."""
        noise = 1 + 2 * doubletons / singletons if singletons else 1.0
        super().__init__(singletons, rows, design_effect, risk, baseline_noise=noise)

    def _p_value(self, events: float, rows: float, remaining: float) -> float:
        return self._rate.excess_p_value(events, rows, remaining)

    def _view(self, tally: Tally) -> tuple[float, float]:
        return tally.unseen, tally.present
