"""Is a model wrong more often than it was? Losses of labelled predictions in, a verdict per window out.

    label, prediction → loss between 0 and 1 → bets on a risk above the baseline's → e-detector → evidence against the budget → alert, or not

The loss of classes is 0 or 1, so that the risk is the error rate; that of numbers is their distance in units of a bound, 1 at most, where the bound is
exceeded by one in a hundred of the baseline's rows. Windows of labelled rows are bet on as `rise` says, against the highest risk that the baseline may have had:
its own sampling error is allowed for, and how alike neighbouring rows are.

Sources: Podkopaev and Ramdas, "Tracking the risk of a deployed model and detecting harmful distribution shifts", ICLR 2022; Waudby-Smith and Ramdas 2024
(`betting`); Shin, Ramdas and Rinaldo 2023 (`evidence`).
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

import msgspec
import numpy as np
from scipy import special

from detectors.arrays import Floats
from detectors.betting import upper_bound
from detectors.dependence import Dependence, memories_of_losses
from detectors.rise import Pool, RiseDetector, RiseState, Span
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
_WORTH_MENTION: Final = 15.0  # how much a window's bet must have grown


class Outcomes(NamedTuple):
    """What became of some predictions, a row each, in the order in which their labels met them."""

    wrong: Floats
    """1 where prediction and label say something else, else 0."""
    absolute_errors: Floats
    """Their distances; NaN where they are not both numbers."""


class RiskState(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart must not forget."""

    baseline_id: str
    rise: RiseState = RiseState()


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
        upper=_upper(losses, loss, Dependence(remembered).worth_of_a_row),
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

        With `window_seconds` the budget counts time, as `RiseDetector` has it.
        """
        self.baseline: Final = baseline
        self._model = model
        self._worth = Dependence(baseline.memories).worth_of_a_row
        self._rise = RiseDetector(threshold=threshold, reference=baseline.risk, upper=baseline.upper, tolerance=tolerance, window_seconds=window_seconds)

    def set_threshold(self, threshold: float) -> None:
        """Set the evidence at which an alert may be raised: it grows with the number of detectors that share the budget."""
        self._rise.threshold = threshold

    @property
    def state(self) -> RiskState:
        """What a restart must not forget."""
        return RiskState(baseline_id=self.baseline.baseline_id, rise=self._rise.state)

    def restore(self, state: RiskState) -> None:
        """Go on from the state of a detector with the same baseline."""
        if state.baseline_id != self.baseline.baseline_id:
            raise ValueError(f"the state is of the baseline {state.baseline_id}, not of {self.baseline.baseline_id}")
        self._rise.state = state.rise

    def test(self, outcomes: Outcomes, version: str, span: Span) -> Verdict:
        """Bet on a window of rows, and add to the evidence. Rows without a loss count for nothing."""
        losses = losses_of(outcomes, self.baseline.loss, self.baseline.bound)
        losses = losses[~np.isnan(losses)]
        result = self._rise.test(losses, span, self._worth)
        risk = FeatureVerdict(
            feature=NAME,
            tests={
                self.baseline.loss.value: TestResult(
                    statistic=float(losses.mean()) if len(losses) else self.baseline.risk, p_value=result.p_value, effect=result.effect
                )
            },
            log_evidence=result.log_evidence,
            share=float(result.evidence >= min(_WORTH_MENTION, self._rise.threshold)),
            effect_above_floor=result.effect_above_floor,
            summary=describe(self.baseline, result.pool),
        )
        return Verdict(
            kind=VerdictKind.RISK,
            model=self._model,
            version=version,
            baseline_id=self.baseline.baseline_id,
            index=result.window,
            opened_at_ns=span.opened_at_ns,
            closed_at_ns=span.closed_at_ns,
            rows=len(losses),
            state=DriftState.FIRING if result.firing else DriftState.OK,
            alert=result.alert,
            resolved=result.resolved,
            evidence=result.evidence,
            threshold=self._rise.threshold,
            compared_with=_in_words(self.baseline),
            features=(risk,),
        )


def describe(baseline: RiskBaseline, pool: Pool | None) -> str:
    """Return the baseline against now in words; the baseline alone where nothing is there to compare."""
    if pool is None:
        is_rate = baseline.loss is Loss.ERROR_RATE
        return f"error rate {baseline.risk:.1%}" if is_rate else f"mean absolute error {baseline.risk * baseline.bound:.4g}, cut off at {baseline.bound:.4g}"
    before, now = baseline.risk, pool.mean
    if baseline.loss is Loss.ERROR_RATE:
        change = f"error rate {before:.1%} → {now:.1%} ({100 * (now - before):+.1f} points)"
    else:
        bound = baseline.bound
        change = f"mean absolute error {before * bound:.4g} → {now * bound:.4g} ({100 * (now - before):+.1f} points of {bound:.4g}, where errors are cut off)"
    return f"{change} in {pool.rows:,.0f} labelled rows, asked for since {format_time(pool.since_ns)}"


def _in_words(baseline: RiskBaseline) -> str:
    return f"baseline {baseline.baseline_id} ({baseline.rows:,} labelled rows of {baseline.source}, made {format_time(baseline.created_at_ns)})"
