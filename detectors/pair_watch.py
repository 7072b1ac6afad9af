"""All correlations of one model over its windows: two questions, asked of the pair that changed most and of all of them together."""

from __future__ import annotations

from itertools import combinations
from typing import Final

import numpy as np

from detectors.correlation import AllCorrelationsTest, CorrelationTest
from detectors.feature import POOLED_ROWS
from detectors.pairs import PairTally
from detectors.watch import Watch, WatchState
from records.baseline import PairBaseline
from records.verdict import TestResult

NAME: Final = "(correlations)"
"""In verdicts, where others have a feature's name."""

_NAMED_PAIRS: Final = 3


class PairWatch(Watch[PairTally]):
    """Follows the correlations from window to window. The noise of a correlation over dependent rows is in its baseline."""

    def __init__(self, baseline: PairBaseline, rows: int, risk: float) -> None:
        """`rows` are the baseline's; each test is wrong about its error with probability `risk`."""
        self._largest = CorrelationTest(baseline, rows, risk)
        self._tests: dict[str, CorrelationTest | AllCorrelationsTest] = {self._largest.name: self._largest}
        if baseline.together is not None and len(baseline.correlations) > 1:
            self._tests[AllCorrelationsTest.name] = AllCorrelationsTest(baseline, baseline.together, rows, risk)
        self._baseline = baseline
        super().__init__(NAME, self._tests, self._tests, lambda tally: tally, POOLED_ROWS)

    def update(self, tally: PairTally, weight: float = 1.0) -> dict[str, TestResult]:
        """Test a window, which counts `weight`, and add to the evidence; return the results by test."""
        results = {name: test.result(tally) for name, test in self._tests.items()}
        self._gather(tally, results, weight)
        return results

    def describe(self, tally: PairTally) -> str:
        """Return the pairs that changed most, for example `age with income 0.31 → 0.62`."""
        pairs, now, changes = list(combinations(self._baseline.features, 2)), tally.correlations, self._largest.changes(tally)
        most = [index for index in np.argsort(-changes)[:_NAMED_PAIRS].tolist() if changes[index] > changes.max() / 2]
        return ", ".join(f"{pairs[index][0]} with {pairs[index][1]} {self._baseline.correlations[index]:.2f} → {now[index]:.2f}" for index in most)

    def snapshot(self) -> WatchState:
        """Return what a restart must not forget."""
        return self._evidence()

    def restore(self, state: WatchState | None) -> None:
        """Go on from a snapshot of the same baseline; anew where there is none."""
        self.reset()
        if state is not None:
            self._restore_evidence(state, PairTally.restored)
