import numpy as np
import pytest

from detectors.baseline import build_baseline
from detectors.summary import WindowAccumulator
from detectors.words import describe

LEVELS = np.array(["a", "b"] * 100, dtype=object)
NEW = np.array(["a"] * 160 + ["z"] * 40, dtype=object)
BLANK = np.full(200, np.nan)


def described(before, now):
    baseline = build_baseline({"f": before}, model="m", source="test", created_at_ns=0)
    accumulator = WindowAccumulator(baseline)
    accumulator.add({"f": now}, 0, len(now))
    summary = accumulator.summary(index=0, opened_at_ns=0, closed_at_ns=0)
    return describe(baseline.features[0], 200, summary.features["f"], summary.rows)


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
