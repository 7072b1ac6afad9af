"""Rows to window summaries. Summaries of the same window merge by addition, whatever the split of its rows."""

from __future__ import annotations

import heapq
from collections import Counter
from operator import add
from typing import Final

import numpy as np

from detectors.arrays import Column, Columns, Floats, are_codes, levels_of, numbers_of, present_rows
from detectors.binning import LARGEST_VALUE, Binner
from detectors.derived import sources_of
from detectors.duplicates import DuplicateCounter, RowHasher, merged
from detectors.pairs import PairCounter, PairTally
from detectors.random_features import VectorCounter
from records.baseline import Baseline, CategoricalBaseline, NumericBaseline, PairBaseline
from records.window import NO_PAIRS, CategoricalSummary, FeatureSummary, NumericSummary, PairSummary, VectorSummary, WindowSummary

NEW_VALUES: Final = 32
"""The heaviest new levels, and unknown features, that a summary names."""

_NEW_VALUES_OPEN: Final = 1024  # kept while the window is open, so that the heaviest are found among them


class WindowAccumulator:
    """Counts the rows of one window against the bins and levels of a baseline."""

    def __init__(self, baseline: Baseline) -> None:
        self._baseline = baseline
        self._numbers = _NumericCounts([feature for feature in baseline.features if isinstance(feature, NumericBaseline)], baseline.pairs)
        self._levels = [_LevelCounts(feature) for feature in baseline.features if isinstance(feature, CategoricalBaseline)]
        self._vectors = {vector.name: VectorCounter() for vector in baseline.vectors}
        self._hash = RowHasher(baseline.features) if baseline.duplicates else None
        self._duplicates = DuplicateCounter()
        self._known = sources_of(baseline) | {feature.name for feature in baseline.features}
        self._unknown: Counter[str] = Counter()
        self.rows = 0
        self.late_rows = 0
        """Among them; counted by whoever knows when windows closed."""

    def clear(self) -> None:
        """Begin the next window. What the baseline alone decides stays: the look-up of bins takes longer to make than a window takes to count."""
        self._numbers.clear()
        for levels in self._levels:
            levels.clear()
        for vector in self._vectors.values():
            vector.clear()
        self._duplicates.clear()
        self._unknown.clear()
        self.rows = self.late_rows = 0

    def add(self, columns: Columns, first: int, last: int) -> None:
        """Count rows `first` to `last` − 1. A feature without a column is missing in them; vectors come as random features (`derived`)."""
        rows = last - first
        numbers = self._numbers.add(columns, first, rows)
        levels = [each.add(columns[each.baseline.name][first:last] if each.baseline.name in columns else np.full(rows, None)) for each in self._levels]
        for name, counter in self._vectors.items():
            if name in columns:
                counter.add(columns[name][first:last])
        if self._hash is not None:
            self._duplicates.add(self._hash(numbers, levels))
        for name in columns.keys() - self._known:
            self._add_unknown(name, columns[name][first:last])
        self.rows += rows

    def _add_unknown(self, name: str, column: Column) -> None:
        rows = present_rows(column)
        if rows and (name in self._unknown or len(self._unknown) < _NEW_VALUES_OPEN):
            self._unknown[name] += rows

    def resume(self, summary: WindowSummary) -> None:
        """Go on with the window that `summary` tells of; this one must be empty."""
        self.rows, self.late_rows, self._unknown = summary.rows, summary.late_rows, Counter(summary.unknown)
        self._numbers.resume(summary)
        self._duplicates.resume(summary.duplicates)
        for levels in self._levels:
            levels.resume(summary.features[levels.baseline.name])
        for name, counter in self._vectors.items():
            counter.resume(summary.vectors[name])

    def summary(self, *, index: int, opened_at_ns: int, closed_at_ns: int) -> WindowSummary:
        """Return what was counted."""
        features = self._numbers.summaries() | {levels.baseline.name: levels.summary() for levels in self._levels}
        return WindowSummary(
            model=self._baseline.model,
            version=self._baseline.version,
            baseline_id=self._baseline.baseline_id,
            index=index,
            opened_at_ns=opened_at_ns,
            closed_at_ns=closed_at_ns,
            rows=self.rows,
            late_rows=self.late_rows,
            features=features,
            pairs=self._numbers.pairs(),
            vectors={name: counter.summary() for name, counter in self._vectors.items()},
            duplicates=self._duplicates.summary(),
            unknown=_heaviest(self._unknown),
        )


def merge(first: WindowSummary, second: WindowSummary) -> WindowSummary:
    """Return the summary of both summaries' rows: of one window, seen by two replicas against one baseline."""
    if (first.model, first.version, first.baseline_id) != (second.model, second.version, second.baseline_id):
        raise ValueError(
            f"cannot merge windows of different baselines: {first.model} {first.version} ({first.baseline_id})"
            f" and {second.model} {second.version} ({second.baseline_id})"
        )
    return WindowSummary(
        model=first.model,
        version=first.version,
        baseline_id=first.baseline_id,
        index=first.index,
        opened_at_ns=min(first.opened_at_ns, second.opened_at_ns),
        closed_at_ns=max(first.closed_at_ns, second.closed_at_ns),
        rows=first.rows + second.rows,
        late_rows=first.late_rows + second.late_rows,
        features={name: _merge_feature(summary, second.features[name]) for name, summary in first.features.items()},
        pairs=_merge_pairs(first.pairs, second.pairs),
        vectors={name: _merge_vector(summary, second.vectors[name]) for name, summary in first.vectors.items()},
        duplicates=merged(first.duplicates, second.duplicates),
        unknown=_heaviest(Counter(first.unknown) + Counter(second.unknown)),
    )


def _merge_pairs(first: PairSummary, second: PairSummary) -> PairSummary:
    return PairSummary(sums=tuple(map(add, first.sums, second.sums)), products=tuple(map(add, first.products, second.products)))


def _merge_vector(first: VectorSummary, second: VectorSummary) -> VectorSummary:
    return VectorSummary(rows=first.rows + second.rows, sums=tuple(map(add, first.sums, second.sums)))


def _merge_feature(first: FeatureSummary, second: FeatureSummary) -> FeatureSummary:
    counts = tuple(a + b for a, b in zip(first.counts, second.counts, strict=True))
    if isinstance(first, NumericSummary) and isinstance(second, NumericSummary):
        return NumericSummary(
            counts=counts,
            missing=first.missing + second.missing,
            non_finite=first.non_finite + second.non_finite,
            type_changes=first.type_changes + second.type_changes,
            out_of_range=first.out_of_range + second.out_of_range,
            total=first.total + second.total,
            total_squares=first.total_squares + second.total_squares,
            minimum=min((value for value in (first.minimum, second.minimum) if value is not None), default=None),
            maximum=max((value for value in (first.maximum, second.maximum) if value is not None), default=None),
        )
    assert isinstance(first, CategoricalSummary)
    assert isinstance(second, CategoricalSummary)
    return CategoricalSummary(
        counts=counts,
        unseen=first.unseen + second.unseen,
        missing=first.missing + second.missing,
        type_changes=first.type_changes + second.type_changes,
        new_values=_heaviest(Counter(first.new_values) + Counter(second.new_values)),
    )


def _heaviest(new_values: Counter[str]) -> dict[str, int]:
    """Return the most frequent levels; among equals the first by name, so that the order of rows does not matter."""
    return dict(heapq.nsmallest(NEW_VALUES, new_values.items(), key=lambda item: (-item[1], item[0])))


class _NumericCounts:
    """All numeric features at once: one matrix operation per batch in the place of one per feature."""

    def __init__(self, baselines: list[NumericBaseline], pairs: PairBaseline | None) -> None:
        self._baselines = baselines
        self._binner = Binner([baseline.edges for baseline in baselines])
        self._paired = [row for row, baseline in enumerate(baselines) if pairs and baseline.name in pairs.features]
        self._pairs = PairCounter([baselines[row] for row in self._paired], self._binner.bins) if pairs else None
        has_range = [any(baseline.counts) for baseline in baselines]
        self._smallest = np.where(has_range, [baseline.minimum for baseline in baselines], -np.inf)
        self._largest = np.where(has_range, [baseline.maximum for baseline in baselines], np.inf)
        self.clear()

    def clear(self) -> None:
        if self._pairs is not None:
            self._pairs.clear()
        features = len(self._baselines)
        self._counts = np.zeros((features, self._binner.bins), dtype=np.int64)
        self._missing = np.zeros(features, dtype=np.int64)
        self._non_finite = np.zeros(features, dtype=np.int64)
        self._type_changes = np.zeros(features, dtype=np.int64)
        self._out_of_range = np.zeros(features, dtype=np.int64)
        self._total = np.zeros(features)
        self._total_squares = np.zeros(features)
        self._minimum = np.full(features, np.inf)
        self._maximum = np.full(features, -np.inf)

    def add(self, columns: Columns, first: int, rows: int) -> Floats:
        """Count rows, and return their values: features × rows."""
        values = np.full((len(self._baselines), rows), np.nan)
        if not values.size:
            return values
        for index, baseline in enumerate(self._baselines):
            column = columns.get(baseline.name)
            if column is not None:
                values[index], texts = numbers_of(column[first : first + rows])
                self._type_changes[index] += texts
                self._missing[index] -= texts
        self._add(values)
        return values

    def _add(self, values: Floats) -> None:
        valid = np.abs(values) <= LARGEST_VALUE  # not so for NaN
        missing = np.isnan(values).sum(axis=1)
        self._missing += missing
        self._non_finite += values.shape[1] - valid.sum(axis=1) - missing
        whole = valid.all()
        finite = values if whole else np.where(valid, values, 0.0)
        bins = self._binner.bins_of(finite)
        self._counts += self._binner.count(bins, valid)
        if self._pairs is not None:
            self._pairs.add(bins[self._paired], valid[self._paired])
        self._total += finite.sum(axis=1)
        self._total_squares += np.einsum("ij,ij->i", finite, finite)
        lowest = (finite if whole else np.where(valid, values, np.inf)).min(axis=1)
        highest = (finite if whole else np.where(valid, values, -np.inf)).max(axis=1)
        np.minimum(self._minimum, lowest, out=self._minimum)
        np.maximum(self._maximum, highest, out=self._maximum)
        for row in np.flatnonzero((lowest < self._smallest) | (highest > self._largest)).tolist():  # few, as a rule
            outside = (values[row] < self._smallest[row]) | (values[row] > self._largest[row])
            self._out_of_range[row] += np.count_nonzero(outside & valid[row])

    def resume(self, window: WindowSummary) -> None:
        if self._pairs is not None and window.pairs.sums:
            self._pairs.resume(PairTally.of(window.pairs, window.rows))
        for row, baseline in enumerate(self._baselines):
            summary = window.features[baseline.name]
            assert isinstance(summary, NumericSummary)
            self._counts[row, : len(summary.counts)] = summary.counts
            self._missing[row], self._non_finite[row] = summary.missing, summary.non_finite
            self._type_changes[row], self._out_of_range[row] = summary.type_changes, summary.out_of_range
            self._total[row], self._total_squares[row] = summary.total, summary.total_squares
            if summary.minimum is not None and summary.maximum is not None:
                self._minimum[row], self._maximum[row] = summary.minimum, summary.maximum

    def pairs(self) -> PairSummary:
        return NO_PAIRS if self._pairs is None else self._pairs.summary()

    def summaries(self) -> dict[str, FeatureSummary]:
        return {baseline.name: self._summary(row) for row, baseline in enumerate(self._baselines)}

    def _summary(self, row: int) -> NumericSummary:
        counts = self._counts[row, : len(self._baselines[row].counts)].tolist()
        has_values = any(counts)
        return NumericSummary(
            counts=tuple(counts),
            missing=int(self._missing[row]),
            non_finite=int(self._non_finite[row]),
            type_changes=int(self._type_changes[row]),
            out_of_range=int(self._out_of_range[row]),
            total=float(self._total[row]),
            total_squares=float(self._total_squares[row]),
            minimum=float(self._minimum[row]) if has_values else None,
            maximum=float(self._maximum[row]) if has_values else None,
        )


class _LevelCounts:
    """One categorical feature."""

    def __init__(self, baseline: CategoricalBaseline) -> None:
        self.baseline = baseline
        self._position = {level: position for position, level in enumerate(baseline.levels)}
        self._rare = frozenset(baseline.rare_levels)
        self._are_codes = are_codes(baseline.levels)
        self.clear()

    def clear(self) -> None:
        self._counts = [0] * len(self.baseline.counts)
        self._missing = 0
        self._type_changes = 0
        self._unseen = 0
        self._new_values: Counter[str] = Counter()

    def add(self, column: Column) -> list[str | None]:
        """Count rows, and return their levels."""
        levels, numbers = levels_of(column, are_codes=self._are_codes)
        self._type_changes += numbers
        self._missing -= numbers
        for level, rows in Counter(levels).items():
            if level is None:
                self._missing += rows
            else:
                self._counts[self._position.get(level, -1)] += rows
                if level not in self._position and level not in self._rare:
                    self._add_new(level, rows)
        return levels

    def _add_new(self, level: str, rows: int) -> None:
        self._unseen += rows
        if level in self._new_values or len(self._new_values) < _NEW_VALUES_OPEN:
            self._new_values[level] += rows

    def resume(self, summary: FeatureSummary) -> None:
        assert isinstance(summary, CategoricalSummary)
        self._counts = list(summary.counts)
        self._missing, self._type_changes = summary.missing, summary.type_changes
        self._unseen, self._new_values = summary.unseen, Counter(summary.new_values)

    def summary(self) -> CategoricalSummary:
        return CategoricalSummary(
            counts=tuple(self._counts),
            unseen=self._unseen,
            missing=self._missing,
            type_changes=self._type_changes,
            new_values=_heaviest(self._new_values),
        )
