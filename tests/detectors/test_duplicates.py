"""Rows that equal an earlier one: hashes that merge, what is usual, and evidence of more."""

import itertools

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import detectors.duplicates
from detectors.baseline import build_baseline, restricted
from detectors.drift import DriftDetector
from detectors.duplicate_watch import NAME, DuplicateRateTest
from detectors.duplicates import KEPT, DuplicateCounter, RowHasher, duplicate_baseline, fewest_duplicates, merged
from detectors.windows import WindowPolicy
from records.baseline import DuplicateBaseline, NumericBaseline
from records.verdict import Problem

RNG = np.random.default_rng(1)


def table(rows, rng=RNG):
    return {"age": rng.normal(size=rows), "city": np.array(["a", "b", "c"], dtype=object)[rng.integers(0, 3, rows)]}


BASELINE = build_baseline(table(2_000), model="m", source="test", created_at_ns=0)


def hashed(columns, first=0, last=None, features=BASELINE.features):
    """Return the hashes of rows, as an accumulator has them made."""
    rows = {name: column[first:last] for name, column in columns.items()}
    count = len(next(iter(rows.values())))
    numbers = [rows.get(feature.name, np.full(count, np.nan)) for feature in features if isinstance(feature, NumericBaseline)]
    levels = [rows.get(feature.name, np.full(count, None)).tolist() for feature in features if not isinstance(feature, NumericBaseline)]
    return RowHasher(features)(np.array(numbers), levels)


def counted(*batches):
    counter = DuplicateCounter()
    for batch in batches:
        counter.add(np.array(batch, dtype=np.uint32))
    return counter.summary()


@given(st.lists(st.integers(0, 40), max_size=80), st.lists(st.integers(0, 80), max_size=4), st.sampled_from([8, KEPT]), st.randoms())
def test_any_split_of_the_rows_merges_to_the_same_summary(hashes, cuts, kept, random):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detectors.duplicates, "KEPT", kept)
        whole = counted(hashes)
        bounds = [0, *sorted(min(cut, len(hashes)) for cut in cuts), len(hashes)]
        parts = [counted(hashes[first:last]) for first, last in itertools.pairwise(bounds)]
        random.shuffle(parts)
        found = parts[0]
        for part in parts[1:]:
            found = merged(found, part)
        assert found == whole
        resumed = DuplicateCounter()
        resumed.resume(whole)
        assert resumed.summary() == whole
        assert len(whole.smallest) <= 4 * kept
        if kept == KEPT:
            assert fewest_duplicates(whole, len(hashes)) == len(hashes) - len(set(hashes))


def test_equal_rows_have_one_hash_and_others_another():
    columns = {"age": np.array([0.0, -0.0, np.nan, np.nan, 1.0, 1.0]), "city": np.array(["a", "a", None, None, "a", "b"], dtype=object)}
    found = hashed(columns).tolist()
    assert found[0] == found[1]
    assert found[2] == found[3]
    assert len(set(found)) == 4
    assert hashed(columns, 3).tolist() == found[3:]
    assert hashed(dict(reversed(columns.items()))).tolist() == found
    assert hashed({"age": columns["age"]}, 2, 4).tolist() == found[2:4]  # a feature that is not there is missing


def test_whole_numbers_do_not_collide_more_than_chance_lets_them():
    grid = np.array(list(itertools.product(range(300), range(300))), dtype=np.float64)
    baseline = build_baseline({"x": grid[:, 0], "y": grid[:, 1]}, model="m", source="test", created_at_ns=0)
    hashes = hashed({"x": grid[:, 0], "y": grid[:, 1]}, features=baseline.features)
    assert len(grid) - len(np.unique(hashes)) <= 10  # 90,000² / 2³³ are to be expected


def test_of_many_distinct_rows_no_more_duplicates_are_taken_than_there_are():
    rng = np.random.default_rng(2)
    for duplicates in (0, 10_000, 40_000):
        short = 0
        for _ in range(50):
            distinct = rng.integers(0, 2**32, 100_000 - duplicates, dtype=np.uint32)
            found = fewest_duplicates(counted(distinct, distinct[:duplicates]), 100_000)
            short += found > duplicates
            assert found >= duplicates - 0.25 * 100_000
        assert short <= 2


@pytest.mark.parametrize("levels", [4, 400, 40_000])
def test_it_holds_for_nearly_every_baseline_whatever_the_number_of_different_rows(levels):
    rng = np.random.default_rng(3)
    bad = 0
    for _ in range(40):
        columns = {"x": rng.integers(0, levels, 2_000).astype(np.float64)}
        baseline = build_baseline(columns, model="m", source="test", created_at_ns=0)
        test = DuplicateRateTest(duplicate_baseline(baseline.features, columns), 2_000, 0.05)
        passed = 0
        for _ in range(40):
            rows = int(rng.integers(50, 1_000))
            summary = counted(hashed({"x": rng.integers(0, levels, rows).astype(np.float64)}, features=baseline.features))
            passed += test.result(test.tally(summary, rows)).p_value <= 0.1
        bad += stats.binomtest(passed, 40, 0.1, alternative="greater").pvalue < 0.001
    assert bad <= stats.binom.ppf(0.999, 40, 0.05)


def test_of_more_rows_than_the_baseline_has_more_duplicates_are_usual():
    test = DuplicateRateTest(DuplicateBaseline(lengths=(8, 100), shares=(0.0, 0.01), noise=1.0), 100, 0.01)
    assert (test.usual_share(8), test.usual_share(50), test.usual_share(1_000), test.usual_share(1e6)) == (0.0, 0.01, pytest.approx(0.1), 1.0)


def test_a_client_that_sends_everything_twice_is_found_named_and_resolved():
    rng = np.random.default_rng(4)
    detector = DriftDetector(BASELINE, threshold=200.0, windows=WindowPolicy(max_rows=500, max_seconds=None))

    def window(repeated):
        columns = table(500, rng)
        for column in columns.values():
            column[:repeated] = column[repeated : 2 * repeated]
        [(_, verdict)] = detector.update(columns, np.zeros(500, dtype=np.int64))
        return verdict

    quiet = [window(0) for _ in range(5)]
    assert not any(verdict.quality or verdict.carriers for verdict in quiet)
    firing = [window(40) for _ in range(6)]
    alert = next(verdict for verdict in firing if verdict.alert)
    assert alert.carriers == (NAME,)
    assert "rows that equal an earlier one 0.0% → 8.0%" in alert.features[0].summary
    [finding] = alert.quality
    assert (finding.problem, finding.rows) == (Problem.DUPLICATES, 40)
    assert any(window(0).resolved for _ in range(60))


def test_a_baseline_without_what_is_usual_is_watched_without_it():
    for former in (msgspec.structs.replace(BASELINE, duplicates=None), restricted(BASELINE, lambda name: name == "age")):
        detector = DriftDetector(former, threshold=200.0, windows=WindowPolicy(max_rows=500, max_seconds=None))
        [(summary, verdict)] = detector.update({name: column[[0] * 500] for name, column in table(1).items()}, np.zeros(500, dtype=np.int64))
        assert summary.duplicates.smallest == b""
        assert NAME not in {feature.feature for feature in verdict.features}
