"""All correlations of one model over its windows: one question, asked of the pair that changed most."""

from __future__ import annotations

from itertools import combinations
from typing import Final

import msgspec
import numpy as np

from detectors.correlation import CorrelationTest
from detectors.feature import POOLED_ROWS
from detectors.pairs import PairTally, PairTallyState
from detectors.recovery import Return, ReturnState
from detectors.watch import Watch
from records.baseline import PairBaseline
from records.verdict import TestResult

NAME: Final = "(correlations)"
"""In verdicts, where others have a feature's name."""

_NAMED_PAIRS: Final = 3


class PairState(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart must not forget of the correlations."""

    log_evidence: dict[str, float]
    rising: float
    pool: PairTallyState | None
    returns: dict[str, ReturnState]


class PairWatch(Watch[PairTally]):
    """Follows the correlations from window to window. The noise of a correlation over dependent rows is in its baseline."""

    def __init__(self, baseline: PairBaseline, rows: int, risk: float) -> None:
        """`rows` are the baseline's; the test is wrong about its error with probability `risk`."""
        self._test = CorrelationTest(baseline, rows, risk)
        self._baseline = baseline
        super().__init__(NAME, {self._test.name: self._test}, lambda tally: tally, POOLED_ROWS)

    def update(self, tally: PairTally, weight: float = 1.0) -> dict[str, TestResult]:
        """Test a window, which counts `weight`, and add to the evidence; return the result by test."""
        results = {self._test.name: self._test.result(tally)}
        self._gather(tally, results, weight)
        return results

    def describe(self, tally: PairTally) -> str:
        """Return the pairs that changed most, for example `age with income 0.31 → 0.62`."""
        pairs, now, changes = list(combinations(self._baseline.features, 2)), tally.correlations(), self._test.changes(tally)
        most = [index for index in np.argsort(-changes)[:_NAMED_PAIRS].tolist() if changes[index] > changes.max() / 2]
        return ", ".join(f"{pairs[index][0]} with {pairs[index][1]} {self._baseline.correlations[index]:.2f} → {now[index]:.2f}" for index in most)

    def snapshot(self) -> PairState:
        """Return what a restart must not forget."""
        return PairState(
            log_evidence=dict(self._log_evidence),
            rising=self._rising,
            pool=self._pool.state() if self._pool else None,
            returns={name: returning.snapshot() for name, returning in self._returns.items()},
        )

    def restore(self, state: PairState | None) -> None:
        """Go on from a snapshot of the same baseline; anew where there is none."""
        self.reset()
        if state is None:
            return
        self._log_evidence = dict(state.log_evidence)
        self._rising = state.rising
        self._pool = PairTally.restored(state.pool) if state.pool else None
        self._returns = {name: self._returning(returning) for name, returning in state.returns.items()}

    def _returning(self, state: ReturnState) -> Return[PairTally]:
        block = PairTally.restored(state.block) if isinstance(state.block, PairTallyState) else None
        return Return(self._test, self._worth, state.log_evidence, block)
