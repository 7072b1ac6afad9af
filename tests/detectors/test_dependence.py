import numpy as np
import pytest
from scipy import signal

from detectors import dependence
from detectors.dependence import Dependence
from detectors.tally import Tally

ROWS = 20_000
ALL = np.ones(ROWS, dtype=bool)
LONG = 500


def binned(values):
    return np.searchsorted(np.quantile(values, np.arange(1, 64) / 64), values)


def autoregression(rho, rows=ROWS, seed=2):
    return signal.lfilter([np.sqrt(1 - rho**2)], [1, -rho], np.random.default_rng(seed).normal(size=rows))


def in_long_means(curves):
    (memories,) = dependence.memories([curves], ROWS)
    return Dependence(memories).design_effect(LONG)


def of_numbers(bins, present=ALL):
    return in_long_means(dependence.curves_of_numbers(bins, present))


def test_independent_rows_are_worth_about_as_many():
    assert of_numbers(binned(autoregression(0.0))) == pytest.approx(1.0, abs=0.3)


def test_an_autoregression_of_a_half_is_three_times_as_noisy():
    assert of_numbers(binned(autoregression(0.5))) == pytest.approx(3.0, rel=0.3)


def test_bursts_of_spread_are_seen_where_the_mean_does_not_move():
    rng = np.random.default_rng(3)
    scale = np.repeat(rng.choice([0.3, 3.0], ROWS // 20), 20)
    assert of_numbers(binned(rng.normal(size=ROWS) * scale)) > 5


def test_levels_that_come_in_runs_are_as_noisy_as_their_runs():
    runs = np.repeat(np.random.default_rng(4).integers(0, 5, ROWS // 10), 10)
    assert in_long_means(dependence.curves_of_levels(runs, ALL)) == pytest.approx(10.0, rel=0.3)


def test_missing_values_that_come_in_runs_are_seen():
    present = np.repeat(np.random.default_rng(5).random(ROWS // 20) > 0.1, 20)
    assert of_numbers(binned(autoregression(0.0)), present) == pytest.approx(20.0, rel=0.4)


@pytest.mark.parametrize("rows", [0, 1, 10, 50])
def test_too_few_rows_say_nothing(rows):
    bins, present = np.arange(rows), np.ones(rows, dtype=bool)
    curves = [dependence.curves_of_numbers(bins, present), dependence.curves_of_levels(bins, present)]
    assert dependence.memories(curves, rows) == [(), ()]


def test_constant_and_wholly_missing_features_say_nothing():
    constant = np.zeros(ROWS, dtype=int)
    assert of_numbers(constant) == of_numbers(constant, ~ALL) == 1.0
    assert in_long_means(dependence.curves_of_levels(constant, ~ALL)) == 1.0


def test_features_share_what_they_have_in_common_and_one_may_stand_out():
    calm = [dependence.curves_of_numbers(binned(autoregression(0.5, seed=seed)), ALL) for seed in range(10)]
    wild = dependence.curves_of_numbers(binned(autoregression(0.9)), ALL)
    *shared, own = [Dependence(each).design_effect(LONG) for each in dependence.memories([*calm, wild], ROWS)]
    assert max(shared) < 1.3 * min(shared)
    assert own > 2 * max(shared)
    assert dependence.memories([], ROWS) == []


def test_a_feature_that_trends_does_not_make_the_others_dependent():
    calm = [dependence.curves_of_numbers(binned(autoregression(0.0, seed=seed)), ALL) for seed in range(10)]
    trend = dependence.curves_of_numbers(binned(autoregression(0.0) + np.linspace(-1, 1, ROWS)), ALL)
    *others, own = dependence.memories([*calm, trend], ROWS)
    assert others == dependence.memories(calm, ROWS)
    assert Dependence(own).design_effect(ROWS) > 20


def test_features_that_go_together_are_no_surer_than_one():
    one = dependence.curves_of_numbers(binned(autoregression(0.0, seed=3)), ALL)
    assert dependence.memories([one] * 20, ROWS) == dependence.memories([one], ROWS) * 20


def test_the_noise_of_sizes_that_the_baseline_does_not_have_follows_from_its_memory():
    memory, rows, share = 400.0, 100_000, 0.3
    expected = 1 + 2 * memory * share**2
    slow = signal.lfilter([np.sqrt(1 - np.exp(-2 / memory))], [1, -np.exp(-1 / memory)], np.random.default_rng(6).normal(size=(12, rows)), axis=1)
    values = share * slow + np.sqrt(1 - share**2) * np.random.default_rng(7).normal(size=(12, rows))
    curves = [dependence.curves_of_numbers(binned(column), np.ones(rows, dtype=bool)) for column in values]
    fitted = Dependence(dependence.memories(curves, rows)[0])
    assert fitted.design_effect(rows) == pytest.approx(expected, rel=0.35)


def test_windows_foretell_each_other_as_far_as_the_memory_goes():
    assert Dependence(()).wandering(1_000) == (0.0, 0.0)
    _, short = Dependence(((2.0, 3.0),)).wandering(1_000)
    _, long = Dependence(((10_000.0, 3.0),)).wandering(1_000)
    assert short < 0.01
    assert long == pytest.approx(np.exp(-0.1), abs=0.05)


def test_what_windows_share_and_what_they_do_not_is_the_noise_of_two_joined():
    one = Dependence(((300.0, 5.0), (4.0, 2.0)))
    variance, correlation = one.wandering(500)
    joined = (variance * (1 + correlation) + 1 / 500) / 2
    assert one.design_effect(1_000) / 1_000 == pytest.approx(joined)


def test_a_tally_is_worth_fewer_rows_of_the_same_frequencies():
    worth = Dependence(((1.0, 3.0),)).worth(Tally(np.array([300.0, 600.0]), 100.0, 0.0))
    assert worth.rows == pytest.approx(1_000 / 4, rel=0.01)
    assert worth.counts[1] / worth.counts[0] == pytest.approx(2.0)
