"""A feature's baseline against now, in a few words; and which baseline that is.

Compared is what the tests compare: where the baseline has a cycle, the window is held against what the baseline expects at its hour.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from detectors.cycle import hour_in_words
from detectors.tally import Tally
from records.baseline import Baseline, CategoricalBaseline, FeatureBaseline, NumericBaseline
from records.times import format_time
from records.window import CategoricalSummary, FeatureSummary, NumericSummary


def describe_baseline(baseline: Baseline, at_ns: int) -> str:
    """Return which baseline, from where, of how many rows, made when; and with a cycle, which hour of it a window is compared with whose middle is at `at_ns`."""
    hour = f", at {hour_in_words(baseline.cycle_seconds, at_ns)}" if baseline.cycle_seconds else ""
    made = f"{baseline.rows:,} rows of {baseline.source}, made {format_time(baseline.created_at_ns)}"
    return f"baseline {baseline.baseline_id} ({made}){hour}"


def describe(baseline: FeatureBaseline, expected: Tally, summary: FeatureSummary, rows: int) -> str:
    """Return, for example, `mean 14.1 → 16.3 (+0.61 sd), missing 0.0% → 2.1%`; `expected` is what the baseline lets expect at the window's time."""
    parts: list[str] = []
    if isinstance(baseline, NumericBaseline) and isinstance(summary, NumericSummary):
        parts += _describe_numbers(baseline, expected, summary)
        parts += _describe_rate("not finite", expected.non_finite, expected.rows, summary.non_finite, rows)
        parts += _describe_rate("text for a number", expected.type_changes, expected.rows, summary.type_changes, rows)
        if summary.out_of_range:
            parts.append(f"{summary.out_of_range / sum(summary.counts):.1%} outside {baseline.minimum:.4g} to {baseline.maximum:.4g}")
    elif isinstance(baseline, CategoricalBaseline) and isinstance(summary, CategoricalSummary):
        parts += _describe_levels(baseline, expected, summary)
        parts += _describe_rate("a number for text", expected.type_changes, expected.rows, summary.type_changes, rows)
    else:
        raise TypeError(f"the summary of {baseline.name!r} is not of its kind")
    missing = list(_describe_rate("missing", expected.missing, expected.rows, summary.missing, rows))
    return ", ".join(parts + missing) or f"missing {expected.missing / max(expected.rows, 1):.1%} → {summary.missing / max(rows, 1):.1%}"


def _describe_rate(what: str, events_before: float, rows_before: float, events: int, rows: int) -> Iterator[str]:
    """Yield a rate that is another one now."""
    before, now = events_before / max(rows_before, 1), events / max(rows, 1)
    if abs(now - before) >= 0.001:
        yield f"{what} {before:.1%} → {now:.1%}"


class Moments(NamedTuple):
    """Where numbers lie, and how far they spread."""

    mean: float
    standard_deviation: float


def moments_of(summary: NumericSummary) -> Moments:
    """Return those of a window that has at least one value."""
    rows = sum(summary.counts)
    mean = summary.total / rows
    return Moments(mean, math.sqrt(max(0.0, summary.total_squares / rows - mean**2)))


def expected_moments(baseline: NumericBaseline, expected: Tally) -> Moments:
    """Return those of the baseline, moved by what the expected frequencies of its bins differ from all of it."""
    if not baseline.slices:
        return Moments(baseline.mean, baseline.standard_deviation)
    whole = np.array(baseline.counts, dtype=np.float64)
    moved = expected.counts / (expected.present or 1.0) - whole / (whole.sum() or 1.0)
    centres = np.array(baseline.centres)
    mean = baseline.mean + float(moved @ centres)
    square = baseline.standard_deviation**2 + baseline.mean**2 + float(moved @ centres**2)
    return Moments(mean, math.sqrt(max(0.0, square - mean**2)))


def _describe_numbers(baseline: NumericBaseline, expected: Tally, summary: NumericSummary) -> Iterator[str]:
    if not sum(summary.counts) or not sum(baseline.counts):
        return
    before, now = expected_moments(baseline, expected), moments_of(summary)
    unit = baseline.standard_deviation
    shift = f" ({(now.mean - before.mean) / unit:+.2f} sd)" if unit else ""
    yield f"mean {before.mean:.4g} → {now.mean:.4g}{shift}"
    if abs(now.standard_deviation - before.standard_deviation) > 0.1 * before.standard_deviation:
        yield f"sd {before.standard_deviation:.3g} → {now.standard_deviation:.3g}"


def _describe_levels(baseline: CategoricalBaseline, expected: Tally, summary: CategoricalSummary) -> Iterator[str]:
    rows = sum(summary.counts)
    if not rows or not expected.present:
        return
    shares = [(before, now / rows) for before, now in zip((expected.counts / expected.present).tolist(), summary.counts, strict=True)]
    most = max(range(len(shares)), key=lambda position: abs(shares[position][1] - shares[position][0]))
    name = repr(baseline.levels[most]) if most < len(baseline.levels) else "other levels"
    yield f"{name} {shares[most][0]:.1%} → {shares[most][1]:.1%}"
    if summary.unseen:
        heaviest = ", ".join(repr(level) for level in list(summary.new_values)[:3])
        yield f"never seen before {summary.unseen / rows:.1%} ({heaviest})"
