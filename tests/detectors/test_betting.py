import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.betting import SHARES, log_capitals, log_capitals_of_fall, upper_bound
from detectors.evidence import log_mean

LOSSES = st.lists(st.floats(0, 1), max_size=50).map(np.array)


def capital(log_capitals):
    return math.exp(log_mean(log_capitals.tolist()))


def test_no_bet_wins_in_the_long_run_where_the_mean_has_not_risen():
    rng = np.random.default_rng(1)
    for draw in (lambda: rng.beta(0.5, 4.5, 20), lambda: (rng.random(20) < 0.1) * 1.0, lambda: np.full(20, 0.1)):
        assert np.mean([np.exp(log_capitals(draw(), 0.1)) for _ in range(4_000)], axis=0).max() < 1.15


@pytest.mark.parametrize("share", SHARES)
def test_each_share_is_right_for_a_rise_of_its_size(share):
    mean = 0.1
    risen = mean + share * (1 - mean)
    gains = risen * np.log1p(SHARES * (1 / mean - 1)) + (1 - risen) * np.log1p(-SHARES)
    assert SHARES[gains.argmax()] == share


@given(LOSSES, LOSSES, st.floats(0.01, 0.99))
def test_rows_of_two_windows_win_together_what_they_win_apart(first, second, mean):
    together = log_capitals(np.concatenate([first, second]), mean)
    assert together == pytest.approx(log_capitals(first, mean) + log_capitals(second, mean), abs=1e-9)


@given(LOSSES, st.floats(0.01, 0.99))
def test_a_fall_is_a_rise_of_what_is_not_lost(losses, mean):
    assert log_capitals_of_fall(losses, mean) == pytest.approx(log_capitals(1 - losses, 1 - mean))


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=50).map(np.array))
def test_an_upper_bound_is_at_the_mean_or_above_and_falls_with_what_is_risked(losses):
    low, high = upper_bound(losses, 0.2), upper_bound(losses, 0.01)
    assert np.mean(losses) - 1e-9 <= low <= high <= 1.0


@pytest.mark.parametrize(("first", "second"), [(0.5, 4.5), (3.0, 7.0), (20.0, 1.0)])
def test_an_upper_bound_holds_as_often_as_it_says(first, second):
    rng = np.random.default_rng(3)
    mean = first / (first + second)
    missed = sum(upper_bound(rng.beta(first, second, 300), 0.1) < mean for _ in range(400))
    assert missed <= 400 * 0.1 + 2 * math.sqrt(400 * 0.1 * 0.9)


def test_an_upper_bound_closes_in_on_the_mean():
    rng = np.random.default_rng(4)
    gaps = [upper_bound(losses := rng.beta(2, 8, rows), 0.05) - losses.mean() for rows in (100, 1_000, 10_000)]
    assert gaps[0] > 2.5 * gaps[1] > 6 * gaps[2]
    assert gaps[2] < 0.005


def test_alike_rows_are_worth_fewer():
    losses = np.repeat(np.random.default_rng(5).beta(2, 8, 200), 5)
    assert log_capitals(losses, 0.1, 0.2) == pytest.approx(log_capitals(losses[::5], 0.1))
    assert upper_bound(losses, 0.05, 0.2) > upper_bound(losses, 0.05)


def test_losses_without_a_risk_give_numbers():
    never, always = np.zeros(500), np.ones(500)
    assert upper_bound(never, 0.05) == pytest.approx(0.007, abs=0.002)
    assert upper_bound(always, 0.05) == 1.0
    assert np.isfinite(log_capitals(always, 0.0)).all()
    assert capital(log_capitals(always, 1.0)) == pytest.approx(1.0)
    assert capital(log_capitals(np.array([]), 0.1)) == 1.0
