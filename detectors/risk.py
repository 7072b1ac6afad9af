"""Is a model wrong more often than it was? Losses of labelled predictions in, a verdict per window out.

    label, prediction → loss between 0 and 1 → bets on a risk above the baseline's → e-detector → evidence against the budget → alert, or not

The loss of classes is 0 or 1, so that the risk is the error rate; that of numbers is their distance in units of a bound, 1 at most, where the bound is
exceeded by one in a hundred of the baseline's rows. Each window of labelled rows is bet on as `betting` says, against the highest risk that the baseline may have had:
its own sampling error is allowed for, and how alike neighbouring rows are. A Shiryaev–Roberts e-detector for each share adds the bets up as in
`evidence`; their average is one too. No distribution is assumed, and no fewest rows: one label is a bet, too.

Sources: Podkopaev and Ramdas, "Tracking the risk of a deployed model and detecting harmful distribution shifts", ICLR 2022; Waudby-Smith and Ramdas 2024
(`betting`); Shin, Ramdas and Rinaldo 2023 (`evidence`).
"""

from __future__ import annotations

import hashlib
import math
from typing import Final, NamedTuple

import msgspec
import numpy as np
from scipy import special

from detectors.arrays import Floats
from detectors.betting import SHARES, log_capitals, log_capitals_of_fall, upper_bound
from detectors.dependence import Dependence, memories_of_losses
from detectors.evidence import NO_EVIDENCE, log_add, log_mean
from records.baseline import Loss, RiskBaseline
from records.times import format_time
from records.verdict import DriftState, FeatureVerdict, TestResult, Verdict, VerdictKind

NAME: Final = "risk"
"""What verdicts call it, where they name features."""

BASELINE_RISK: Final = 0.05
"""δ: the probability, over the draw of the baseline, that the budget does not hold against it."""

FEWEST_ROWS: Final = 500
"""Below this a baseline cannot tell how alike neighbouring rows are (`bench.risk`)."""

_BOUND_QUANTILE: Final = 0.99
_POOLED_ROWS: Final = 5_000.0  # independent rows of which an effect is, at most
_WORTH_MENTION: Final = 15.0  # how much a window's bet must have grown
_LARGEST_EVIDENCE: Final = 1e15
_LEAST_WEIGHT: Final = 1e-6
_MOST_UPPER: Final = 1 - 1e-6


class Outcomes(NamedTuple):
    """What became of some predictions, a row each, in the order in which their labels met them."""

    wrong: Floats
    """1 where prediction and label say something else, else 0."""
    absolute_errors: Floats
    """Their distances; NaN where they are not both numbers."""


class Span(NamedTuple):
    """The times of a window, Unix nanoseconds: its labels met their predictions from `opened` to `closed`; these were asked for from `first` to `last`."""

    opened_at_ns: int
    closed_at_ns: int
    first_at_ns: int
    last_at_ns: int


class RiskState(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart must not forget."""

    baseline_id: str
    index: int = 0
    """Of the next window."""
    firing: bool = False
    log_evidence: tuple[float, ...] = (NO_EVIDENCE,) * len(SHARES)
    """ln M by share."""
    log_return: tuple[float, ...] = ()
    """ln M by share of bets that the risk has come back; none while the alert does not fire."""
    rising: float = 0.0
    """ln of what a bet since its best beginning would have won: the cumulative sum of Page (1954)."""
    pool: Pool | None = None
    closed_at_ns: int = 0
    """When the last window closed; 0 before the first."""


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """The rows since the evidence began to rise."""

    rows: float
    total: float
    since_ns: int
    """When the first of their predictions was asked for."""

    @property
    def risk(self) -> float:
        """Their mean loss."""
        return self.total / self.rows


def losses_of(outcomes: Outcomes, loss: Loss, bound: float) -> Floats:
    """Return the loss of each row; NaN where it has none, because one of two numbers is none.

    >>> losses_of(Outcomes(np.array([0.0, 1.0, 1.0]), np.array([0.0, 3.0, 9.0])), Loss.ABSOLUTE_ERROR, 6.0).tolist()
    [0.0, 0.5, 1.0]
    """
    if loss is Loss.ERROR_RATE:
        return outcomes.wrong
    return np.minimum(outcomes.absolute_errors / bound, 1.0)


def build_risk(outcomes: Outcomes, loss: Loss, *, source: str, created_at_ns: int) -> RiskBaseline | None:
    """Return the baseline of labelled rows, in the order of the traffic; None where fewer than `FEWEST_ROWS` have a loss."""
    bound = _bound(outcomes.absolute_errors) if loss is Loss.ABSOLUTE_ERROR else 1.0
    losses = losses_of(outcomes, loss, bound)
    losses = losses[~np.isnan(losses)]
    if len(losses) < FEWEST_ROWS:
        return None
    remembered = memories_of_losses(losses)
    return RiskBaseline(
        baseline_id=hashlib.sha256(msgspec.json.encode((loss, bound)) + losses.tobytes()).hexdigest()[:16],
        source=source,
        created_at_ns=created_at_ns,
        loss=loss,
        bound=bound,
        rows=len(losses),
        risk=float(losses.mean()),
        upper=_upper(losses, loss, _worth(remembered)),
        memories=remembered,
    )


def _bound(absolute_errors: Floats) -> float:
    """Return the distance that one in a hundred exceeds; where nearly all are 0 the largest, and 1 where all are."""
    known = absolute_errors[~np.isnan(absolute_errors)]
    if not len(known):
        return 1.0
    return float(np.quantile(known, _BOUND_QUANTILE)) or float(known.max()) or 1.0


def _upper(losses: Floats, loss: Loss, worth: float) -> float:
    """Return what the risk behind a baseline is not above: of error rates by Clopper and Pearson (1934), who need fewer rows where losses are 0 or 1."""
    if loss is Loss.ABSOLUTE_ERROR:
        return upper_bound(losses, BASELINE_RISK, worth)
    wrong = float(losses.sum())
    return float(special.betaincinv(worth * wrong + 1, worth * (len(losses) - wrong), 1 - BASELINE_RISK)) if wrong < len(losses) else 1.0


def _worth(remembered: tuple[tuple[float, float], ...]) -> float:
    """Return how many independent rows one of many is worth. In the long run: a bet lasts for many windows, and what goes on longer than one counts, too."""
    return 1 / Dependence(remembered).design_effect(math.inf)


class RiskDetector:
    """Watches one model's risk against one baseline.

    >>> rng = np.random.default_rng(1)
    >>> baseline = build_risk(Outcomes((rng.random(5_000) < 0.1) * 1.0, np.full(5_000, np.nan)), Loss.ERROR_RATE, source="example", created_at_ns=0)
    >>> detector = RiskDetector(baseline, model="fraud", threshold=4_320.0, tolerance=0.01)
    >>> worse = Outcomes((rng.random(500) < 0.2) * 1.0, np.full(500, np.nan))
    >>> verdict = detector.test(worse, "3", Span(0, 1, 0, 1))
    >>> verdict.alert, verdict.features[0].summary
    (True, 'error rate 10.0% → 19.4% (+9.4 points) in 500 labelled rows, asked for since 1970-01-01T00:00:00.000Z')
    """

    def __init__(self, baseline: RiskBaseline, *, model: str, threshold: float, tolerance: float, window_seconds: float | None = None) -> None:
        """`threshold` is the evidence at which an alert may be raised; `tolerance`, how far the risk may rise before it is worth one.

        With `window_seconds` the budget counts time: a window counts as much as has passed since the last one, in units of this, and 1 at most.
        """
        self.baseline: Final = baseline
        self.threshold = threshold
        self._model = model
        self._tolerance = tolerance
        self._window_seconds = window_seconds
        self._worth = _worth(baseline.memories)
        self._state = RiskState(baseline_id=baseline.baseline_id)

    @property
    def state(self) -> RiskState:
        """What a restart must not forget."""
        return self._state

    def restore(self, state: RiskState) -> None:
        """Go on from the state of a detector with the same baseline."""
        if state.baseline_id != self.baseline.baseline_id:
            raise ValueError(f"the state is of the baseline {state.baseline_id}, not of {self.baseline.baseline_id}")
        self._state = state

    def test(self, outcomes: Outcomes, version: str, span: Span) -> Verdict:
        """Bet on a window of rows, and add to the evidence. Rows without a loss count for nothing."""
        losses = losses_of(outcomes, self.baseline.loss, self.baseline.bound)
        losses = losses[~np.isnan(losses)]
        bets = log_capitals(losses, self.baseline.upper, self._worth)
        state = self._followed(losses, bets, span)
        resolved = state.firing and log_mean(state.log_return) >= math.log(self.threshold)
        if resolved:
            state = RiskState(baseline_id=state.baseline_id, index=state.index, closed_at_ns=state.closed_at_ns)
        verdict = self._verdict(state, losses, bets, version, span, resolved=resolved)
        if verdict.alert:
            state = msgspec.structs.replace(state, firing=True, log_return=(NO_EVIDENCE,) * len(SHARES))
        self._state = state
        return verdict

    def _followed(self, losses: Floats, bets: Floats, span: Span) -> RiskState:
        """Return the state with a window's evidence in it."""
        before = self._state
        log_weight = math.log(self._weight(span))
        returns = log_capitals_of_fall(losses, min(_MOST_UPPER, self.baseline.upper + self._tolerance), self._worth)
        return msgspec.structs.replace(
            before,
            index=before.index + 1,
            log_evidence=_grown(before.log_evidence, bets, log_weight),
            log_return=_grown(before.log_return, returns, log_weight) if before.firing else (),
            rising=max(0.0, before.rising + log_mean(bets.tolist())),
            pool=self._pooled(losses, span),
            closed_at_ns=span.closed_at_ns,
        )

    def _weight(self, span: Span) -> float:
        if self._window_seconds is None:
            return 1.0
        since_ns = self._state.closed_at_ns or span.opened_at_ns
        return min(1.0, max(_LEAST_WEIGHT, (span.closed_at_ns - since_ns) / 1e9 / self._window_seconds))

    def _pooled(self, losses: Floats, span: Span) -> Pool | None:
        """Return the rows since the evidence began to rise, these among them; those beyond some thousands are forgotten gradually."""
        before = self._state.pool
        if before is None or self._state.rising == 0:
            return Pool(rows=len(losses), total=float(losses.sum()), since_ns=span.first_at_ns) if len(losses) else None
        kept = min(1.0, _POOLED_ROWS / self._worth / before.rows)
        return Pool(rows=kept * before.rows + len(losses), total=kept * before.total + float(losses.sum()), since_ns=min(before.since_ns, span.first_at_ns))

    def _verdict(self, state: RiskState, losses: Floats, bets: Floats, version: str, span: Span, *, resolved: bool) -> Verdict:
        log_evidence = log_mean(state.log_evidence)
        evidence = math.exp(log_evidence) if log_evidence < math.log(_LARGEST_EVIDENCE) else _LARGEST_EVIDENCE
        effect = state.pool.risk - self.baseline.risk if state.pool else 0.0
        risk = FeatureVerdict(
            feature=NAME,
            tests={
                self.baseline.loss.value: TestResult(
                    statistic=float(losses.mean()) if len(losses) else self.baseline.risk, p_value=math.exp(min(0.0, -log_mean(bets.tolist()))), effect=effect
                )
            },
            log_evidence=log_evidence,
            share=float(evidence >= min(_WORTH_MENTION, self.threshold)),
            effect_above_floor=effect >= self._tolerance,
            summary=describe(self.baseline, state.pool),
        )
        fires = not state.firing and evidence >= self.threshold and risk.effect_above_floor
        return Verdict(
            kind=VerdictKind.RISK,
            model=self._model,
            version=version,
            baseline_id=self.baseline.baseline_id,
            index=state.index - 1,
            opened_at_ns=span.opened_at_ns,
            closed_at_ns=span.closed_at_ns,
            rows=len(losses),
            state=DriftState.FIRING if state.firing or fires else DriftState.OK,
            alert=fires,
            resolved=resolved,
            evidence=evidence,
            threshold=self.threshold,
            compared_with=_in_words(self.baseline),
            features=(risk,),
        )


def describe(baseline: RiskBaseline, pool: Pool | None) -> str:
    """Return the baseline against now in words; the baseline alone where nothing is there to compare."""
    if pool is None:
        is_rate = baseline.loss is Loss.ERROR_RATE
        return f"error rate {baseline.risk:.1%}" if is_rate else f"mean absolute error {baseline.risk * baseline.bound:.4g}, cut off at {baseline.bound:.4g}"
    before, now = baseline.risk, pool.risk
    if baseline.loss is Loss.ERROR_RATE:
        change = f"error rate {before:.1%} → {now:.1%} ({100 * (now - before):+.1f} points)"
    else:
        bound = baseline.bound
        change = f"mean absolute error {before * bound:.4g} → {now * bound:.4g} ({100 * (now - before):+.1f} points of {bound:.4g}, where errors are cut off)"
    return f"{change} in {pool.rows:,.0f} labelled rows, asked for since {format_time(pool.since_ns)}"


def _in_words(baseline: RiskBaseline) -> str:
    return f"baseline {baseline.baseline_id} ({baseline.rows:,} labelled rows of {baseline.source}, made {format_time(baseline.created_at_ns)})"


def _grown(log_evidence: tuple[float, ...], bets: Floats, log_weight: float) -> tuple[float, ...]:
    """Return ln M of each share after a window."""
    return tuple(log_add(log_m, log_weight) + bet for log_m, bet in zip(log_evidence, bets.tolist(), strict=True))
