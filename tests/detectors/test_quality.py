"""Odd data: a clear finding for each, never a crash, nothing that is no number, nothing left out in silence."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.arrays import is_numeric
from detectors.baseline import build_baseline
from detectors.drift import DriftDetector
from detectors.quality import baseline_findings
from detectors.windows import WindowPolicy
from records.verdict import OF_BASELINES, Problem, Verdict

ROWS = 200
RNG = np.random.default_rng(1)
NUMBERS = RNG.normal(50, 10, size=ROWS)
LEVELS = np.array(["a", "b", "c", "d"], dtype=object)[RNG.integers(0, 4, ROWS)]
BASELINE = build_baseline({"age": NUMBERS, "city": LEVELS}, model="m", source="t.csv", created_at_ns=1)


def judged(baseline, columns, rows=ROWS):
    detector = DriftDetector(baseline, threshold=100.0, windows=WindowPolicy(max_rows=max(rows, 1), max_seconds=None, min_rows=1))
    [(_, verdict)] = detector.update(columns, np.zeros(rows, dtype=np.int64))
    return verdict


def changed(column, share, value):
    made = column.astype(object)
    made[: round(share * len(column))] = value
    return made


@pytest.mark.parametrize(
    ("columns", "feature", "problem", "words"),
    [
        ({}, "age", Problem.NOT_SENT, "look whether clients still send it"),
        ({"Age": NUMBERS}, "age", Problem.NOT_SENT, "called otherwise now (Age)"),
        ({"age": changed(NUMBERS, 0.5, None)}, "age", Problem.MISSING, "age has no value in 50.0% of the rows"),
        ({"age": changed(NUMBERS, 0.5, np.inf)}, "age", Problem.NON_FINITE, "division by 0"),
        ({"age": changed(NUMBERS, 0.5, "n/a")}, "age", Problem.OTHER_TYPE, "age comes as text in 50.0% of the rows"),
        ({"age": np.full(ROWS, "41", dtype=object)}, "age", Problem.OTHER_TYPE, "comes as text in 100.0%"),
        ({"age": changed(NUMBERS, 0.5, 999.0)}, "age", Problem.OUT_OF_RANGE, "outside the baseline's"),
        ({"age": np.full(ROWS, 50.0)}, "age", Problem.STALE, "age has one value, 50, in all 200 rows"),
        ({"city": changed(LEVELS, 0.5, 7.0)}, "city", Problem.OTHER_TYPE, "comes as a number"),
        ({"city": changed(LEVELS, 0.5, "Ulm")}, "city", Problem.UNSEEN, "never saw (Ulm)"),
        ({"city": np.full(ROWS, "b", dtype=object)}, "city", Problem.STALE, "one value, 'b'"),
        ({"new": NUMBERS}, "", Problem.UNKNOWN, "make a baseline with them"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(columns, feature, problem, words):
    usual = {"age": NUMBERS, "city": LEVELS}
    if feature in usual and feature not in columns:
        del usual[feature]
    found = {(finding.feature, finding.problem): finding for finding in judged(BASELINE, usual | columns).quality}
    assert words in found[feature, problem].text
    assert 0 < found[feature, problem].rows <= ROWS


def test_nothing_is_wrong_with_traffic_like_the_baseline():
    rng = np.random.default_rng(7)
    for _ in range(20):
        columns = {"age": rng.normal(50, 10, size=ROWS), "city": np.array(["a", "b", "c", "d"], dtype=object)[rng.integers(0, 4, ROWS)]}
        assert judged(BASELINE, columns).quality == ()


@pytest.mark.parametrize("rows", [1, 7])
def test_a_window_of_almost_no_rows_says_that_nothing_was_tested(rows):
    [finding] = judged(BASELINE, {"age": NUMBERS[:rows], "city": LEVELS[:rows]}, rows).quality
    assert (finding.problem, finding.rows) == (Problem.FEW_ROWS, rows)


def test_a_baseline_of_another_schema_is_one_finding():
    [finding] = judged(BASELINE, {"height": NUMBERS, "town": LEVELS}).quality
    assert finding.problem is Problem.OTHER_SCHEMA
    assert "(age, city)" in finding.text
    assert "height, town" in finding.text
    assert "driftline baseline --model m" in finding.text


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        (np.full(ROWS, 7.0), Problem.CONSTANT),
        (np.full(ROWS, "a", dtype=object), Problem.CONSTANT),
        (np.full(ROWS, np.nan), Problem.NO_BASELINE),
        (np.full(ROWS, np.inf), Problem.NO_BASELINE),
        (np.full(ROWS, None, dtype=object), Problem.NO_BASELINE),
        (np.array([f"id {number}" for number in range(ROWS)], dtype=object), Problem.ALL_DIFFERENT),
        (NUMBERS, None),
        (LEVELS, None),
    ],
)
def test_a_feature_that_can_show_little_is_found_in_the_baseline(column, problem):
    found = baseline_findings(build_baseline({"x": column}, model="m", source="t.csv", created_at_ns=1))
    assert [finding.problem for finding in found] == ([problem] if problem else [])
    assert all("x has" in finding.text for finding in found)


VALUES = {
    "numbers": st.floats(width=64),
    "few numbers": st.sampled_from([0.0, 1.0, -0.0, 1e300, -1e300, np.inf, -np.inf, np.nan, 5e-324]),
    "levels": st.none() | st.sampled_from(["", "a", "ä", "1", "1.0", "nan", "x" * 300]),
    "both": st.none() | st.floats() | st.text(max_size=3),
    "nothing": st.none(),
}


@st.composite
def columns_of(draw, rows):
    """Columns of so many rows of a few values each: each of any kind, or not there."""
    columns = {}
    for name in draw(st.sets(st.sampled_from(["a", "b", "c"]), min_size=1)):
        kind = draw(st.sampled_from(sorted(VALUES)))
        pool = draw(st.lists(VALUES[kind], min_size=1, max_size=6))
        picked = [pool[index] for index in np.random.default_rng(draw(st.integers(0, 9))).integers(0, len(pool), rows)]
        columns[name] = np.array(picked, dtype=np.float64 if "numbers" in kind else np.object_)
    return columns


@settings(max_examples=40, deadline=None)
@given(columns_of(120), st.tuples(*map(columns_of, (1, 12, 120))))
def test_whatever_comes_is_judged_in_numbers_and_no_feature_is_left_out_in_silence(before, windows):
    baseline = build_baseline(before, model="m", source="any", created_at_ns=1)
    detector = DriftDetector(baseline, threshold=100.0, windows=WindowPolicy(max_rows=1_000, max_seconds=None))
    for columns in windows:
        rows = len(next(iter(columns.values())))
        detector.update(columns, np.zeros(rows, dtype=np.int64))
        summary, verdict = detector.close()
        for feature in summary.features.values():
            assert sum(feature.counts) + feature.missing + feature.type_changes + getattr(feature, "non_finite", 0) == rows
            assert min(*feature.counts, feature.missing, feature.type_changes) >= 0
        written = msgspec.json.encode(verdict)  # JSON has no NaN: it would come back as null, and not be read
        assert msgspec.json.decode(written, type=Verdict) == verdict
        spoken_of = {finding.feature for finding in (*verdict.quality, *baseline_findings(baseline))}
        if not spoken_of & {""}:
            tested = {feature.feature for feature in verdict.features if feature.tests}
            assert {feature.name for feature in baseline.features} <= tested | spoken_of
            unknown = {name for name, column in columns.items() if name not in before and holds_anything(column)}
            assert not unknown
        assert not any(finding.problem in OF_BASELINES for finding in verdict.quality)


def holds_anything(column):
    return bool((~np.isnan(column)).any()) if is_numeric(column) else any(value is not None for value in column.tolist())
