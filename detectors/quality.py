"""What is wrong with the data of a window, in sentences that say what, where and what to do.

Evidence says whether something changed, within the budget; a finding says what kind of fault it looks like, window by window, and alerts nobody. A rate is a
finding where it is above its floor and its p-value, which allows for the baseline's error, is below one in a thousand. A feature is stale where it has one value in all
rows, and so many rows of one value would be one window in a million.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from detectors.calibration import SMALLEST_ROWS
from detectors.dependence import Dependence
from detectors.derived import DIMENSION, made_of, made_of_vector
from detectors.duplicate_watch import NAME as DUPLICATES
from detectors.two_proportions import CalibratedRate
from records.baseline import Baseline, CategoricalBaseline, FeatureBaseline, NumericBaseline
from records.verdict import FeatureVerdict, Finding, Problem, TestResult
from records.window import CategoricalSummary, FeatureSummary, NumericSummary, WindowSummary

SMALLEST_P_VALUE: Final = 1e-3
_BY_CHANCE: Final = 1e-6
_NAMES: Final = 5

_NEW_BASELINE: Final = "if it is to stay, accept the traffic as the new baseline (driftline accept)"
_RATES: Final[Mapping[str, tuple[Problem, str, str]]] = {
    "missing_rate": (Problem.MISSING, "has no value", f"look whether all clients send it; {_NEW_BASELINE}"),
    "non_finite_rate": (Problem.NON_FINITE, "is infinite or too large", "look for a division by 0, or an overflow, where it is made"),
    "type_change_rate": (Problem.OTHER_TYPE, "comes as {other}", f"look for a client or a parser that changed; {_NEW_BASELINE}"),
    "out_of_range_rate": (
        Problem.OUT_OF_RANGE,
        "is outside the baseline's {range}",
        f"look for another unit, or a number that stands for a missing one; {_NEW_BASELINE}",
    ),
    "unseen_rate": (Problem.UNSEEN, "has a level that the baseline never saw{levels}", f"look for another spelling or code; {_NEW_BASELINE}"),
}


def findings(baseline: Baseline, summary: WindowSummary, verdicts: Sequence[FeatureVerdict]) -> tuple[Finding, ...]:
    """Return what is wrong with a window's data, whose verdicts on features are given: of the whole model first."""
    if summary.rows < SMALLEST_ROWS:
        text = (
            f"{_rows(summary.rows)} cannot tell anything from anything: nothing was tested; windows of {SMALLEST_ROWS} rows or more are (drift.window_min_rows)"
        )
        return (Finding(problem=Problem.FEW_ROWS, rows=summary.rows, text=text),)
    results = {verdict.feature: verdict.tests for verdict in verdicts}
    absent = [feature.name for feature in baseline.features if _is_absent(feature, summary)]
    if absent and len(absent) == len(baseline.features):
        return (_other_schema(baseline, summary),)
    dimensions = dict(_other_dimensions(baseline, summary))
    found = [*_unknown(summary), *_duplicates(summary, results.get(DUPLICATES, {})), *dict.fromkeys(dimensions.values())]
    for feature in baseline.features:
        if feature.name in dimensions:
            continue
        if feature.name in absent:
            found.append(_not_sent(feature, summary))
        else:
            found += _of_feature(feature, summary.features[feature.name], summary.rows, results.get(feature.name, {}))
    return tuple(found)


def baseline_findings(baseline: Baseline) -> tuple[Finding, ...]:
    """Return which features of a baseline can show less than others, and why."""
    made = made_of(baseline)  # which are constant, or missing, where the source is so
    return tuple(finding for feature in baseline.features if feature.name not in made for finding in _of_baseline(feature, baseline.rows))


def _of_baseline(feature: FeatureBaseline, rows: int) -> Iterator[Finding]:
    present = sum(feature.counts)
    if not present:
        yield _finding(
            feature, Problem.NO_BASELINE, rows, "has no value in the baseline: only that is compared; make a baseline of rows that have it, or exclude it"
        )
    elif max(feature.counts) == present and _is_one_value(feature):
        yield _finding(feature, Problem.CONSTANT, rows, "has one value in the whole baseline: any other one will be a change; exclude it if that is not meant")
    elif isinstance(feature, CategoricalBaseline) and feature.singletons > present / 2:
        yield _finding(feature, Problem.ALL_DIFFERENT, rows, "has a level of its own in most rows, as an id has: its levels are not compared; exclude it")


def _is_one_value(feature: FeatureBaseline) -> bool:
    return feature.minimum == feature.maximum if isinstance(feature, NumericBaseline) else len(feature.levels) == 1


def _is_absent(feature: FeatureBaseline, summary: WindowSummary) -> bool:
    return summary.features[feature.name].missing == summary.rows and feature.missing == 0


def _other_schema(baseline: Baseline, summary: WindowSummary) -> Finding:
    sent = f"it has {_names(summary.unknown)}" if summary.unknown else "it has nothing that can be decoded"
    text = (
        f"none of the baseline's {len(baseline.features)} features ({_names([feature.name for feature in baseline.features])}) is in the traffic, {sent}:"
        f" look whether the baseline is that of {baseline.model}, or make one with: driftline baseline --model {baseline.model} --from-store"
    )
    return Finding(problem=Problem.OTHER_SCHEMA, rows=summary.rows, text=text)


def _other_dimensions(baseline: Baseline, summary: WindowSummary) -> Iterator[tuple[str, Finding]]:
    """Yield what is wrong with vectors of another dimension, by each of the features that it explains."""
    for vector in baseline.vectors:
        seen = summary.features.get(vector.name + DIMENSION)
        if not isinstance(seen, NumericSummary) or seen.minimum is None or seen.minimum == seen.maximum == vector.dimension:
            continue
        other = seen.minimum if seen.minimum != vector.dimension else seen.maximum
        rows = sum(seen.counts) - summary.vectors[vector.name].rows
        text = f"{vector.name} has {other:.0f} values in a row, and had {vector.dimension}: such rows are not compared; look whether another model makes it; {_NEW_BASELINE}"
        finding = Finding(feature=vector.name, problem=Problem.OTHER_DIMENSION, rows=rows, text=text)
        yield from ((name, finding) for name in made_of_vector(vector))


def _unknown(summary: WindowSummary) -> Iterator[Finding]:
    if summary.unknown:
        text = f"{_names(summary.unknown)}: in the traffic and not in the baseline, so not watched; make a baseline with them if they are features"
        yield Finding(problem=Problem.UNKNOWN, rows=max(summary.unknown.values()), text=text)


def _duplicates(summary: WindowSummary, results: Mapping[str, TestResult]) -> Iterator[Finding]:
    for result in results.values():
        if _is_more(result):
            text = f"{result.statistic:.1%} of the rows equal an earlier row of the window: look for retries, a replay, or a client that is stuck"
            yield Finding(problem=Problem.DUPLICATES, rows=round(result.statistic * summary.rows), text=text)


def _is_more(result: TestResult) -> bool:
    return result.effect >= CalibratedRate.floor and result.p_value < SMALLEST_P_VALUE and result.statistic > 0


def _not_sent(feature: FeatureBaseline, summary: WindowSummary) -> Finding:
    renamed = f"look whether it is called otherwise now ({_names(summary.unknown)})" if summary.unknown else "look whether clients still send it"
    return _finding(feature, Problem.NOT_SENT, summary.rows, f"is in none of {_rows(summary.rows)}, and was in every row of the baseline: {renamed}")


def _of_feature(feature: FeatureBaseline, summary: FeatureSummary, rows: int, results: Mapping[str, TestResult]) -> Iterator[Finding]:
    for test, (problem, what, advice) in _RATES.items():
        result = results.get(test)
        if result is not None and _is_more(result):
            text = f"{_filled(what, feature, summary)} in {result.statistic:.1%} of the rows: {advice}"
            yield _finding(feature, problem, round(result.statistic * rows), text)
    if (value := _stale_value(feature, summary)) is not None:
        text = f"has one value, {value}, in all {_rows(sum(summary.counts))} that have any: look whether its source is still updated"
        yield _finding(feature, Problem.STALE, sum(summary.counts), text)


def _filled(what: str, feature: FeatureBaseline, summary: FeatureSummary) -> str:
    if isinstance(feature, NumericBaseline):
        return what.format(other="text", range=f"{feature.minimum:.4g} to {feature.maximum:.4g}", levels="")
    levels = f" ({_names(summary.new_values)})" if isinstance(summary, CategoricalSummary) and summary.new_values else ""
    return what.format(other="a number", range="", levels=levels)


def _stale_value(feature: FeatureBaseline, summary: FeatureSummary) -> str | None:
    """Return the value that a feature has in all rows, where chance would not do that; None where it has several."""
    present, most = sum(summary.counts), max(summary.counts)
    likeliest = max(feature.counts) / max(1, sum(feature.counts))
    independent = Dependence(feature.memories).independent(present)
    if not present or most < present or independent < SMALLEST_ROWS or likeliest**independent > _BY_CHANCE:
        return None
    if isinstance(feature, CategoricalBaseline):
        level = summary.counts.index(most)
        return repr(feature.levels[level]) if level < len(feature.levels) else None
    assert isinstance(summary, NumericSummary)
    return f"{summary.minimum:.6g}" if summary.minimum is not None and summary.minimum == summary.maximum else None


def _finding(feature: FeatureBaseline, problem: Problem, rows: int, text: str) -> Finding:
    return Finding(feature=feature.name, problem=problem, rows=rows, text=f"{feature.name} {text}")


def _names(names: Sequence[str] | Mapping[str, int]) -> str:
    shown = ", ".join(list(names)[:_NAMES])
    return shown + (f" and {len(names) - _NAMES} more" if len(names) > _NAMES else "")


def _rows(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows:,} rows"
