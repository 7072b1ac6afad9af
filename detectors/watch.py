"""What follows one question from window to window: the evidence of its tests, and the effect since the change began.

The effect is that of all rows since the evidence began to rise, as a cumulative sum of log e-values tells: so it is no accident of one
window, and an effect that is truly below its floor stays there. Rows beyond some thousands are forgotten gradually.

    S ← max(0, S + ln(mean over the tests of e)) ,   rows are pooled while S > 0

Source: Page, "Continuous inspection schemes", Biometrika 41, 1954.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any, Final, Generic

import msgspec

from detectors.duplicates import DuplicateTallyState
from detectors.evidence import NO_EVIDENCE, accumulate, log_e_value, log_mean
from detectors.pairs import PairTallyState
from detectors.random_features import VectorTallyState
from detectors.recovery import Return, ReturnState, TallyT
from detectors.statistic import Effect
from detectors.tally import TallyState
from records.verdict import TestResult


class WatchState(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart must not forget of the evidence."""

    log_evidence: dict[str, float]
    """ln M by test; none before the first window."""
    rising: float
    pool: TallyState | PairTallyState | VectorTallyState | DuplicateTallyState | None
    returns: dict[str, ReturnState]


class Watch(Generic[TallyT]):
    """The evidence of some tests of one thing."""

    def __init__(self, name: str, tests: Container[str], effects: Mapping[str, Effect[TallyT]], worth: Callable[[TallyT], TallyT], pooled_rows: float) -> None:
        """`tests` are the names of those that give evidence; `effects` are those that may be worth an alert, by name; `worth` makes independent rows of rows; an effect is of `pooled_rows` at most."""
        self.name: Final = name
        self._test_names = tests
        self._effects_by_name = effects
        self._worth = worth
        self._pooled_rows = pooled_rows
        self.reset()

    def reset(self) -> None:
        """Forget all evidence."""
        self._log_evidence: dict[str, float] = {}
        self._rising = 0.0
        self._pool: TallyT | None = None
        self._returns: dict[str, Return[TallyT]] = {}

    @property
    def log_evidence(self) -> float:
        """Ln M: the average of the tests' e-detectors."""
        return log_mean(list(self._log_evidence.values()) or [NO_EVIDENCE])

    @property
    def has_effect(self) -> bool:
        """Whether some effect since the evidence began to rise is at its floor or above."""
        return bool(self._effects())

    def await_return(self) -> None:
        """From the next window on, gather evidence that the effects of now return."""
        for name in self._effects():
            self._returns.setdefault(name, Return(self._effects_by_name[name], self._worth))

    def has_returned(self, log_threshold: float) -> bool:
        """Return whether each effect whose return is awaited is below its floor, by evidence."""
        return all(returning.log_evidence >= log_threshold for returning in self._returns.values())

    def _evidence(self) -> WatchState:
        """Return what a restart must not forget."""
        return WatchState(
            log_evidence=dict(self._log_evidence),
            rising=self._rising,
            pool=self._pool.state() if self._pool else None,
            returns={name: returning.snapshot() for name, returning in self._returns.items()},
        )

    def _restore_evidence(self, state: WatchState, restored: Callable[[Any], TallyT]) -> None:
        """Go on from a snapshot; `restored` reads what was written down of some rows."""
        self._log_evidence = {name: each for name, each in state.log_evidence.items() if name in self._test_names}  # settings may choose others since
        self._rising = state.rising
        self._pool = restored(state.pool) if state.pool else None
        self._returns = {
            name: Return(self._effects_by_name[name], self._worth, each.log_evidence, restored(each.block) if each.block else None)
            for name, each in state.returns.items()
            if name in self._effects_by_name
        }

    def _gather(self, tally: TallyT, results: Mapping[str, TestResult], weight: float) -> None:
        """Add a window's results by test, which count `weight`, to the evidence, and its rows to those of the effect."""
        self._pool = tally if self._pool is None or self._rising == 0 else self._pool.scaled(min(1.0, self._pooled_rows / self._pool.rows)).plus(tally)
        if results:
            self._rising = max(0.0, self._rising + log_mean([log_e_value(result.p_value) for result in results.values()]))
        for name, result in results.items():
            self._log_evidence[name] = accumulate(self._log_evidence.get(name, NO_EVIDENCE), result.p_value, weight)
        for returning in self._returns.values():
            returning.update(tally)

    def _effects(self) -> list[str]:
        """Return the names of the effects that are at their floor or above."""
        return [] if self._pool is None else self._effects_of(self._pool)

    def _effects_of(self, tally: TallyT) -> list[str]:
        """Return the names of the effects that rows like these show."""
        pool = self._worth(tally)
        return [name for name, effect in self._effects_by_name.items() if effect.size(pool) >= effect.floor]
