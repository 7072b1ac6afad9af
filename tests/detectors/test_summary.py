import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.baseline import build_baseline
from detectors.summary import NEW_VALUES, WindowAccumulator, merge
from records.window import CategoricalSummary, NumericSummary

RNG = np.random.default_rng(1)


def columns(rows, rng=RNG):
    return {
        "smooth": rng.normal(size=rows),
        "discrete": rng.poisson(2, rows).astype(float),
        "level": np.array(["a", "b", "c"], dtype=object)[rng.integers(0, 3, rows)],
    }


BASELINE = build_baseline(columns(400), model="m", version="1", source="test", created_at_ns=0)


def summarise(table, first=0, last=None, baseline=BASELINE):
    accumulator = WindowAccumulator(baseline)
    accumulator.add(table, first, len(next(iter(table.values()))) if last is None else last)
    return accumulator.summary(index=0, opened_at_ns=1, closed_at_ns=2)


def messy(rows, seed):
    rng = np.random.default_rng(seed)
    table = columns(rows, rng)
    table["smooth"][rng.random(rows) < 0.2] = np.nan
    table["smooth"][rng.random(rows) < 0.1] = np.inf
    table["smooth"][rng.random(rows) < 0.1] = 100.0
    table["discrete"] = table["discrete"].astype(object)
    table["discrete"][rng.random(rows) < 0.2] = "n/a"
    table["level"][rng.random(rows) < 0.2] = None
    table["level"][rng.random(rows) < 0.2] = "new"
    table["level"][rng.random(rows) < 0.2] = 5.0
    return table | {f"unknown {number}": np.where(rng.random(rows) < 0.5, np.nan, 1.0) for number in range(3)}


@settings(max_examples=50)
@given(st.integers(0, 1000), st.lists(st.integers(0, 60), max_size=5), st.randoms())
def test_any_split_of_the_rows_over_replicas_merges_to_the_same_counts(seed, cuts, random):
    table = messy(60, seed)
    whole = summarise(table)
    bounds = [0, *sorted(cuts), 60]
    parts = [summarise(table, first, last) for first, last in itertools.pairwise(bounds)]
    random.shuffle(parts)
    merged = parts[0]
    for part in parts[1:]:
        merged = merge(merged, part)
    assert (merged.rows, merged.unknown) == (whole.rows, whole.unknown)
    for name, expected in whole.features.items():
        found = merged.features[name]
        assert (found.counts, found.missing, found.type_changes) == (expected.counts, expected.missing, expected.type_changes)
        if isinstance(expected, NumericSummary):
            exact = ("non_finite", "out_of_range", "minimum", "maximum")
            assert [getattr(found, field) for field in exact] == [getattr(expected, field) for field in exact]
            assert found.total == pytest.approx(expected.total)
            assert found.total_squares == pytest.approx(expected.total_squares)
        else:
            assert (found.unseen, found.new_values) == (expected.unseen, expected.new_values)


def test_every_row_is_in_a_bin_or_missing_or_not_finite():
    table = columns(6)
    table["smooth"] = np.array([0.0, np.nan, np.inf, -np.inf, 1e200, 1.0])
    summary = summarise(table).features["smooth"]
    assert (sum(summary.counts), summary.missing, summary.non_finite) == (2, 1, 3)
    assert (summary.total, summary.total_squares, summary.minimum, summary.maximum) == (1.0, 1.0, 0.0, 1.0)


def test_a_feature_that_is_absent_from_a_batch_is_missing_in_it():
    summary = summarise({"smooth": np.zeros(5), "unknown": np.zeros(5)})
    assert summary.features["discrete"].missing == 5
    assert summary.features["level"].missing == 5
    assert summary.features["smooth"].missing == 0
    assert "unknown" not in summary.features


def test_values_of_another_type_are_counted_and_numbers_in_the_place_of_codes_are_codes():
    levels = {"code": np.array(["1", "2"] * 100, dtype=object), "city": np.array(["Bonn", "Ulm"] * 100, dtype=object)}
    baseline = build_baseline({**levels, "x": np.zeros(200)}, model="m", source="test", created_at_ns=0)
    rows = {
        "code": np.array([1.0, 2.0, 2.0, np.nan]),
        "city": np.array(["Ulm", 7.0, None, 8.0], dtype=object),
        "x": np.array(["a", 0.0, None, "c"], dtype=object),
    }
    summary = summarise(rows, baseline=baseline)
    counted = {name: (feature.counts, feature.missing, feature.type_changes) for name, feature in summary.features.items()}
    assert counted == {"code": ((1, 2, 0), 1, 0), "city": ((0, 1, 0), 1, 2), "x": ((0, 1, 0), 1, 2)}


def test_numbers_beyond_what_the_baseline_saw_are_out_of_range():
    baseline = build_baseline({"x": np.linspace(-1.0, 1.0, 200), "never": np.full(200, np.nan)}, model="m", source="test", created_at_ns=0)
    rows = np.array([-1.0, 1.0, 1.5, -2.0, np.nan, np.inf, 1e200])
    summary = summarise({"x": rows, "never": rows}, baseline=baseline)
    assert (summary.features["x"].out_of_range, sum(summary.features["x"].counts)) == (2, 4)
    assert summary.features["never"].out_of_range == 0


def test_levels_that_the_baseline_saw_but_does_not_count_are_not_unseen():
    levels = [f"common {index}" for index in range(64)] * 5 + [f"rare {index}" for index in range(30)]
    baseline = build_baseline({"level": np.array(levels, dtype=object)}, model="m", source="test", created_at_ns=0)
    summary = summarise({"level": np.array(["rare 3", "rare 4", "never", "common 1"], dtype=object)}, baseline=baseline).features["level"]
    assert isinstance(summary, CategoricalSummary)
    assert (summary.counts[-1], summary.unseen, summary.new_values) == (3, 1, {"never": 1})


def test_only_the_heaviest_new_levels_are_named_and_all_are_counted():
    new = [f"new {index:04}" for index in range(3_000)] + ["heavy"] * 10
    table = {"level": np.array(sorted(new), dtype=object)}
    summary = summarise(table).features["level"]
    assert summary.unseen == 3_010
    assert len(summary.new_values) == NEW_VALUES
    assert summary.new_values["heavy"] == 10


def test_a_window_goes_on_from_its_summary():
    table = messy(60, 7)
    resumed = WindowAccumulator(BASELINE)
    resumed.resume(summarise(table, 0, 25))
    resumed.add(table, 25, 60)
    whole = summarise(table)
    found = resumed.summary(index=0, opened_at_ns=1, closed_at_ns=2)
    assert {name: feature.counts for name, feature in found.features.items()} == {name: feature.counts for name, feature in whole.features.items()}
    assert found.features["level"] == whole.features["level"]
    for field in ("maximum", "out_of_range"):
        assert getattr(found.features["smooth"], field) == getattr(whole.features["smooth"], field)
    assert found.features["discrete"].type_changes == whole.features["discrete"].type_changes > 0


def test_an_empty_window_has_no_extremes():
    summary = summarise({"smooth": np.array([np.nan])}).features["smooth"]
    assert (summary.minimum, summary.maximum, summary.total) == (None, None, 0.0)


def test_windows_of_different_baselines_do_not_merge():
    other = build_baseline(columns(400), model="m", version="2", source="test", created_at_ns=0)
    with pytest.raises(ValueError, match="different baselines"):
        merge(summarise(columns(5)), summarise(columns(5), baseline=other))
