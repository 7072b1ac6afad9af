"""Drift of one model's features: rows in, a verdict per window out.

    rows → summary → tests of each feature → e-detectors → evidence of the model against the budget → alert, or not

An alert needs evidence past the threshold and a feature that both carries evidence and shows an effect at its floor or above. A feature carries
evidence when its own is more than chance gives any of so many features. While the alert fires, evidence of return is gathered; when it is
complete the alert is resolved and all evidence starts again at nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import numpy as np

from detectors.arrays import Columns, Integers
from detectors.derived import Derivation
from detectors.duplicate_watch import DuplicateWatch
from detectors.evidence import NO_EVIDENCE, log_mean
from detectors.feature import FeatureState, FeatureWatch
from detectors.joint_watch import NAME as ALL_NUMBERS
from detectors.joint_watch import JointWatch
from detectors.pair_watch import NAME as CORRELATIONS
from detectors.pair_watch import PairWatch
from detectors.pairs import PairTally
from detectors.quality import findings
from detectors.random_features import VectorTally
from detectors.summary import WindowAccumulator
from detectors.tally import News, Tally
from detectors.univariate import Statistics
from detectors.vector_watch import VectorWatch
from detectors.watch import WatchState
from detectors.windows import WindowPolicy
from detectors.words import describe, describe_baseline
from records.baseline import Baseline
from records.verdict import DriftState, FeatureVerdict, TestResult, Verdict
from records.window import WindowSummary

BASELINE_RISK: Final = 0.05
"""δ: the probability, over the draw of the baseline, that the budget does not hold against it."""

_TESTS_OF_ALL: Final = 5  # features together: two of correlations, two of all numbers, one of duplicates
_WORTH_MENTION: Final = 15.0  # how much a window's bet on a feature must have grown; more among hundreds of features
_LARGEST_EVIDENCE: Final = 1e15
_LEAST_SECONDS: Final = 1e-3  # a window whose rows all came at once still counts something


class DetectorState(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart must not forget."""

    baseline_id: str
    index: int
    """Of the open window."""
    firing: bool
    open: WindowSummary | None
    last_opened_at_ns: int = 0
    """Of the window before the open one; 0 where there is none."""
    last_closed_at_ns: int = 0
    features: dict[str, FeatureState]
    pairs: WatchState | None = None
    duplicates: WatchState | None = None
    joint: FeatureState | None = None
    vectors: dict[str, FeatureState] = {}


class DriftDetector:
    """Watches one model against one baseline."""

    def __init__(
        self,
        baseline: Baseline,
        *,
        threshold: float,
        windows: WindowPolicy | None = None,
        window_seconds: float | None = None,
        statistics: Statistics = Statistics(),  # noqa: B008 - a constant
    ) -> None:
        """`threshold` is the evidence at which an alert may be raised: windows between false alerts, as `budget` gives it.

        With `window_seconds`, windows of that duration: shorter and longer ones count in proportion. Without, every window counts as one.
        """
        self.baseline: Final = baseline
        self.threshold = threshold
        self._windows = windows or WindowPolicy()
        self._window_seconds = window_seconds
        risk = BASELINE_RISK / (statistics.tests_per_feature * len(baseline.features) + len(baseline.vectors) + _TESTS_OF_ALL)
        self._features = [FeatureWatch(feature, baseline.rows, risk, statistics) for feature in baseline.features]
        self._pairs = PairWatch(baseline.pairs, baseline.rows, risk) if baseline.pairs else None
        self._vectors = [VectorWatch(vector, risk) for vector in baseline.vectors]
        self._duplicates = DuplicateWatch(baseline.duplicates, baseline.rows, risk) if baseline.duplicates else None
        self._joint = JointWatch(baseline.joint, baseline, risk) if baseline.joint else None
        whole = [watch for watch in (self._pairs, self._joint, self._duplicates) if watch is not None]
        self._watches: list[FeatureWatch | VectorWatch | PairWatch | JointWatch | DuplicateWatch] = [*self._features, *self._vectors, *whole]
        self._derive = Derivation(baseline)
        self._is_firing = False
        self._rows = WindowAccumulator(baseline)
        self._open(0)

    @property
    def open_rows(self) -> int:
        """Rows in the window that is open."""
        return self._rows.rows

    @property
    def opened_at_ns(self) -> int:
        """When the window that is open began; 0 before its first row."""
        return self._opened_at_ns

    def update(self, columns: Columns, times_ns: Integers) -> list[tuple[WindowSummary, Verdict]]:
        """Add rows in order, with the time of each (Unix nanoseconds); return the windows that closed, tested."""
        columns = self._derive(columns, times_ns)
        closed: list[tuple[WindowSummary, Verdict]] = []
        first = 0
        while first < len(times_ns):
            if not self.open_rows:
                self._opened_at_ns = self._latest_ns = max(int(times_ns[first]), self._last_closed_at_ns)
            cut = self._windows.cut(self.open_rows, self._opened_at_ns, times_ns[first:])
            last = first + cut.rows
            if cut.rows:
                self._rows.add(columns, first, last)
                self._rows.late_rows += int(np.count_nonzero(times_ns[first:last] < self._last_opened_at_ns))
                self._latest_ns = max(self._latest_ns, int(times_ns[first:last].max()))
            first = last
            if cut.closes:
                closed.append(self.close())
        return closed

    def close_due(self, now_ns: int) -> list[tuple[WindowSummary, Verdict]]:
        """Close the open window if its time is over and it has rows enough, although no further row has come."""
        return [self.close()] if self._windows.is_due(self.open_rows, self._opened_at_ns, now_ns) else []

    def close(self) -> tuple[WindowSummary, Verdict]:
        """Close the open window as it is, and test it."""
        summary = self._rows.summary(index=self._index, opened_at_ns=self._opened_at_ns, closed_at_ns=self._latest_ns)
        self._open(self._index + 1, summary.opened_at_ns, summary.closed_at_ns)
        return summary, self.test(summary)

    def test(self, summary: WindowSummary) -> Verdict:
        """Test a window, its own or one that was merged from several replicas' summaries, and add to the evidence."""
        if summary.baseline_id != self.baseline.baseline_id:
            raise ValueError(f"the window is of the baseline {summary.baseline_id}, not of {self.baseline.baseline_id}")
        tallies = {watch.name: watch.without_cycle(Tally.of(summary.features[watch.name]), summary.middle_ns) for watch in self._features}
        news = {watch.name: watch.news(tallies[watch.name]) for watch in self._features}
        self._learn_sizes(news)
        weight = self._weight(summary)
        results = {watch.name: watch.update(tallies[watch.name], news[watch.name], weight) for watch in self._features}
        words = {
            watch.name: describe(watch.baseline, watch.expected(summary.middle_ns), summary.features[watch.name], summary.rows) for watch in self._features
        }
        for vector in self._vectors:
            vectors = VectorTally.of(summary.vectors[vector.name])
            results[vector.name], words[vector.name] = vector.update(vectors, summary.middle_ns, weight), vector.describe(vectors)
        if self._pairs is not None and summary.pairs.sums:
            pairs = PairTally.of(summary.pairs, summary.rows)
            results[self._pairs.name], words[self._pairs.name] = self._pairs.update(pairs, weight), self._pairs.describe(pairs)
        if self._joint is not None:
            numbers = self._joint.tally(tallies, summary.rows)
            results[self._joint.name], words[self._joint.name] = self._joint.update(numbers, weight), self._joint.describe(numbers)
        if self._duplicates is not None and summary.duplicates.smallest:
            results[self._duplicates.name] = found = self._duplicates.update(summary.duplicates, summary.rows, weight)
            words[self._duplicates.name] = self._duplicates.describe(found, summary.rows)
        resolved = self._is_firing and all(watch.has_returned(math.log(self.threshold)) for watch in self._watches)
        if resolved:
            self._start_again()
        verdict = self._verdict(summary, self._feature_verdicts(results, words, weight), resolved=resolved)
        if verdict.state is DriftState.FIRING:
            self._is_firing = True
            self._await_return(verdict.carriers)
        return verdict

    def snapshot(self) -> DetectorState:
        """Return what a restart must not forget."""
        return DetectorState(
            baseline_id=self.baseline.baseline_id,
            index=self._index,
            firing=self._is_firing,
            open=self._rows.summary(index=self._index, opened_at_ns=self._opened_at_ns, closed_at_ns=self._latest_ns) if self.open_rows else None,
            last_opened_at_ns=self._last_opened_at_ns,
            last_closed_at_ns=self._last_closed_at_ns,
            features={watch.name: watch.snapshot() for watch in self._features},
            pairs=self._pairs.snapshot() if self._pairs else None,
            duplicates=self._duplicates.snapshot() if self._duplicates else None,
            joint=self._joint.snapshot() if self._joint else None,
            vectors={watch.name: watch.snapshot() for watch in self._vectors},
        )

    def restore(self, state: DetectorState) -> None:
        """Go on from a snapshot that was taken with the same baseline."""
        if state.baseline_id != self.baseline.baseline_id:
            raise ValueError(f"the snapshot is of the baseline {state.baseline_id}, not of {self.baseline.baseline_id}")
        self._open(state.index, state.last_opened_at_ns, state.last_closed_at_ns)
        if state.open:
            self._rows.resume(state.open)
            self._opened_at_ns, self._latest_ns = state.open.opened_at_ns, state.open.closed_at_ns
        self._is_firing = state.firing
        for watch in self._features:
            watch.restore(state.features[watch.name])
        for vector in self._vectors:
            vector.restore(state.vectors.get(vector.name))
        if self._pairs is not None:
            self._pairs.restore(state.pairs)
        if self._duplicates is not None:
            self._duplicates.restore(state.duplicates)
        if self._joint is not None:
            self._joint.restore(state.joint)

    def _weight(self, summary: WindowSummary) -> float:
        """Return what the window counts against a budget: 1, or its duration in units of the usual one."""
        if self._window_seconds is None:
            return 1.0
        return max(_LEAST_SECONDS, (summary.closed_at_ns - summary.opened_at_ns) / 1e9) / self._window_seconds

    def _open(self, index: int, last_opened_at_ns: int = 0, last_closed_at_ns: int = 0) -> None:
        self._index = index
        self._last_opened_at_ns, self._last_closed_at_ns = last_opened_at_ns, last_closed_at_ns
        self._rows.clear()
        self._opened_at_ns = self._latest_ns = 0

    def _learn_sizes(self, news: dict[str, News[Tally]]) -> None:
        """Learn the null distributions that are missing, size by size, so that features share the draws."""
        missing = {watch: watch.missing_steps(news[watch.name]) for watch in self._features}
        for step in sorted(set().union(*missing.values())):
            for watch, steps in missing.items():
                if step in steps:
                    watch.learn(step)

    def _feature_verdicts(self, results: dict[str, dict[str, TestResult]], words: dict[str, str], weight: float) -> tuple[FeatureVerdict, ...]:
        """Return the verdicts of all that was tested, the largest share of the evidence first."""
        worth_mention = min(self.threshold, weight * max(_WORTH_MENTION, len(self._features) / _WORTH_MENTION))
        with_effect = {watch.name for watch in self._watches if watch.has_effect}
        most = math.log(_LARGEST_EVIDENCE)  # of what shows no effect: it must not make the shares of others small
        known = {watch.name: watch.log_evidence if watch.name in with_effect else min(watch.log_evidence, most) for watch in self._watches}
        excess = {name: max(0.0, log_evidence - math.log(worth_mention)) for name, log_evidence in known.items()}
        total = sum(excess.values()) or 1.0
        verdicts = [
            FeatureVerdict(
                feature=watch.name,
                tests=results[watch.name],
                log_evidence=watch.log_evidence,
                share=excess[watch.name] / total,
                effect_above_floor=watch.name in with_effect,
                summary=words[watch.name],
            )
            for watch in self._watches
            if watch.name in results
        ]
        return tuple(sorted(map(self._explained(verdicts), verdicts), key=lambda verdict: -verdict.share))

    def _explained(self, verdicts: Sequence[FeatureVerdict]) -> Callable[[FeatureVerdict], FeatureVerdict]:
        """Return what a verdict is in the light of the others.

        A feature that drifts takes its correlations with it, and they are not named beside it; nor are all numbers, unless the others among them show an effect too.
        """
        drifting = {verdict.feature for verdict in verdicts if verdict.effect_above_floor and verdict.share} - {CORRELATIONS, ALL_NUMBERS}

        def explained(verdict: FeatureVerdict) -> FeatureVerdict:
            is_taken_along = verdict.feature == CORRELATIONS or (
                verdict.feature == ALL_NUMBERS and self._joint is not None and not self._joint.has_effect_without(drifting)
            )
            return msgspec.structs.replace(verdict, effect_above_floor=False) if drifting and is_taken_along else verdict

        return explained

    def _verdict(self, summary: WindowSummary, features: tuple[FeatureVerdict, ...], *, resolved: bool) -> Verdict:
        log_evidence = log_mean([feature.log_evidence for feature in features] or [NO_EVIDENCE])
        evidence = math.exp(log_evidence) if log_evidence < math.log(_LARGEST_EVIDENCE) else _LARGEST_EVIDENCE
        verdict = Verdict(
            model=summary.model,
            version=summary.version,
            baseline_id=summary.baseline_id,
            compared_with=describe_baseline(self.baseline, summary.middle_ns),
            index=summary.index,
            opened_at_ns=summary.opened_at_ns,
            closed_at_ns=summary.closed_at_ns,
            rows=summary.rows,
            state=DriftState.FIRING if self._is_firing else DriftState.OK,
            resolved=resolved,
            evidence=evidence,
            threshold=self.threshold,
            features=features,
            quality=findings(self.baseline, summary, features),
        )
        if self._is_firing or not verdict.carriers or _with_effect(features) < math.log(self.threshold):
            return verdict
        return msgspec.structs.replace(verdict, state=DriftState.FIRING, alert=True)

    def _start_again(self) -> None:
        self._is_firing = False
        for watch in self._watches:
            watch.reset()

    def _await_return(self, carriers: tuple[str, ...]) -> None:
        for watch in self._watches:
            if watch.name in carriers:
                watch.await_return()


def _with_effect(features: Sequence[FeatureVerdict]) -> float:
    """Return the logarithm of the model's evidence without that of features which show no effect: it must not let others alert on less of their own."""
    return log_mean([feature.log_evidence if feature.effect_above_floor else NO_EVIDENCE for feature in features])
