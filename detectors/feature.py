"""One feature of one model over its windows."""

from __future__ import annotations

from typing import Final

import msgspec

from detectors.cycle import Season
from detectors.dependence import Dependence
from detectors.tally import News, Tally
from detectors.univariate import Statistics, feature_tests
from detectors.wandering import Wandering, WanderingState
from detectors.watch import Watch, WatchState
from records.baseline import FeatureBaseline
from records.verdict import TestResult

POOLED_ROWS: Final = 5_000
"""Independent rows: the noise of an effect is then well below its floor."""


class FeatureState(WatchState, frozen=True, kw_only=True):
    """What a restart must not forget of a feature."""

    wandering: WanderingState | None = None


class FeatureWatch(Watch[Tally]):
    """Follows one feature from window to window."""

    def __init__(self, baseline: FeatureBaseline, rows: int, risk: float, statistics: Statistics) -> None:
        """`rows` are the baseline's; each test is wrong about its error with probability `risk`."""
        self.baseline: Final = baseline
        tests, effects = feature_tests(baseline, rows, risk, statistics)
        self._tests = {test.name: test for test in tests}
        dependence, counts = Dependence(baseline.memories), Tally.of_baseline(baseline, rows)
        self._season = Season.of(baseline, rows)
        self._wandering = Wandering(counts, dependence)
        super().__init__(baseline.name, self._tests, effects, dependence.worth, POOLED_ROWS * dependence.design_effect(POOLED_ROWS))

    def without_cycle(self, tally: Tally, at_ns: int) -> Tally:
        """Return a window as it would be without the baseline's cycle; `at_ns` is the middle of its time."""
        return self._season.without(tally, at_ns)

    def expected(self, at_ns: int) -> Tally:
        """Return what the baseline lets expect of a window; `at_ns` is the middle of its time."""
        return self._season.expected(at_ns)

    def news(self, tally: Tally) -> News[Tally]:
        """Return what is new in the next window."""
        return self._wandering.news(tally)

    def missing_steps(self, news: News[Tally]) -> set[int]:
        """Return the sizes on the grid of window sizes that must be learned before the news is tested."""
        return {step for test in self._tests.values() if (step := test.missing_step(news.tally)) is not None}

    def learn(self, step: int) -> None:
        """Learn the null distributions for windows of this size."""
        for test in self._tests.values():
            test.learn(step)

    def update(self, tally: Tally, news: News[Tally], weight: float = 1.0) -> dict[str, TestResult]:
        """Test a window, which counts `weight`, by its news, and add to the evidence; return the results by test."""
        results = {name: test.result(news) for name, test in self._tests.items()}
        self._gather(tally, results, weight)
        return results

    def snapshot(self) -> FeatureState:
        """Return what a restart must not forget."""
        return FeatureState(**msgspec.structs.asdict(self._evidence()), wandering=self._wandering.snapshot())

    def restore(self, state: FeatureState) -> None:
        """Go on from a snapshot of the same feature of the same baseline."""
        self._restore_evidence(state, Tally.restored)
        self._wandering.restore(state.wandering)
