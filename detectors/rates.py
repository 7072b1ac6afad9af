"""Rates of missing values, of levels never seen and of rare levels: exact binomial tests against what the baseline allows.

The baseline's rate lies between Clopper–Pearson bounds, each exceeded with half the risk; a window is tested against the bound on its
side, so that the baseline's own error is allowed for. A level that was never seen has the Good–Turing chance: the share of rows whose level was seen
once. Sources: Clopper and Pearson 1934; Good, "The population frequencies of species and the estimation of population parameters", 1953.
"""

from __future__ import annotations

from typing import Final

from scipy import special

from detectors.calibration import SMALLEST_P_VALUE, SMALLEST_ROWS
from detectors.effect import NOISE_BELOW_FLOOR, without_noise
from detectors.statistic import Effect
from detectors.tally import News, Tally
from records.verdict import TestResult


class CalibratedRate:
    """A rate with its bounds.

    >>> rate = CalibratedRate(events=0, rows=5000, risk=0.001)
    >>> rate.p_value(0, 1000), rate.p_value(20, 1000) < 1e-12
    (1.0, True)
    """

    floor: Final = 0.01
    """A difference that is worth an alert: one percentage point."""

    def __init__(self, events: float, rows: float, risk: float) -> None:
        """`events` of the baseline's `rows`; both may be fractional, divided by a design effect."""
        self.rate: Final = events / rows
        self._rows = rows
        self._lower = float(special.betaincinv(events, rows - events + 1, risk / 2)) if events else 0.0
        self._upper = float(special.betaincinv(events + 1, rows - events, 1 - risk / 2)) if events < rows else 1.0
        self.tolerance: Final = max(self._upper - self.rate, self.rate - self._lower)
        """The difference between the baseline's rate and the truth that is exceeded with probability `risk`."""

    def p_value(self, events: float, rows: float, remaining: float = 1.0) -> float:
        """Return the probability of so many or so few events, whichever is stranger, in a window whose rate is the baseline's, of whose error this part shows."""
        lower = self.rate - remaining * (self.rate - self._lower)
        return min(1.0, 2 * min(self.excess_p_value(events, rows, remaining), max(SMALLEST_P_VALUE, _at_most(events, rows, lower))))

    def excess_p_value(self, events: float, rows: float, remaining: float = 1.0) -> float:
        """Return the probability of so many events, likewise."""
        upper = self.rate + remaining * (self._upper - self.rate)
        return max(SMALLEST_P_VALUE, _at_least(events, rows, upper))

    def return_p_value(self, events: float, rows: float, floor: float) -> float:
        """Return the probability of a rate so near to the baseline's in a window whose rate differs by `floor` or more."""
        near = max(
            _at_most(events, rows, min(1.0, self.rate + floor)),
            _at_least(events, rows, self.rate - floor) if self.rate >= floor else 0.0,
        )
        return max(SMALLEST_P_VALUE, near)

    def noise_square(self, events: float, rows: float) -> float:
        """Return the expected square of the difference when nothing has changed, both samples' noise in it."""
        pooled = (events + self.rate * self._rows) / (rows + self._rows)
        return pooled * (1 - pooled) * (1 / rows + 1 / self._rows)


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

    def result(self, news: News) -> TestResult:
        events, rows = self._view(news.tally)
        if not rows:
            return TestResult(statistic=0.0, p_value=1.0, effect=0.0)
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
    """Rows without a usable value, of all rows."""

    name = "missing_rate"

    def _view(self, tally: Tally) -> tuple[float, float]:
        return tally.absent, tally.rows


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


def _at_least(events: float, rows: float, rate: float) -> float:
    """Return P(X ≥ events) for a binomial of `rows`, continued to fractions by the incomplete beta function."""
    return float(special.betainc(events, rows - events + 1, rate)) if events > 0 else 1.0


def _at_most(events: float, rows: float, rate: float) -> float:
    return float(special.betainc(rows - events, events + 1, 1 - rate)) if events < rows else 1.0
