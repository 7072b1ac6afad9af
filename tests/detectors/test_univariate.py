import numpy as np
import pytest

from config.choices import CategoricalStatistic, NumericStatistic
from detectors.baseline import build_baseline
from detectors.summary import WindowAccumulator
from detectors.tally import News, Tally
from detectors.univariate import Statistics, feature_tests, shown_effects

RISK = 0.001
RNG = np.random.default_rng(1)
OF_LEVELS = {"missing_rate", "type_change_rate"}
OF_NUMBERS = {*OF_LEVELS, "non_finite_rate"}


CLASSIC = Statistics(tuple(map(NumericStatistic, ("ks", "wasserstein", "psi", "chi_squared"))), (CategoricalStatistic.CHI_SQUARED,))


def asked(column, statistics=CLASSIC):
    baseline = build_baseline({"f": column}, model="m", source="test", created_at_ns=0)
    return feature_tests(baseline.features[0], baseline.rows, RISK, statistics)


def univariate(column):
    return {test.name: test for test in asked(column).tests}


def levels(**rows):
    return np.repeat(np.array(list(rows), dtype=object), list(rows.values()))[RNG.permutation(sum(rows.values()))]


@pytest.mark.parametrize(
    ("column", "names"),
    [
        (RNG.normal(size=2_000), {"ks", "wasserstein", "psi", "chi_squared", "out_of_range_rate", *OF_NUMBERS}),
        (np.full(2_000, 3.0), {"ks", "out_of_range_rate", *OF_NUMBERS}),  # no spread to measure distances by, and one cell
        (np.full(2_000, np.nan), OF_NUMBERS),
        (levels(a=1_000, b=1_000), {"chi_squared", "unseen_rate", *OF_LEVELS}),
        (levels(a=1_995, b=5), {"other_rate", "unseen_rate", *OF_LEVELS}),  # b is too rare for chi-squared
        (np.array([f"id {n}" for n in range(2_000)], dtype=object), {"unseen_rate", *OF_LEVELS}),
        (np.full(2_000, None, dtype=object), OF_LEVELS),
    ],
)
def test_a_feature_gets_the_tests_that_its_baseline_allows(column, names):
    assert univariate(column).keys() == names


ALONE = [
    Statistics((numeric,), (categorical,))
    for numeric, categorical in zip(NumericStatistic, [*CategoricalStatistic, *list(CategoricalStatistic)[:2]], strict=True)
]


@pytest.mark.parametrize("statistics", [Statistics(), CLASSIC, *ALONE])
def test_what_may_raise_an_alert_does_not_depend_on_what_gives_evidence(statistics):
    numeric, categorical = asked(RNG.normal(size=2_000), statistics), asked(levels(a=1_000, b=1_000), statistics)
    assert numeric.effects.keys() == {"ks", "wasserstein", "out_of_range_rate", *OF_NUMBERS}
    assert categorical.effects.keys() == {"total_variation", "unseen_rate", *OF_LEVELS}
    assert {test.name for test in numeric.tests} == {*statistics.numeric, "out_of_range_rate", *OF_NUMBERS}
    assert {test.name for test in categorical.tests} == {*statistics.categorical, "unseen_rate", *OF_LEVELS}
    assert max(len(numeric.tests), len(categorical.tests)) == statistics.tests_per_feature


def test_floors_are_those_of_practice_or_what_a_small_baseline_can_tell():
    large, small = asked(RNG.normal(size=50_000)).effects, asked(RNG.normal(size=500)).effects
    assert (large["ks"].floor, large["wasserstein"].floor, large["missing_rate"].floor) == (0.05, 0.1, 0.01)
    assert small["ks"].floor > 0.05
    assert small["wasserstein"].floor > 0.1


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
    dependent = asked(steps).effects
    independent = asked(RNG.permutation(steps)).effects
    assert dependent["ks"].floor > 1.5 * independent["ks"].floor


@pytest.mark.parametrize(("column", "changed"), [(RNG.normal(size=5_000), 64), (levels(a=2_500, b=2_500), 3)])
def test_effects_that_people_know_by_name_are_nothing_without_a_change_and_grow_with_it(column, changed):
    baseline = build_baseline({"f": column}, model="m", source="test", created_at_ns=0)
    before = Tally.of_baseline(baseline.features[0], baseline.rows).counts
    moved = [before / 5 * np.where(np.arange(changed) < changed // 2, 1 + by, 1.0) for by in (0.0, 0.5, 3.0)]
    none, some, much = (shown_effects(baseline.features[0], baseline.rows, Tally(counts, 0, 0)) for counts in moved)
    assert none.keys() == {"psi", "jensen_shannon", "hellinger"}
    for name in none:
        assert none[name] == 0 < much[name]
        assert some[name] <= much[name] <= (10 if name == "psi" else 1)


def test_a_feature_of_one_level_or_none_has_no_effects_to_show():
    for column in (levels(a=2_000), np.full(2_000, np.nan)):
        baseline = build_baseline({"f": column}, model="m", source="test", created_at_ns=0)
        assert shown_effects(baseline.features[0], baseline.rows, Tally.of_baseline(baseline.features[0], baseline.rows)) == {}
