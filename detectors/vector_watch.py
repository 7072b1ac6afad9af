"""One feature whose value is a vector over its windows: one question, whether its distribution is still the same."""

from __future__ import annotations

import msgspec
import numpy as np

from detectors.calibration import SMALLEST_ROWS
from detectors.cycle import Season
from detectors.dependence import Dependence
from detectors.feature import POOLED_ROWS, FeatureState
from detectors.mmd import MmdTest
from detectors.random_features import FEATURES, VectorTally
from detectors.wandering import Wandering
from detectors.watch import Watch
from records.baseline import VectorBaseline
from records.verdict import TestResult


class VectorWatch(Watch[VectorTally]):
    """Follows one vector from window to window."""

    def __init__(self, baseline: VectorBaseline, risk: float) -> None:
        """The test is wrong about the baseline's error with probability `risk`."""
        dependence = Dependence(baseline.memories)
        thinnest = min(baseline.slice_rows, default=baseline.rows)
        independent = dependence.independent(baseline.rows) * thinnest / max(1, baseline.rows)  # a cycle is as good as its thinnest hour
        self._test = MmdTest(baseline, independent, risk) if independent >= SMALLEST_ROWS else None
        usual = VectorTally.of(baseline)
        self._season = Season(usual, _hours(baseline))
        self._wandering = Wandering(usual, dependence)
        effects = {self._test.name: self._test} if self._test else {}
        super().__init__(baseline.name, set(effects), effects, dependence.worth, POOLED_ROWS * dependence.design_effect(POOLED_ROWS))

    def update(self, tally: VectorTally, at_ns: int, weight: float = 1.0) -> dict[str, TestResult]:
        """Test a window, which counts `weight` and whose time is about `at_ns`, and add to the evidence; return the result by test."""
        if self._test is None or not tally.rows:
            return {}
        tally = self._season.without(tally, at_ns)
        results = {self._test.name: self._test.result(self._wandering.news(tally))}
        self._gather(tally, results, weight)
        return results

    def describe(self, tally: VectorTally) -> str:
        """Return how far the window is from the baseline, for example `distribution moved by 0.12 (MMD)`."""
        return f"distribution moved by {self._test.size(tally):.2g} (MMD)" if self._test and tally.rows else "no vectors"

    def snapshot(self) -> FeatureState:
        """Return what a restart must not forget."""
        return FeatureState(**msgspec.structs.asdict(self._evidence()), wandering=self._wandering.snapshot())

    def restore(self, state: FeatureState | None) -> None:
        """Go on from a snapshot of the same vector of the same baseline; anew where there is none."""
        self.reset()
        if state is not None:
            self._restore_evidence(state, VectorTally.restored)
        self._wandering.restore(state.wandering if state else None)


def _hours(baseline: VectorBaseline) -> list[VectorTally]:
    """Return the baseline's rows by hour of the cycle."""
    means = np.frombuffer(baseline.slice_means, dtype="<f4").reshape(-1, FEATURES).astype(np.float64)
    return [VectorTally.from_frequencies(mean, rows) for mean, rows in zip(means, baseline.slice_rows, strict=True)]
