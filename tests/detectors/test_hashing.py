import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.baseline import build_baseline, restricted
from detectors.drift import DriftDetector
from detectors.hashing import buckets_of
from detectors.windows import WindowPolicy


def merchants(rows, seed, new=0):
    """Half of the rows are of a few levels, the others of four thousand; `new` of those are others than in the baseline's time."""
    rng = np.random.default_rng(seed)
    rare = rng.integers(0, 4_000, rows)
    rare = np.where(rare < new, rare % 5, rare)
    return np.array([f"large {which % 8}" if head else f"m{which}" for which, head in zip(rare, rng.random(rows) < 0.5, strict=True)], dtype=object)


@given(st.lists(st.none() | st.text(max_size=20) | st.floats(), max_size=8))
def test_every_text_has_a_bucket_and_nothing_else_has(values):
    column = np.array([*values, None], dtype=object)
    found = buckets_of(column).tolist()
    assert [bucket is not None for bucket in found] == [type(value) is str for value in column.tolist()]
    assert all(bucket is None or 0 <= int(bucket) < 64 for bucket in found)


def test_a_change_among_levels_too_rare_to_be_counted_is_seen_in_their_buckets():
    baseline = build_baseline({"merchant": merchants(6_000, 1)}, model="m", source="t", created_at_ns=0)
    assert baseline.hashed == ("merchant",)
    detector = DriftDetector(baseline, threshold=100.0, windows=WindowPolicy(max_rows=1_000, max_seconds=None))
    quiet = detector.update({"merchant": merchants(30_000, 2)}, np.zeros(30_000, dtype=np.int64))
    assert not any(verdict.alert for _, verdict in quiet)
    changed = detector.update({"merchant": merchants(4_000, 3, new=1_500)}, np.zeros(4_000, dtype=np.int64))
    assert "merchant.bucket" in changed[-1][1].carriers


def test_few_levels_have_no_buckets():
    levels = np.array([f"level {index % 60}" for index in range(600)], dtype=object)
    baseline = build_baseline({"level": levels}, model="m", source="t", created_at_ns=0)
    assert (baseline.hashed, [feature.name for feature in baseline.features]) == ((), ["level"])


def test_a_feature_that_is_not_watched_has_no_buckets_either():
    baseline = build_baseline({"merchant": merchants(600, 1), "x": np.arange(600.0)}, model="m", source="t", created_at_ns=0)
    rest = restricted(baseline, lambda name: not name.startswith("merchant"))
    assert (rest.hashed, [feature.name for feature in rest.features]) == ((), ["x"])
