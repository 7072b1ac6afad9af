"""One period against the one before."""

import numpy as np
import pytest

from detectors.baseline import build_baseline
from detectors.rolling import changes
from detectors.summary import WindowAccumulator

WINDOW_ROWS = 250


def table(rows, seed, shift=0.0, share=0.5):
    rng = np.random.default_rng(seed)
    levels = np.where(rng.random(rows) < share, "a", "b").astype(object)
    return {"moving": rng.normal(size=rows) + shift, "steady": rng.normal(size=rows), "level": levels, "never": np.full(rows, np.nan)}


BASELINE = build_baseline(table(4_000, 0), model="m", source="test", created_at_ns=0)


def period(windows, seed, **changed):
    found = []
    for index in range(windows):
        accumulator = WindowAccumulator(BASELINE)
        accumulator.add(table(WINDOW_ROWS, 100 * seed + index, **changed), 0, WINDOW_ROWS)
        found.append(accumulator.summary(index=index, opened_at_ns=100 * seed + index, closed_at_ns=100 * seed + index + 1))
    return found


def test_what_changed_from_one_period_to_the_next_is_reported_against_the_period_before():
    found = changes(BASELINE, period(8, 1, shift=1.0), period(12, 2, shift=1.5))
    assert [feature.feature for feature in found.features] == ["moving"]
    assert "+0.5" in found.features[0].summary
    assert "mean 1.0" in found.features[0].summary or "mean 0.9" in found.features[0].summary
    assert found.unchanged == 3
    assert (found.before.windows, found.before.rows, found.before.opened_at_ns, found.before.closed_at_ns) == (8, 2_000, 100, 108)
    assert (found.now.windows, found.now.rows, found.now.opened_at_ns) == (12, 3_000, 200)


def test_what_changed_before_is_no_change_any_more():
    assert changes(BASELINE, period(8, 1, shift=1.0, share=0.9), period(8, 2, shift=1.0, share=0.9)).features == ()


def test_levels_and_what_is_missing_are_reported_too():
    now = period(8, 2, share=0.8)
    assert [feature.feature for feature in changes(BASELINE, period(8, 1), now).features] == ["level"]


@pytest.mark.parametrize("windows", [1, 20])
def test_periods_that_are_alike_are_reported_as_unchanged(windows):
    assert not any(changes(BASELINE, period(windows, seed), period(windows, seed + 1)).features for seed in range(1, 30, 2))
