"""One feature of one model over its windows: tests, evidence, and the effect since the change began."""

from __future__ import annotations

from typing import Final

import msgspec

from detectors.cycle import Season
from detectors.dependence import Dependence
from detectors.evidence import NO_EVIDENCE, accumulate, log_e_value, log_mean
from detectors.recovery import Return, ReturnState
from detectors.tally import News, Tally, TallyState
from detectors.univariate import univariate_tests
from detectors.wandering import Wandering, WanderingState
from records.baseline import FeatureBaseline
from records.verdict import TestResult

_POOLED_ROWS: Final = 5_000  # independent rows: the noise of an effect is then well below its floor


class FeatureState(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart must not forget of a feature."""

    log_evidence: dict[str, float]
    """ln M by test; none before the first window."""
    rising: float
    pool: TallyState | None
    returns: dict[str, ReturnState]
    wandering: WanderingState | None = None


class FeatureWatch:
    """Follows one feature from window to window.

    The effect is that of all rows since the evidence began to rise, as a cumulative sum of log e-values tells (Page 1954): so it is no
    accident of one window, and an effect that is truly below its floor stays there. Rows beyond some thousands are forgotten gradually.
    """

    def __init__(self, baseline: FeatureBaseline, rows: int, risk: float) -> None:
        """`rows` are the baseline's; each test is wrong about its error with probability `risk`."""
        self.name: Final = baseline.name
        self._tests = {test.name: test for test in univariate_tests(baseline, rows, risk)}
        self._dependence = Dependence(baseline.memories)
        self._pooled_rows = _POOLED_ROWS * self._dependence.design_effect(_POOLED_ROWS)
        counts = Tally.of_baseline(baseline, rows)
        self._season = Season(counts, Tally.of_slices(baseline)) if baseline.slices else None
        self._wandering = Wandering(counts, self._dependence)
        self.reset()

    def reset(self) -> None:
        """Forget all evidence."""
        self._log_evidence: dict[str, float] = {}
        self._rising = 0.0
        self._pool: Tally | None = None
        self._returns: dict[str, Return] = {}

    @property
    def log_evidence(self) -> float:
        """Ln M of this feature: the average of its tests' e-detectors."""
        return log_mean(list(self._log_evidence.values()) or [NO_EVIDENCE])

    @property
    def has_effect(self) -> bool:
        """Whether some effect since the evidence began to rise is at its floor or above."""
        return bool(self._effects())

    def without_cycle(self, tally: Tally, at_ns: int) -> Tally:
        """Return a window as it would be without the baseline's cycle; `at_ns` is the middle of its time."""
        return tally if self._season is None else self._season.without(tally, at_ns)

    def news(self, tally: Tally) -> News:
        """Return what is new in the next window."""
        return self._wandering.news(tally)

    def missing_steps(self, news: News) -> set[int]:
        """Return the sizes on the grid of window sizes that must be learned before the news is tested."""
        return {step for test in self._tests.values() if (step := test.missing_step(news.tally)) is not None}

    def learn(self, step: int) -> None:
        """Learn the null distributions for windows of this size."""
        for test in self._tests.values():
            test.learn(step)

    def update(self, tally: Tally, news: News, weight: float = 1.0) -> dict[str, TestResult]:
        """Test a window, which counts `weight`, by its news, and add to the evidence; return the results by test."""
        results = {name: test.result(news) for name, test in self._tests.items()}
        self._pool = tally if self._pool is None or self._rising == 0 else self._pool.scaled(min(1.0, self._pooled_rows / self._pool.rows)).plus(tally)
        if results:
            self._rising = max(0.0, self._rising + log_mean([log_e_value(result.p_value) for result in results.values()]))
        for name, result in results.items():
            self._log_evidence[name] = accumulate(self._log_evidence.get(name, NO_EVIDENCE), result.p_value, weight)
        for returning in self._returns.values():
            returning.update(tally)
        return results

    def await_return(self) -> None:
        """From the next window on, gather evidence that the effects of now return."""
        for name in self._effects():
            effect = self._tests[name].effect
            if effect is not None and name not in self._returns:
                self._returns[name] = Return(effect, self._dependence)

    def has_returned(self, log_threshold: float) -> bool:
        """Return whether each effect whose return is awaited is below its floor, by evidence."""
        return all(returning.log_evidence >= log_threshold for returning in self._returns.values())

    def _effects(self) -> list[str]:
        """Return the tests whose effect is at its floor or above."""
        if self._pool is None:
            return []
        pool = self._dependence.worth(self._pool)
        return [name for name, test in self._tests.items() if test.effect is not None and test.effect.size(pool) >= test.effect.floor]

    def snapshot(self) -> FeatureState:
        """Return what a restart must not forget."""
        return FeatureState(
            log_evidence=dict(self._log_evidence),
            rising=self._rising,
            pool=self._pool.state() if self._pool else None,
            returns={name: returning.snapshot() for name, returning in self._returns.items()},
            wandering=self._wandering.snapshot(),
        )

    def restore(self, state: FeatureState) -> None:
        """Go on from a snapshot of the same feature of the same baseline."""
        self._log_evidence = dict(state.log_evidence)
        self._rising = state.rising
        self._pool = Tally.restored(state.pool) if state.pool else None
        self._wandering.restore(state.wandering)
        self._returns = {}
        for name, returning in state.returns.items():
            effect = self._tests[name].effect
            assert effect is not None
            self._returns[name] = Return(effect, self._dependence, returning)
