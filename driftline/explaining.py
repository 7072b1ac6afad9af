"""Explanations of verdicts, from what the detectors have not handed on yet and from the store."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from detectors.derived import made_of
from detectors.explanation import Shown, explain
from driftline.model_watch import WindowResult
from driftline.watching import Watching
from records.baseline import Baseline, NumericBaseline
from records.explanation import Explanation, FeatureExplanation, Performance, Quality
from records.window import WindowSummary
from store.clickhouse.explaining import Around, ExplanationQueries

EXAMPLES_AT_MOST: Final = 5
"""For each feature."""

_PERIOD_DAYS: Final = 30
_FEWEST_LABELS: Final = 30
_Z: Final = 1.96


class Explaining:
    """Explains a window of a model."""

    def __init__(self, watching: Watching, queries: ExplanationQueries) -> None:
        self._watching = watching
        self._queries = queries

    def __call__(self, model: str, index: int | None, baseline_id: str | None) -> Explanation | None:
        """Return the explanation of a window by its index, else of the latest; None where there is none. Raises `StoreUnavailableError`."""
        unstored = [result for result in self._watching.unstored() if result.verdict.model == model and baseline_id in {None, result.verdict.baseline_id}]
        window = self._window(model, index, baseline_id, unstored)
        baseline = window and self._baseline(window.summary)
        if window is None or baseline is None:
            return None
        explanation = explain(baseline, window.summary, window.verdict, self._before(window.summary, unstored))
        features = tuple(self._with_examples(each, baseline, window.summary) for each in explanation.features)
        return msgspec.structs.replace(explanation, features=features, performance=self._performance(explanation))

    def _window(self, model: str, index: int | None, baseline_id: str | None, unstored: list[WindowResult]) -> WindowResult | None:
        waiting = [result for result in unstored if index in {None, result.verdict.index}]
        if waiting:
            return waiting[-1]
        stored = self._queries.window(model, index, baseline_id)
        return WindowResult(*stored) if stored else None

    def _baseline(self, summary: WindowSummary) -> Baseline | None:
        known = self._watching.baseline_of(summary.model)
        return known if known is not None and known.baseline_id == summary.baseline_id else self._queries.baseline(summary.model, summary.baseline_id)

    def _before(self, summary: WindowSummary, unstored: list[WindowResult]) -> list[Shown]:
        """Return what the windows before this one showed, against the same baseline, the latest first."""
        stored = self._queries.before(summary.model, summary.baseline_id, summary.index)
        known = {each.window: Shown(each.opened_at_ns, each.rows, each.features, each.effects) for each in stored}
        for result in unstored:
            if result.summary.baseline_id == summary.baseline_id and result.summary.index < summary.index:
                known[result.summary.index] = Shown.of(result.verdict)
        return [known[index] for index in sorted(known, reverse=True)]

    def _with_examples(self, feature: FeatureExplanation, baseline: Baseline, summary: WindowSummary) -> FeatureExplanation:
        if feature.gain is None or feature.feature in made_of(baseline):  # what is made of a column is not stored beside it
            return feature
        is_numeric = any(isinstance(each, NumericBaseline) for each in baseline.features if each.name == feature.feature)
        ids = self._queries.exchanges_at(summary, feature.feature, feature.gain.place, is_numeric=is_numeric, limit=EXAMPLES_AT_MOST)
        return msgspec.structs.replace(feature, gain=msgspec.structs.replace(feature.gain, exchange_ids=ids))

    def _performance(self, explanation: Explanation) -> Performance | None:
        if not explanation.since_at_ns:
            return None
        return performance(self._queries.quality(explanation.model, explanation.since_at_ns, _PERIOD_DAYS * 86_400 * 10**9))


def performance(around: Around) -> Performance | None:
    """Return what labels say of a change; None where there are too few before or since."""
    before, since = around.before, around.since
    if before is None or since is None or min(before.rows, since.rows) < _FEWEST_LABELS:
        return None
    has_errors = before.mean_absolute_error is not None and since.mean_absolute_error is not None
    words = _error_words(before, since) if has_errors and not around.is_of_classes else _ratio_words(before, since)
    return Performance(before=before, since=since, words=words)


def _ratio_words(before: Quality, since: Quality) -> str:
    low, high = wilson_interval(since.correct_ratio, since.rows)
    return (
        f"Of {since.rows:,} labelled predictions since then {since.correct_ratio:.1%} were right ({low:.1%} to {high:.1%} with 95% confidence); "
        f"in the {_PERIOD_DAYS} days before {before.correct_ratio:.1%} of {before.rows:,}."
    )


def _error_words(before: Quality, since: Quality) -> str:
    return (
        f"The mean absolute error of {since.rows:,} labelled predictions since then is {since.mean_absolute_error:.4g}; "
        f"in the {_PERIOD_DAYS} days before {before.mean_absolute_error:.4g} of {before.rows:,}."
    )


def wilson_interval(ratio: float, rows: int) -> tuple[float, float]:
    """Return the bounds of a ratio seen in so many rows, at least one, with 95% confidence (Wilson 1927).

    >>> [round(bound, 3) for bound in wilson_interval(0.8, 100)]
    [0.711, 0.867]
    """
    weight = 1 / (1 + _Z**2 / rows)
    middle = weight * (ratio + _Z**2 / (2 * rows))
    half = weight * _Z * math.sqrt(ratio * (1 - ratio) / rows + _Z**2 / (4 * rows**2))
    return max(0.0, middle - half), min(1.0, middle + half)
