"""Two proportions: the share of rows in which something is so, in a window against the baseline.

    p = 2 · min( P(X ≥ x | n, r⁺), P(X ≤ x | n, r⁻) ) ,   X binomial, x events in n rows

The baseline's rate lies between its Clopper–Pearson bounds r⁻ and r⁺, each passed with half the risk; a window is tested against the bound on its side, so that
the baseline's own error is allowed for. Binomials are exact where a z-test of two proportions is not: rates of almost none, and of almost all.
Source: Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial", Biometrika 26, 1934.
"""

from __future__ import annotations

from typing import Final

from scipy import special

from detectors.calibration import SMALLEST_P_VALUE


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

    def still_above_p_value(self, events: float, rows: float, floor: float) -> float:
        """Return the probability of so few events in a window whose rate is higher by `floor` or more."""
        return max(SMALLEST_P_VALUE, _at_most(events, rows, min(1.0, self.rate + floor)))

    def noise_square(self, events: float, rows: float) -> float:
        """Return the expected square of the difference when nothing has changed, both samples' noise in it."""
        pooled = (events + self.rate * self._rows) / (rows + self._rows)
        return pooled * (1 - pooled) * (1 / rows + 1 / self._rows)


def _at_least(events: float, rows: float, rate: float) -> float:
    """Return P(X ≥ events) for a binomial of `rows`, continued to fractions by the incomplete beta function."""
    return float(special.betainc(events, rows - events + 1, rate)) if events > 0 else 1.0


def _at_most(events: float, rows: float, rate: float) -> float:
    return float(special.betainc(rows - events, events + 1, 1 - rate)) if events < rows else 1.0
