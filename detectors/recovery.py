"""Evidence that the traffic has returned: the reversed hypothesis, rejected by the same rule.

A large p-value of the forward tests is no evidence of return. So each effect that raised the alert is tested for being at its floor or above still,
on blocks of rows large enough to tell, and an e-detector of its own accumulates the p-values. All of them must pass the threshold: "some effect is
still there" is false only if each of them is.
"""

from __future__ import annotations

import msgspec

from detectors.dependence import Dependence
from detectors.evidence import NO_EVIDENCE, accumulate
from detectors.statistic import Effect
from detectors.tally import Tally, TallyState


class ReturnState(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart must not forget of the evidence of one effect's return."""

    log_evidence: float = NO_EVIDENCE
    """ln M of this e-detector."""
    block: TallyState | None = None
    """The rows since the last test."""


class Return:
    """Evidence that one effect has fallen below its floor."""

    def __init__(self, effect: Effect, dependence: Dependence, state: ReturnState | None = None) -> None:
        state = state or ReturnState()
        self._effect = effect
        self._dependence = dependence
        self.log_evidence = state.log_evidence
        """ln M of this e-detector."""
        self._block = Tally.restored(state.block) if state.block else None

    def update(self, tally: Tally) -> None:
        """Add a window; test when there are rows enough."""
        block = self._block.plus(tally) if self._block else tally
        if self._effect.can_return(independent := self._dependence.worth(block)):
            self.log_evidence = accumulate(self.log_evidence, self._effect.return_p_value(independent))
            self._block = None
        else:
            self._block = block

    def snapshot(self) -> ReturnState:
        """Return what a restart must not forget."""
        return ReturnState(log_evidence=self.log_evidence, block=self._block.state() if self._block else None)
