"""Evidence that the traffic has returned: the reversed hypothesis, rejected by the same rule.

A large p-value of the forward tests is no evidence of return. So each effect that raised the alert is tested for being at its floor or above still,
on blocks of rows large enough to tell, and an e-detector of its own accumulates the p-values:

    p = P(distance ≤ d | effect = floor) ,   M ← (M + 1)·e(p) ,   returned when min over the effects of M ≥ c

All of them must pass the threshold c: "some effect is still there" is false only if each of them is.
Sources: Berger, "Multiparameter hypothesis testing and acceptance sampling", Technometrics 24, 1982 (all must be rejected); Schuirmann 1987 (equivalence as what is tested for).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, Self, TypeVar

import msgspec

from detectors.duplicates import DuplicateTallyState
from detectors.evidence import NO_EVIDENCE, accumulate
from detectors.pairs import PairTallyState
from detectors.random_features import VectorTallyState
from detectors.statistic import Effect
from detectors.tally import TallyState


class ReturnState(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart must not forget of the evidence of one effect's return."""

    log_evidence: float = NO_EVIDENCE
    """ln M of this e-detector."""
    block: TallyState | PairTallyState | VectorTallyState | DuplicateTallyState | None = None
    """The rows since the last test."""


class Additive(Protocol):
    """What is known of some rows."""

    @property
    def rows(self) -> float:
        """How many they are."""
        ...

    def plus(self, other: Self) -> Self:
        """Return what is known of both."""
        ...

    def scaled(self, factor: float) -> Self:
        """Return what would be known of this many times the rows."""
        ...

    def state(self) -> Any:
        """Return what to write down."""
        ...


TallyT = TypeVar("TallyT", bound=Additive)


class Return(Generic[TallyT]):
    """Evidence that one effect has fallen below its floor."""

    def __init__(self, effect: Effect[TallyT], worth: Callable[[TallyT], TallyT], log_evidence: float = NO_EVIDENCE, block: TallyT | None = None) -> None:
        """`worth` makes independent rows of rows; the others are what a snapshot had."""
        self._effect = effect
        self._worth = worth
        self.log_evidence = log_evidence
        """ln M of this e-detector."""
        self._block = block

    def update(self, tally: TallyT) -> None:
        """Add a window; test when there are rows enough."""
        block = self._block.plus(tally) if self._block is not None else tally
        if self._effect.can_return(independent := self._worth(block)):
            self.log_evidence = accumulate(self.log_evidence, self._effect.return_p_value(independent))
            self._block = None
        else:
            self._block = block

    def snapshot(self) -> ReturnState:
        """Return what a restart must not forget."""
        return ReturnState(log_evidence=self.log_evidence, block=None if self._block is None else self._block.state())
