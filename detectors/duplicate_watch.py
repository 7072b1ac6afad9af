"""The duplicates of one model over its windows: one question, whether they are more than usual."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from detectors.duplicates import DuplicateTally, fewest_duplicates
from detectors.effect import NOISE_BELOW_FLOOR, without_noise
from detectors.feature import POOLED_ROWS
from detectors.two_proportions import CalibratedRate
from detectors.watch import Watch, WatchState
from records.baseline import DuplicateBaseline
from records.verdict import TestResult
from records.window import DuplicateSummary

NAME: Final = "(duplicates)"
"""In verdicts, where others have a feature's name."""


class DuplicateRateTest:
    """The share of duplicates, its p-value and its effect."""

    name: Final = "duplicate_rate"

    def __init__(self, baseline: DuplicateBaseline, rows: int, risk: float) -> None:
        """`rows` are the baseline's; it is wrong about its own error with probability `risk`."""
        self._baseline = baseline
        self._rows = rows / baseline.noise
        self._risk = risk
        self._rates: dict[float, CalibratedRate] = {}
        self.floor = max(CalibratedRate.floor, self._rate(baseline.shares[-1]).tolerance)

    def tally(self, summary: DuplicateSummary, rows: int) -> DuplicateTally:
        """Return the counts of a window of so many rows."""
        return DuplicateTally(fewest_duplicates(summary, rows), rows, self.usual_share(rows) * rows)

    def usual_share(self, rows: float) -> float:
        """Return the share of duplicates among so many rows of the baseline, or a few more."""
        found = next((share for length, share in zip(self._baseline.lengths, self._baseline.shares, strict=True) if length >= rows), None)
        return min(1.0, self._baseline.shares[-1] * rows / self._baseline.lengths[-1]) if found is None else found

    def result(self, tally: DuplicateTally) -> TestResult:
        """Return the share of duplicates in a window, its p-value and its effect."""
        p_value = self._rate(tally.usual / tally.rows).excess_p_value(*self._independent(tally)) if tally.events > tally.usual else 1.0
        return TestResult(statistic=tally.events / tally.rows, p_value=p_value, effect=self.size(tally))

    def size(self, tally: DuplicateTally) -> float:
        """Return by how much the share is larger than usual, without the part that noise makes."""
        more = (tally.events - tally.usual) / tally.rows
        return without_noise(more, self._noise_square(tally)) if more > 0 else 0.0

    def can_return(self, tally: DuplicateTally) -> bool:
        """Return whether the tally has rows enough to tell an effect at the floor from none."""
        return self.floor**2 >= NOISE_BELOW_FLOOR**2 * self._noise_square(tally)

    def return_p_value(self, tally: DuplicateTally) -> float:
        """Return the p-value of "the effect is at the floor or above"."""
        return self._rate(tally.usual / tally.rows).still_above_p_value(*self._independent(tally), self.floor)

    def _noise_square(self, tally: DuplicateTally) -> float:
        return self._rate(tally.usual / tally.rows).noise_square(*self._independent(tally))

    def _independent(self, tally: DuplicateTally) -> tuple[float, float]:
        return tally.events / self._baseline.noise, tally.rows / self._baseline.noise

    def _rate(self, share: float) -> CalibratedRate:
        rate = self._rates.get(share)
        if rate is None:
            if len(self._rates) > len(self._baseline.lengths):  # pools have shares of their own
                self._rates.clear()
            rate = self._rates[share] = CalibratedRate(share * self._rows, self._rows, self._risk)
        return rate


class DuplicateWatch(Watch[DuplicateTally]):
    """Follows the duplicates from window to window."""

    def __init__(self, baseline: DuplicateBaseline, rows: int, risk: float) -> None:
        """`rows` are the baseline's; the test is wrong about its error with probability `risk`."""
        self._test = DuplicateRateTest(baseline, rows, risk)
        super().__init__(NAME, {self._test.name}, {self._test.name: self._test}, lambda tally: tally, POOLED_ROWS * baseline.noise)

    def update(self, summary: DuplicateSummary, rows: int, weight: float = 1.0) -> dict[str, TestResult]:
        """Test a window of so many rows, which counts `weight`, and add to the evidence; return the result by test."""
        tally = self._test.tally(summary, rows)
        results = {self._test.name: self._test.result(tally)}
        self._gather(tally, results, weight)
        return results

    def describe(self, results: Mapping[str, TestResult], rows: int) -> str:
        """Return, for example, `rows that equal an earlier one 0.1% → 7.5%`."""
        return f"rows that equal an earlier one {self._test.usual_share(rows):.1%} → {results[self._test.name].statistic:.1%}"

    def snapshot(self) -> WatchState:
        """Return what a restart must not forget."""
        return self._evidence()

    def restore(self, state: WatchState | None) -> None:
        """Go on from a snapshot of the same baseline; anew where there is none."""
        self.reset()
        if state is not None:
            self._restore_evidence(state, DuplicateTally.restored)
