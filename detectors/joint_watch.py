"""All numbers of one model over its windows: two questions, whether they have moved and whether they spread otherwise, asked of all at once."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Final

import msgspec
import numpy as np

from detectors.arrays import Floats
from detectors.calibration import SMALLEST_ROWS
from detectors.dependence import Dependence
from detectors.feature import POOLED_ROWS, FeatureState
from detectors.joint import JointScores, features_of, joint_tests
from detectors.random_features import VectorTally
from detectors.tally import Tally
from detectors.wandering import Wandering
from detectors.watch import Watch
from records.baseline import Baseline, JointBaseline
from records.verdict import TestResult

NAME: Final = "(all numbers)"
"""In verdicts, where others have a feature's name."""

_NAMED_FEATURES: Final = 3


class JointWatch(Watch[VectorTally]):
    """Follows all numbers from window to window."""

    def __init__(self, joint: JointBaseline, baseline: Baseline, risk: float) -> None:
        """Each test is wrong about the baseline's error with probability `risk`."""
        features = features_of(joint, baseline)
        self._joint = joint
        self._scores = JointScores(features)
        self._usual = self._scores.tally({feature.name: Tally.of_baseline(feature, baseline.rows) for feature in features}, baseline.rows)
        dependence = Dependence(joint.memories)
        thinnest = min((sum(each.counts) + each.absent for each in features[0].slices), default=baseline.rows)  # a cycle is as good as its thinnest hour
        independent = dependence.independent(baseline.rows) * thinnest / baseline.rows
        tests = joint_tests(joint, self._usual, independent, risk) if independent >= SMALLEST_ROWS else []
        self._tests = {test.name: test for test in tests}
        self._wandering = Wandering(self._usual, dependence)
        super().__init__(NAME, self._tests, self._tests, dependence.worth, POOLED_ROWS * dependence.design_effect(POOLED_ROWS))

    def tally(self, tallies: Mapping[str, Tally], rows: float) -> VectorTally:
        """Return what a window of so many rows says of all numbers, from what it says of each, without its cycle."""
        return self._scores.tally(tallies, rows)

    def update(self, tally: VectorTally, weight: float = 1.0) -> dict[str, TestResult]:
        """Test a window, which counts `weight`, and add to the evidence; return the results by test."""
        news = self._wandering.news(tally)
        results = {name: test.result(news) for name, test in self._tests.items()}
        self._gather(tally, results, weight)
        return results

    def describe(self, tally: VectorTally) -> str:
        """Return how far all have moved and which most, for example `means moved by 0.12 sd (age +0.21, income -0.2), spreads by 0.04 sd (age +0.09)`."""
        moved, spread = np.split(tally.frequencies() - self._usual.frequencies(), 2)
        return f"means moved by {_root_mean_square(moved):.2g} sd ({self._most(moved)}), spreads by {_root_mean_square(spread):.2g} sd ({self._most(spread)})"

    def has_effect_without(self, features: Container[str]) -> bool:
        """Return whether some effect is at its floor or above among the other features."""
        others = np.array([name not in features for name in self._joint.features])
        if self._pool is None or not others.any():
            return False
        usual = self._usual.frequencies()
        as_if_all = np.tile(others / np.sqrt(others.mean()), 2)  # did what these do
        means = usual + (self._pool.frequencies() - usual) * as_if_all
        return bool(self._effects_of(VectorTally.from_frequencies(means, self._pool.rows)))

    def _most(self, changes: Floats) -> str:
        """Return the features that changed most, the largest first."""
        return ", ".join(f"{self._joint.features[index]} {changes[index]:+.2g}" for index in np.argsort(-np.abs(changes))[:_NAMED_FEATURES].tolist())

    def snapshot(self) -> FeatureState:
        """Return what a restart must not forget."""
        return FeatureState(**msgspec.structs.asdict(self._evidence()), wandering=self._wandering.snapshot())

    def restore(self, state: FeatureState | None) -> None:
        """Go on from a snapshot of the same baseline; anew where there is none."""
        self.reset()
        if state is not None:
            self._restore_evidence(state, VectorTally.restored)
        self._wandering.restore(state.wandering if state else None)


def _root_mean_square(changes: Floats) -> float:
    return float(np.sqrt((changes**2).mean()))
