import numpy as np
import pytest
from scipy import signal

from detectors import design_effect

ROWS = 20_000
ALL = np.ones(ROWS, dtype=bool)


def binned(values):
    return np.searchsorted(np.quantile(values, np.arange(1, 64) / 64), values)


def autoregression(rho, rows=ROWS):
    return signal.lfilter([np.sqrt(1 - rho**2)], [1, -rho], np.random.default_rng(2).normal(size=rows))


def test_independent_rows_are_worth_about_as_many():
    assert design_effect.of_numbers(binned(autoregression(0.0)), ALL) == pytest.approx(1.0, abs=0.35)


def test_an_autoregression_of_a_half_is_three_times_as_noisy():
    assert design_effect.of_numbers(binned(autoregression(0.5)), ALL) == pytest.approx(3.0, rel=0.3)


def test_bursts_of_spread_are_seen_where_the_mean_does_not_move():
    rng = np.random.default_rng(3)
    scale = np.repeat(rng.choice([0.3, 3.0], ROWS // 20), 20)
    assert design_effect.of_numbers(binned(rng.normal(size=ROWS) * scale), ALL) > 5


def test_levels_that_come_in_runs_are_as_noisy_as_their_runs():
    runs = np.repeat(np.random.default_rng(4).integers(0, 5, ROWS // 10), 10)
    assert design_effect.of_levels(runs, ALL) == pytest.approx(10.0, rel=0.3)


def test_missing_values_that_come_in_runs_are_seen():
    present = np.repeat(np.random.default_rng(5).random(ROWS // 20) > 0.1, 20)
    assert design_effect.of_numbers(binned(autoregression(0.0)), present) == pytest.approx(20.0, rel=0.4)


@pytest.mark.parametrize("rows", [0, 1, 10, 50])
def test_too_few_rows_say_nothing(rows):
    assert design_effect.of_numbers(np.arange(rows), np.ones(rows, dtype=bool)) == 1.0
    assert design_effect.of_levels(np.arange(rows), np.ones(rows, dtype=bool)) == 1.0


def test_constant_and_wholly_missing_features_say_nothing():
    assert design_effect.of_numbers(np.zeros(ROWS, dtype=int), ALL) == 1.0
    assert design_effect.of_numbers(np.zeros(ROWS, dtype=int), ~ALL) == 1.0
    assert design_effect.of_levels(np.zeros(ROWS, dtype=int), ~ALL) == 1.0


def test_estimates_are_raised_to_their_mean_and_to_one():
    assert design_effect.pooled([0.5, 1.5, 4.0]) == [2.0, 2.0, 4.0]
    assert design_effect.pooled([0.2, 0.4]) == [1.0, 1.0]
    assert design_effect.pooled([]) == []
