"""Has the mean of losses between 0 and 1 risen above a bound? Windows of losses in, evidence out.

Each window is bet on as `betting` says; a Shiryaev–Roberts e-detector for each share of the capital adds the bets up as in `evidence`, and the average over the
shares is one too. No distribution is assumed, and no fewest rows: one loss is a bet, too. While an alert fires, bets on a fall are evidence of return.

Sources: Waudby-Smith and Ramdas 2024 (`betting`); Shin, Ramdas and Rinaldo 2023 (`evidence`).
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import msgspec

from detectors.arrays import Floats
from detectors.betting import SHARES, log_capitals, log_capitals_of_fall
from detectors.evidence import NO_EVIDENCE, log_add, log_mean
from detectors.feature import POOLED_ROWS

_LARGEST_EVIDENCE: Final = 1e15
_LEAST_WEIGHT: Final = 1e-6
_MOST_BOUND: Final = 1 - 1e-6


class Span(NamedTuple):
    """The times of a window, Unix nanoseconds: its losses became known from `opened` to `closed`; they are of requests from `first` to `last`."""

    opened_at_ns: int
    closed_at_ns: int
    first_at_ns: int
    last_at_ns: int


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """The rows since the evidence began to rise."""

    rows: float
    total: float
    since_ns: int
    """When the first of their requests came."""

    @property
    def mean(self) -> float:
        """Their mean loss."""
        return self.total / self.rows


class RiseState(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart must not forget."""

    index: int = 0
    """Of the next window."""
    firing: bool = False
    log_evidence: tuple[float, ...] = (NO_EVIDENCE,) * len(SHARES)
    """ln M by share."""
    log_return: tuple[float, ...] = ()
    """ln M by share of bets that the mean has come back; none while the alert does not fire."""
    rising: float = 0.0
    """ln of what a bet since its best beginning would have won: the cumulative sum of Page (1954)."""
    pool: Pool | None = None
    closed_at_ns: int = 0
    """When the last window closed; 0 before the first."""


class RiseResult(NamedTuple):
    """What a window made of the evidence."""

    window: int
    """Its index."""
    log_evidence: float
    evidence: float
    """The same, capped so that it stays printable."""
    p_value: float
    """Of the window alone: one over what the bets made of 1, 1 at most."""
    effect: float
    """How far the mean of the pool is above the reference."""
    effect_above_floor: bool
    pool: Pool | None
    firing: bool
    alert: bool
    resolved: bool


class RiseDetector:
    """Bets on the mean of losses.

    >>> import numpy as np
    >>> detector = RiseDetector(threshold=4_320.0, reference=0.01, upper=0.01, tolerance=0.0)
    >>> calm, worse = (np.arange(1_000) % every == 0 for every in (200, 20))
    >>> [detector.test(losses * 1.0, Span(0, 1, 0, 1)).alert for losses in (calm, worse)]
    [False, True]
    """

    def __init__(self, *, threshold: float, reference: float, upper: float, tolerance: float, window_seconds: float | None = None) -> None:
        """`threshold` is the evidence at which an alert may be raised, `upper` what the mean is bet to be above; the alert comes where it is above the
        `reference` by the `tolerance` at least, and resolves on evidence that it is below `upper` + `tolerance`.

        With `window_seconds` the budget counts time: a window counts as much as has passed since the last one, in units of this, and 1 at most.
        """
        self.threshold = threshold
        self.state = RiseState()
        self._reference = reference
        self._upper = upper
        self._tolerance = tolerance
        self._window_seconds = window_seconds

    def test(self, losses: Floats, span: Span, worth: float = 1.0) -> RiseResult:
        """Bet on a window, and add to the evidence. Each row is worth so many independent ones."""
        bets = log_capitals(losses, self._upper, worth)
        state = self._followed(losses, bets, span, worth)
        resolved = state.firing and log_mean(state.log_return) >= math.log(self.threshold)
        if resolved:
            state = RiseState(index=state.index, closed_at_ns=state.closed_at_ns)
        log_evidence = log_mean(state.log_evidence)
        evidence = math.exp(log_evidence) if log_evidence < math.log(_LARGEST_EVIDENCE) else _LARGEST_EVIDENCE
        effect = state.pool.mean - self._reference if state.pool else 0.0
        above = effect >= self._tolerance
        alert = not state.firing and evidence >= self.threshold and above
        if alert:
            state = msgspec.structs.replace(state, firing=True, log_return=(NO_EVIDENCE,) * len(SHARES))
        self.state = state
        p_value = math.exp(min(0.0, -log_mean(bets.tolist())))
        return RiseResult(state.index - 1, log_evidence, evidence, p_value, effect, above, state.pool, state.firing, alert, resolved)

    def _followed(self, losses: Floats, bets: Floats, span: Span, worth: float) -> RiseState:
        """Return the state with a window's evidence in it."""
        before = self.state
        log_weight = math.log(self._weight(span))
        returns = log_capitals_of_fall(losses, min(_MOST_BOUND, self._upper + self._tolerance), worth)
        return msgspec.structs.replace(
            before,
            index=before.index + 1,
            log_evidence=_grown(before.log_evidence, bets, log_weight),
            log_return=_grown(before.log_return, returns, log_weight) if before.firing else (),
            rising=max(0.0, before.rising + log_mean(bets.tolist())),
            pool=self._pooled(losses, span, worth),
            closed_at_ns=span.closed_at_ns,
        )

    def _weight(self, span: Span) -> float:
        if self._window_seconds is None:
            return 1.0
        since_ns = self.state.closed_at_ns or span.opened_at_ns
        return min(1.0, max(_LEAST_WEIGHT, (span.closed_at_ns - since_ns) / 1e9 / self._window_seconds))

    def _pooled(self, losses: Floats, span: Span, worth: float) -> Pool | None:
        """Return the rows since the evidence began to rise, these among them; those beyond some thousands are forgotten gradually."""
        before = self.state.pool
        if before is None or self.state.rising == 0:
            return Pool(rows=len(losses), total=float(losses.sum()), since_ns=span.first_at_ns) if len(losses) else None
        kept = min(1.0, POOLED_ROWS / worth / before.rows)
        return Pool(rows=kept * before.rows + len(losses), total=kept * before.total + float(losses.sum()), since_ns=min(before.since_ns, span.first_at_ns))


def _grown(log_evidence: tuple[float, ...], bets: Floats, log_weight: float) -> tuple[float, ...]:
    """Return ln M of each share after a window."""
    return tuple(log_add(log_m, log_weight) + bet for log_m, bet in zip(log_evidence, bets.tolist(), strict=True))
