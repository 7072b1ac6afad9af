import numpy as np
import pytest

from detectors.baseline import build_baseline
from detectors.cycle import Cycle, Season, Timed
from detectors.summary import WindowAccumulator
from detectors.tally import Tally
from detectors.words import describe, describe_baseline

LEVELS = np.array(["a", "b"] * 100, dtype=object)
NEW = np.array(["a"] * 160 + ["z"] * 40, dtype=object)
BLANK = np.full(200, np.nan)


def described(before, now):
    baseline = build_baseline({"f": before}, model="m", source="test", created_at_ns=0)
    accumulator = WindowAccumulator(baseline)
    accumulator.add({"f": now}, 0, len(now))
    summary = accumulator.summary(index=0, opened_at_ns=0, closed_at_ns=0)
    return describe(baseline.features[0], Tally.of_baseline(baseline.features[0], 200), summary.features["f"], summary.rows)


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        (np.resize([1.0, 3.0], 200), np.resize([2.0, 4.0], 200), "mean 2 → 3 (+1.00 sd), 50.0% outside 1 to 3"),
        (np.resize([1.0, 3.0], 200), np.resize([0.0, 4.0], 200), "mean 2 → 2 (+0.00 sd), sd 1 → 2, 100.0% outside 1 to 3"),
        (np.full(200, 5.0), np.full(200, 7.0), "mean 5 → 7, 100.0% outside 5 to 5"),
        (np.full(200, 5.0), np.resize([5.0, np.inf], 200), "mean 5 → 5, not finite 0.0% → 50.0%"),
        (np.full(200, 5.0), np.resize(np.array([5.0, "n/a"], dtype=object), 200), "mean 5 → 5, text for a number 0.0% → 50.0%"),
        (LEVELS, np.resize(np.array(["a", 1.0, "b"], dtype=object), 300), "'a' 50.0% → 50.0%, a number for text 0.0% → 33.3%"),
        (np.arange(200.0), BLANK, "missing 0.0% → 100.0%"),
        (BLANK, BLANK, "missing 100.0% → 100.0%"),
        (LEVELS, LEVELS[::2], "'a' 50.0% → 100.0%"),
        (LEVELS, NEW, "'b' 50.0% → 0.0%, never seen before 20.0% ('z')"),
    ],
)
def test_baseline_and_now_are_told_in_a_few_words(before, now, words):
    assert described(before, now) == words


HOUR_NS = 3_600_000_000_000


@pytest.fixture(scope="module")
def tidal():
    """Three days: numbers as large as the hour, levels and missing values that depend on it."""
    times_ns = np.arange(0, 72 * HOUR_NS, HOUR_NS // 200)
    hours = times_ns // HOUR_NS % 24
    columns = {
        "number": hours + np.random.default_rng(1).normal(size=len(hours)),
        "level": np.where(hours < 12, "am", "pm").astype(object),
        "gaps": np.where((hours < 12) & (np.arange(len(hours)) % 2 == 0), np.nan, 1.0),
    }
    return build_baseline(columns, model="m", source="tides.csv", created_at_ns=1_763_640_000_000_000_000, timed=Timed(times_ns, Cycle.DAY))


def test_where_the_baseline_has_a_cycle_its_hour_is_what_is_compared_with(tidal):
    accumulator = WindowAccumulator(tidal)
    rng = np.random.default_rng(2)
    accumulator.add({"number": 20 + rng.normal(size=500), "level": np.full(500, "pm", dtype=object), "gaps": np.ones(500)}, 0, 500)
    at_ns = 100 * 24 * HOUR_NS + 20 * HOUR_NS + HOUR_NS // 2
    summary = accumulator.summary(index=0, opened_at_ns=at_ns, closed_at_ns=at_ns)
    words = {each.name: describe(each, Season.of(each, tidal.rows).expected(at_ns), summary.features[each.name], 500) for each in tidal.features}
    assert words["number"].startswith("mean 20.")
    assert float(words["number"].split()[1]) == pytest.approx(20, abs=0.2)  # all of it would be 11.5
    assert "sd)" in words["number"]
    assert ", sd" not in words["number"]  # nor is the spread that of all hours
    assert words["level"] == "'am' 0.0% → 0.0%"
    assert words["gaps"] == "mean 1 → 1"


def test_which_baseline_is_told_with_its_hour(tidal):
    words = describe_baseline(tidal, 20 * HOUR_NS + 1)
    assert words == f"baseline {tidal.baseline_id} (14,400 rows of tides.csv, made 2025-11-20T12:00:00.000Z), at 20:00–21:00 UTC"
    without = build_baseline({"f": np.arange(200.0)}, model="m", source="t.csv", created_at_ns=0)
    assert describe_baseline(without, 5).endswith("made 1970-01-01T00:00:00.000Z)")
