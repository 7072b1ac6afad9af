"""Since yesterday: the windows of one period, pooled, against those of the period before, which is a baseline in the bins of the real one.

Everything that holds for a baseline holds for the period before: its error is allowed for, and rows count for as many independent ones as the baseline's
dependence makes of them. But periods follow each other, so a change is reported once and is then part of what was before, and what rises and falls from day to day, as
weekdays do, is reported each time it does. So this is a report and has no part in the budget: evidence against a baseline that moves would be of something else.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Final

import msgspec

from detectors.drift import DriftDetector
from detectors.summary import merge
from detectors.words import moments_of
from records.baseline import Baseline, CategoricalBaseline, FeatureBaseline
from records.changes import Changes, Span
from records.verdict import FeatureVerdict
from records.window import NO_PAIRS, CategoricalSummary, DuplicateSummary, FeatureSummary, NumericSummary, WindowSummary

_BY_CHANCE: Final = 0.001  # in a report, that anything is in it although nothing changed


def changes(baseline: Baseline, before: Sequence[WindowSummary], now: Sequence[WindowSummary]) -> Changes:
    """Return what changed from the windows `before` to those of `now`, at least one of each, all of them counted against `baseline`."""
    former, latter = reduce(merge, before), reduce(merge, now)
    detector = DriftDetector(_as_baseline(baseline, former), threshold=1.0)
    verdict = detector.test(_comparable(latter))
    enough = _BY_CHANCE / max(1, sum(len(feature.tests) for feature in verdict.features))
    changed = [feature for feature in verdict.features if feature.effect_above_floor and _smallest_p_value(feature) < enough]
    return Changes(
        model=baseline.model,
        baseline_id=baseline.baseline_id,
        before=_span(former, len(before)),
        now=_span(latter, len(now)),
        features=tuple(sorted(changed, key=_smallest_p_value)),
        unchanged=len(verdict.features) - len(changed),
    )


def _comparable(summary: WindowSummary) -> WindowSummary:
    """Return what of a summary can be held against another one: the baseline's range is not that of the period before, nor are its pairs."""
    features = {
        name: msgspec.structs.replace(feature, out_of_range=0) if isinstance(feature, NumericSummary) else feature for name, feature in summary.features.items()
    }
    return msgspec.structs.replace(summary, features=features, pairs=NO_PAIRS, vectors={}, duplicates=DuplicateSummary(), unknown={})


def _smallest_p_value(feature: FeatureVerdict) -> float:
    return min((result.p_value for result in feature.tests.values()), default=1.0)


def _span(summary: WindowSummary, windows: int) -> Span:
    return Span(opened_at_ns=summary.opened_at_ns, closed_at_ns=summary.closed_at_ns, rows=summary.rows, windows=windows)


def _as_baseline(baseline: Baseline, summary: WindowSummary) -> Baseline:
    """Return a baseline with the bins, levels and dependence of another one, and the counts of a summary against it."""
    features = tuple(_as_feature(feature, summary.features[feature.name]) for feature in baseline.features)
    return msgspec.structs.replace(
        baseline, rows=summary.rows, cycle_seconds=0, features=features, pairs=None, joint=None, vectors=(), texts=(), times=(), duplicates=None
    )


def _as_feature(feature: FeatureBaseline, summary: FeatureSummary) -> FeatureBaseline:
    if isinstance(feature, CategoricalBaseline):
        assert isinstance(summary, CategoricalSummary)
        counted = {"counts": summary.counts, "missing": summary.missing, "type_changes": summary.type_changes}
        return msgspec.structs.replace(feature, **counted, slices=(), singletons=summary.unseen, doubletons=0)
    assert isinstance(summary, NumericSummary)
    moments = moments_of(summary) if any(summary.counts) else None
    return msgspec.structs.replace(
        feature,
        counts=summary.counts,
        missing=summary.missing,
        non_finite=summary.non_finite,
        type_changes=summary.type_changes,
        mean=moments.mean if moments else 0.0,
        standard_deviation=moments.standard_deviation if moments else 0.0,
        minimum=summary.minimum or 0.0,
        maximum=summary.maximum or 0.0,
        slices=(),
    )
