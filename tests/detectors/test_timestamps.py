import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.baseline import build_baseline
from detectors.derived import Derivation
from detectors.drift import DriftDetector
from detectors.timestamps import TimeReader, reads_like_times, time_baseline
from detectors.windows import WindowPolicy
from records.baseline import TimeBaseline

NOW_NS = 1_772_366_400_000_000_000  # 2026-03-01T12:00:00Z
SECOND_NS = 1_000_000_000
BOTH = TimeReader(TimeBaseline(name="d", has_age=True, has_hour=True))


def said(rows, seed, days=0.0, spread_days=0.0):
    """Moments as text, and the times of the requests: some seconds, or days, later."""
    rng = np.random.default_rng(seed)
    ages = rng.exponential(5, rows) + 86_400 * (days + spread_days * rng.random(rows))
    times_ns = NOW_NS + np.arange(rows) * SECOND_NS
    moments = (times_ns - (ages * 1e9).astype(np.int64)).astype("datetime64[ns]")
    return np.array([f"{moment}Z"[:23] + "Z" for moment in moments.astype(str)], dtype=object), times_ns


def test_moments_and_dates_are_told_from_other_text():
    assert reads_like_times(["2026-03-01T12:00:00Z", "2026-03-01 12:00:00.5+01:00", "2026-03-01"])
    assert not reads_like_times(["2026-13-01", "2026-03-32"])
    assert not reads_like_times(["20260301", "2026-W09", "12:00"])
    assert not reads_like_times([])


def test_the_age_is_taken_when_the_model_is_asked_in_whatever_form_the_moment_comes():
    at = NOW_NS - 90 * SECOND_NS
    for column in (
        np.array(["2026-03-01T11:58:30Z", None, "never"], dtype=object),
        np.array([at, "NaT", "NaT"], dtype="datetime64[ns]"),
        np.array([at / 1e9, np.nan, -1.0]),
        np.array([at // 10**6, None, "x"], dtype=object),
    ):
        made = BOTH.columns(column, np.full(3, NOW_NS))
        np.testing.assert_allclose(made["d.age_seconds"], [90, np.nan, np.nan])
        assert made["d.hour"].tolist() == ["11:00", None, None]


def test_the_hour_is_watched_only_where_the_moment_is_not_that_of_the_request():
    fresh, _ = time_baseline("d", *said(300, 1))
    assert (fresh.has_age, fresh.has_hour) == (True, False)
    old, made = time_baseline("d", *said(300, 1, days=1, spread_days=30))
    assert (old.has_age, old.has_hour) == (True, True)
    assert set(made) == {"d.age_seconds", "d.hour"}
    unknown, made = time_baseline("d", said(300, 1)[0], None)
    assert (unknown.has_age, unknown.has_hour, dict(made)) == (False, False, {})


def test_moments_that_stay_fresh_raise_no_alert_and_stale_ones_do():
    column, times_ns = said(2_000, 1)
    baseline = build_baseline({"d": column}, model="m", source="t", created_at_ns=0, times_ns=times_ns)
    assert [feature.name for feature in baseline.features] == ["d.age_seconds"]
    detector = DriftDetector(baseline, threshold=100.0, windows=WindowPolicy(max_rows=200, max_seconds=None))
    quiet = [verdict for seed in range(2, 22) for _, verdict in detector.update({"d": said(200, seed)[0]}, said(200, seed)[1])]
    assert not any(verdict.alert for verdict in quiet)
    stale = [verdict for seed in range(30, 33) for _, verdict in detector.update({"d": said(200, seed, days=0.01)[0]}, said(200, seed)[1])]
    assert stale[-1].carriers == ("d.age_seconds",)


def test_without_times_ages_are_missing():
    made = Derivation(build_baseline({"d": said(200, 1)[0]}, model="m", source="t", created_at_ns=0, times_ns=said(200, 1)[1]))({"d": said(3, 2)[0]})
    assert np.isnan(made["d.age_seconds"]).all()


@given(st.lists(st.none() | st.text(max_size=30) | st.floats() | st.integers(-(10**20), 10**20) | st.booleans(), max_size=6))
def test_whatever_comes_ages_are_numbers_or_missing(values):
    made = BOTH.columns(np.array([*values, None], dtype=object), np.full(len(values) + 1, NOW_NS))
    assert not np.isinf(made["d.age_seconds"]).any()
    assert len(made["d.hour"]) == len(values) + 1
