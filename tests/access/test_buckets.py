"""Token buckets let through what was promised, and forget rather than grow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access import buckets
from access.buckets import Buckets


def test_a_burst_passes_at_once_and_then_the_rate():
    taken = Buckets(per_second=10, burst=3)
    assert [taken.take("a", 0.0) for _ in range(3)] == [0, 0, 0]
    assert taken.take("a", 0.0) == pytest.approx(0.1)
    assert taken.take("a", 0.05) == pytest.approx(0.05)
    assert taken.take("a", 0.1) == 0
    assert taken.take("a", 0.1) > 0


def test_who_asks_too_often_takes_nothing_from_others():
    taken = Buckets(per_second=1, burst=1)
    assert [taken.take("a", 0.0) > 0 for _ in range(9)] == [False] + 8 * [True]
    assert taken.take("b", 0.0) == 0


def test_a_refusal_costs_nothing_later():
    taken = Buckets(per_second=1, burst=1)
    taken.take("a", 0.0)
    for _ in range(100):
        taken.take("a", 0.5)
    assert taken.take("a", 1.0) == 0


@given(st.integers(1, 50), st.integers(1, 20), st.lists(st.floats(0, 2), max_size=200))
def test_no_more_than_burst_and_rate_pass_in_any_time(per_second, burst, gaps):
    taken, now, passed = Buckets(per_second, burst), 100.0, []
    for gap in gaps:
        now += gap / per_second
        if taken.take("a", now) == 0:
            passed.append(now)
    for first, begin in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + (passed[last] - begin) * per_second + 1e-6


def test_a_crowd_is_forgotten_by_halves_and_whoever_waits_longest_is_kept(monkeypatch):
    monkeypatch.setattr(buckets, "AT_MOST", 100)
    taken = Buckets(per_second=1, burst=2)
    taken.take("flood", 0.0)
    taken.take("flood", 0.0)
    for number in range(1_000):
        taken.take(str(number), 0.0)
        assert len(taken) <= 100
    assert taken.take("flood", 0.0) > 0
