import numpy as np
import pytest

from detectors.baseline import build_baseline
from detectors.summary import WindowAccumulator
from detectors.tally import News, Tally
from detectors.univariate import univariate_tests

RISK = 0.001
RNG = np.random.default_rng(1)


def univariate(column):
    baseline = build_baseline({"f": column}, model="m", source="test", created_at_ns=0)
    return {test.name: test for test in univariate_tests(baseline.features[0], baseline.rows, RISK)}


def levels(**rows):
    return np.repeat(np.array(list(rows), dtype=object), list(rows.values()))[RNG.permutation(sum(rows.values()))]


@pytest.mark.parametrize(
    ("column", "names"),
    [
        (RNG.normal(size=2_000), {"ks", "wasserstein", "psi", "chi_squared", "missing_rate"}),
        (np.full(2_000, 3.0), {"ks", "missing_rate"}),  # no spread to measure distances by, and one cell
        (np.full(2_000, np.nan), {"missing_rate"}),
        (levels(a=1_000, b=1_000), {"chi_squared", "missing_rate", "unseen_rate"}),
        (levels(a=1_995, b=5), {"other_rate", "missing_rate", "unseen_rate"}),  # b is too rare for chi-squared
        (np.array([f"id {n}" for n in range(2_000)], dtype=object), {"missing_rate", "unseen_rate"}),
        (np.full(2_000, None, dtype=object), {"missing_rate"}),
    ],
)
def test_a_feature_gets_the_tests_that_its_baseline_allows(column, names):
    assert univariate(column).keys() == names


def test_only_effects_with_a_floor_may_raise_an_alert():
    numeric, categorical = univariate(RNG.normal(size=2_000)), univariate(levels(a=1_000, b=1_000))
    assert {name for name, test in numeric.items() if test.effect} == {"ks", "wasserstein", "missing_rate"}
    assert {name for name, test in categorical.items() if test.effect} == {"chi_squared", "missing_rate", "unseen_rate"}


def test_floors_are_those_of_practice_or_what_a_small_baseline_can_tell():
    large, small = univariate(RNG.normal(size=50_000)), univariate(RNG.normal(size=500))
    assert (large["ks"].effect.floor, large["wasserstein"].effect.floor, large["missing_rate"].effect.floor) == (0.05, 0.1, 0.01)
    assert small["ks"].effect.floor > 0.05
    assert small["wasserstein"].effect.floor > 0.1


def test_levels_seen_by_chance_do_not_look_gone():
    """With a long tail the levels seen a few times are those that chance favoured: each will be seen less, and others more."""
    rng = np.random.default_rng(2)
    drawn = [np.array([f"level {number}" for number in rng.zipf(1.5, rows)], dtype=object) for rows in (500, 100_000)]
    baseline = build_baseline({"f": drawn[0]}, model="m", source="test", created_at_ns=0)
    accumulator = WindowAccumulator(baseline)
    accumulator.add({"f": drawn[1]}, 0, 100_000)
    tally = Tally.of(accumulator.summary(index=0, opened_at_ns=0, closed_at_ns=0).features["f"])
    test = univariate(drawn[0])["chi_squared"]
    test.learn(test.missing_step(tally))
    assert test.result(News(tally)).p_value > 0.01


def test_a_window_of_almost_no_rows_says_nothing():
    for test in univariate(RNG.normal(size=2_000)).values():
        result = test.result(News(Tally(np.zeros(64), 0, 0)))
        assert (result.p_value, result.effect) == (1.0, 0.0)


def test_dependent_rows_count_for_fewer():
    steps = np.repeat(RNG.normal(size=500), 20)
    dependent = univariate(steps)
    independent = univariate(RNG.permutation(steps))
    assert dependent["ks"].effect.floor > 1.5 * independent["ks"].effect.floor
