"""A feature's baseline against now, in a few words."""

from __future__ import annotations

import math
from collections.abc import Iterator

from records.baseline import CategoricalBaseline, FeatureBaseline, NumericBaseline
from records.window import CategoricalSummary, FeatureSummary, NumericSummary


def describe(baseline: FeatureBaseline, rows_before: int, summary: FeatureSummary, rows: int) -> str:
    """Return, for example, `mean 14.1 → 16.3 (+0.61 sd), missing 0.0% → 2.1%`."""
    parts: list[str] = []
    if isinstance(baseline, NumericBaseline) and isinstance(summary, NumericSummary):
        parts += _describe_numbers(baseline, summary)
        parts += _describe_rate("not finite", baseline.non_finite, rows_before, summary.non_finite, rows)
        parts += _describe_rate("text for a number", baseline.type_changes, rows_before, summary.type_changes, rows)
        if summary.out_of_range:
            parts.append(f"{summary.out_of_range / sum(summary.counts):.1%} outside {baseline.minimum:.4g} to {baseline.maximum:.4g}")
    elif isinstance(baseline, CategoricalBaseline) and isinstance(summary, CategoricalSummary):
        parts += _describe_levels(baseline, summary)
        parts += _describe_rate("a number for text", baseline.type_changes, rows_before, summary.type_changes, rows)
    else:
        raise TypeError(f"the summary of {baseline.name!r} is not of its kind")
    missing = list(_describe_rate("missing", baseline.missing, rows_before, summary.missing, rows))
    return ", ".join(parts + missing) or f"missing {baseline.missing / max(rows_before, 1):.1%} → {summary.missing / max(rows, 1):.1%}"


def _describe_rate(what: str, events_before: int, rows_before: int, events: int, rows: int) -> Iterator[str]:
    """Yield a rate that is another one now."""
    before, now = events_before / max(rows_before, 1), events / max(rows, 1)
    if abs(now - before) >= 0.001:
        yield f"{what} {before:.1%} → {now:.1%}"


def _describe_numbers(baseline: NumericBaseline, summary: NumericSummary) -> Iterator[str]:
    rows = sum(summary.counts)
    if not rows or not sum(baseline.counts):
        return
    mean, before = summary.total / rows, baseline.standard_deviation
    shift = f" ({(mean - baseline.mean) / before:+.2f} sd)" if before else ""
    yield f"mean {baseline.mean:.4g} → {mean:.4g}{shift}"
    deviation = math.sqrt(max(0.0, summary.total_squares / rows - mean**2))
    if abs(deviation - before) > 0.1 * before:
        yield f"sd {before:.3g} → {deviation:.3g}"


def _describe_levels(baseline: CategoricalBaseline, summary: CategoricalSummary) -> Iterator[str]:
    rows_before, rows = sum(baseline.counts), sum(summary.counts)
    if not rows or not rows_before:
        return
    shares = [(before / rows_before, now / rows) for before, now in zip(baseline.counts, summary.counts, strict=True)]
    most = max(range(len(shares)), key=lambda position: abs(shares[position][1] - shares[position][0]))
    name = repr(baseline.levels[most]) if most < len(baseline.levels) else "other levels"
    yield f"{name} {shares[most][0]:.1%} → {shares[most][1]:.1%}"
    if summary.unseen:
        heaviest = ", ".join(repr(level) for level in list(summary.new_values)[:3])
        yield f"never seen before {summary.unseen / rows:.1%} ({heaviest})"
