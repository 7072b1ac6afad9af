"""Does a shadow answer otherwise than what is served? Windows of pairs in, a verdict and a comparison per window out.

    served reply, shadow's reply → pair → agrees, or differs → bets on a share above the tolerance → e-detector → evidence against the budget → alert, or not

A pair that differs is a loss of 1, so `rise` has the evidence, however often one looks. Neighbouring pairs may be alike: the same question asked again, one odd
user. How alike the last thousands of pairs were, this window's among them, says how many independent ones each is worth.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from detectors.arrays import Floats
from detectors.dependence import Dependence, memories_of_losses
from detectors.pairing import Pair
from detectors.rise import Pool, RiseDetector, RiseState, Span
from detectors.shadow_window import ShadowWindow
from records.comparison import ClassPair, PairOutcome, ShadowComparison
from records.times import format_time
from records.verdict import DriftState, FeatureVerdict, TestResult, Verdict, VerdictKind

NAME: Final = "answers"
"""What verdicts call them, where they name features."""

_REMEMBERED: Final = 5_000  # pairs
_CLASSES_NAMED: Final = 3


class ShadowState(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart must not forget. The pairs of a window that has not closed are forgotten."""

    model: str
    shadow: str
    tolerance: float
    rise: RiseState = RiseState()
    remembered: bytes = b""
    """Of each of the last compared pairs 1 where it differs, else 0: a bit each, the last of them filled up with 0."""
    pairs: int = 0
    """In `remembered`."""


class ShadowDetector:
    """Watches one model's answers beside one shadow's.

    >>> from detectors.pairing import Reply
    >>> from records.payload import Decoded, Tensor
    >>> def said(label): return Reply("", Decoded("v2", [Tensor("label", "INT64", (1,), [label])]), 0.01, True, False)
    >>> detector = ShadowDetector("fraud", "candidate", threshold=4_320.0, tolerance=0.005)
    >>> for number in range(1_000):
    ...     _ = detector.add(Pair(number.to_bytes(16, "big"), said(0), said(int(number % 20 == 0))), number)
    >>> comparison, verdict = detector.close(1_000, "3")
    >>> verdict.alert, verdict.features[0].summary
    (True, '5.0% of 1,000 answers differ since 1970-01-01T00:00:00.000Z, 0.5% may: label 0 → 1 (50 rows)')
    """

    def __init__(self, model: str, shadow: str, *, threshold: float, tolerance: float, window_seconds: float | None = None) -> None:
        """`threshold` is the evidence at which an alert may be raised, `tolerance` the share of answers that may differ.

        With `window_seconds` the budget counts time, as `RiseDetector` has it.
        """
        self.model: Final = model
        self.shadow: Final = shadow
        self.tolerance: Final = tolerance
        self._rise = RiseDetector(threshold=threshold, reference=tolerance, upper=tolerance, tolerance=0.0, window_seconds=window_seconds)
        self._remembered: Floats = np.zeros(0)
        self._open()

    def _open(self) -> None:
        self._window = ShadowWindow()
        self._opened_at_ns = 0

    @property
    def compared(self) -> int:
        """Pairs in the open window that were compared."""
        return len(self._window.losses)

    @property
    def pairs(self) -> int:
        """Pairs in the open window."""
        return self._window.outcomes.total()

    @property
    def opened_at_ns(self) -> int:
        """When the first pair of the open window was complete; 0 while there is none."""
        return self._opened_at_ns

    @property
    def windows(self) -> int:
        """Windows tested so far."""
        return self._rise.state.index

    @property
    def firing(self) -> bool:
        """Whether the alert fires."""
        return self._rise.state.firing

    @property
    def threshold(self) -> float:
        """The evidence at which an alert may be raised."""
        return self._rise.threshold

    @property
    def state(self) -> ShadowState:
        """What a restart must not forget."""
        bits = np.packbits(self._remembered.astype(np.uint8)).tobytes()
        return ShadowState(model=self.model, shadow=self.shadow, tolerance=self.tolerance, rise=self._rise.state, remembered=bits, pairs=len(self._remembered))

    def restore(self, state: ShadowState) -> None:
        """Go on from the state of a detector with the same tolerance; another one asks another question, and begins anew."""
        if state.tolerance == self.tolerance:
            self._rise.state = state.rise
            self._remembered = np.unpackbits(np.frombuffer(state.remembered, dtype=np.uint8), count=state.pairs).astype(np.float64)

    def set_threshold(self, threshold: float) -> None:
        """Set the evidence at which an alert may be raised: it grows with the number of detectors that share the budget."""
        self._rise.threshold = threshold

    def add(self, pair: Pair, now_ns: int) -> PairOutcome:
        """Take a pair that is complete now, in Unix nanoseconds."""
        self._opened_at_ns = self._opened_at_ns or now_ns
        return self._window.add(pair)

    def close(self, now_ns: int, version: str) -> tuple[ShadowComparison, Verdict]:
        """Close the window: return what differs in it, and what the evidence is with it. `version` is what was served."""
        losses = np.frombuffer(bytes(self._window.losses), dtype=np.uint8).astype(np.float64)
        self._remembered = np.concatenate([self._remembered, losses])[-_REMEMBERED:]
        opened_at_ns = self._opened_at_ns or now_ns
        result = self._rise.test(losses, Span(opened_at_ns, now_ns, opened_at_ns, now_ns), Dependence(memories_of_losses(self._remembered)).worth_of_a_row)
        window = self._window
        comparison = ShadowComparison(
            model=self.model,
            version=version,
            shadow=self.shadow,
            index=result.window,
            opened_at_ns=opened_at_ns,
            closed_at_ns=now_ns,
            outcomes={outcome: window.outcomes[outcome] for outcome in PairOutcome if window.outcomes[outcome]},
            served_failed=window.served_failed,
            shadow_failed=window.shadow_failed,
            served_seconds=window.served_seconds,
            shadow_seconds=window.shadow_seconds,
            classes=window.classes(),
            scores=window.scores(),
            disagreements=window.disagreements(),
        )
        self._open()
        answers = FeatureVerdict(
            feature=NAME,
            tests={"disagreement": TestResult(statistic=float(losses.mean()) if len(losses) else 0.0, p_value=result.p_value, effect=result.effect)},
            log_evidence=result.log_evidence,
            share=1.0 if result.effect_above_floor else 0.0,
            effect_above_floor=result.effect_above_floor,
            summary=describe(result.pool, comparison, self.tolerance),
        )
        verdict = Verdict(
            kind=VerdictKind.SHADOW,
            model=self.model,
            version=version,
            baseline_id=f"shadow {self.shadow}",
            shadow=self.shadow,
            index=result.window,
            opened_at_ns=opened_at_ns,
            closed_at_ns=now_ns,
            rows=len(losses),
            state=DriftState.FIRING if result.firing else DriftState.OK,
            alert=result.alert,
            resolved=result.resolved,
            evidence=result.evidence,
            threshold=self._rise.threshold,
            compared_with="what is served",
            features=(answers,),
        )
        return comparison, verdict


def describe(pool: Pool | None, comparison: ShadowComparison, tolerance: float) -> str:
    """Return in words how many answers differ, and how most of them do."""
    if pool is None:
        return "no answers to compare"
    text = f"{pool.mean:.1%} of {pool.rows:,.0f} answers differ since {format_time(pool.since_ns)}, {100 * tolerance:.3g}% may"
    differing = [each for each in comparison.classes if each.served != each.shadow]
    ways = [*map(_way, differing[:_CLASSES_NAMED])] or [each.text for each in comparison.disagreements[:1]]
    return f"{text}: {'; '.join(ways)}" if ways else text


def _way(classes: ClassPair) -> str:
    return f"{classes.output} {classes.served} → {classes.shadow} ({classes.rows:,} rows)"
