"""Why a verdict is what it is."""

import itertools

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.baseline import build_baseline
from detectors.cycle import Cycle, Timed
from detectors.drift import DriftDetector
from detectors.explanation import FEATURES_AT_MOST, Shown, explain
from detectors.windows import WindowPolicy
from records.explanation import Level, Missing, Numbers, OtherLevels, UnseenLevels
from records.verdict import DriftState, FeatureVerdict, Finding, Problem, Verdict

ROWS = 500
RNG = np.random.default_rng(1)
NUMBERS = RNG.normal(size=4_000)
LEVELS = np.array(["a", "b", "c", "d"], dtype=object)[RNG.choice(4, size=4_000, p=[0.5, 0.3, 0.15, 0.05])]
HOUR_NS = 3_600_000_000_000


def explained(before, now, *, name="f", timed=None, at_ns=0):
    """Return how one feature's window is explained."""
    baseline = build_baseline({name: before}, model="m", version="3", source="test", created_at_ns=0, timed=timed)
    detector = DriftDetector(baseline, threshold=10.0, windows=WindowPolicy(max_rows=len(now), max_seconds=None))
    ((summary, verdict),) = detector.update({name: now}, np.full(len(now), at_ns, dtype=np.int64))
    feature = verdict.features[0]
    carried = FeatureVerdict(feature=name, tests=feature.tests, log_evidence=9.0, share=1.0, effect_above_floor=True, summary=feature.summary)
    (found,) = explain(baseline, summary, Verdict(**(fields(verdict) | {"features": (carried,)})), ()).features
    return found


def fields(struct):
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def shares(feature):
    return sum(cell.before for cell in feature.cells), sum(cell.now for cell in feature.cells)


COLUMNS = st.sampled_from(
    [
        NUMBERS,
        np.round(NUMBERS),
        np.where(NUMBERS < 0.5, 0.0, NUMBERS),
        np.full(400, 7.0),
        np.full(400, np.nan),
        np.resize([np.inf, 1e300, 1.0, np.nan], 400),
        LEVELS,
        np.full(400, None, dtype=object),
        np.array([f"id {number}" for number in range(400)], dtype=object),
    ]
)


@given(COLUMNS, COLUMNS, st.integers(1, 300))
def test_the_shares_of_a_picture_add_up_whatever_the_data(before, now, rows):
    feature = explained(before, now[:rows])
    assert shares(feature) == (pytest.approx(1.0), pytest.approx(1.0))
    assert len(feature.cells) <= 64
    assert all(cell.before > 0 or cell.now > 0 for cell in feature.cells)
    ends = [(cell.place.low, cell.place.high) for cell in feature.cells if isinstance(cell.place, Numbers)]
    assert all(low is None or high is None or low < high for low, high in ends)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(ends))


def test_a_shift_of_numbers_gains_where_they_went():
    gain = explained(NUMBERS, NUMBERS[:ROWS] + 1).gain
    assert gain.place.high is None
    assert 0 < gain.place.low < 1.5
    assert gain.before + 0.25 < gain.now


def test_a_group_in_the_middle_is_found_where_it_is():
    gain = explained(NUMBERS, np.where(np.arange(ROWS) % 5 == 0, 0.3, NUMBERS[:ROWS])).gain
    assert -0.1 < gain.place.low <= 0.3 < gain.place.high < 0.6


def test_few_values_have_a_cell_each_and_new_ones_beyond_them():
    feature = explained(np.resize([1.0, 2.0, 5.0], 600), np.resize([1.0, 2.0, 5.0, 9.0], ROWS))
    assert [cell.place.value for cell in feature.cells] == [1.0, 2.0, 5.0, None]
    assert feature.cells[-1].now == pytest.approx(0.25)
    assert feature.gain.place.low > 5.0
    assert feature.gain.place.high is None
    assert (feature.smallest, feature.largest) == (1.0, 9.0)


def test_missing_values_are_where_the_window_gained_if_nothing_else_changed():
    now = NUMBERS[:ROWS].copy()
    now[::4] = np.nan
    gain = explained(NUMBERS, now).gain
    assert gain.place == Missing()
    assert gain.now == pytest.approx(0.25)


def test_levels_have_a_cell_each_in_the_order_of_the_baseline_and_new_ones_are_named():
    now = LEVELS[:ROWS].copy()
    now[::5] = "new"
    feature = explained(LEVELS, now)
    assert [cell.place for cell in feature.cells] == [Level("a"), Level("b"), Level("c"), Level("d"), UnseenLevels(("new",))]
    assert feature.gain.place == UnseenLevels(("new",))
    assert explained(LEVELS, np.where(np.arange(ROWS) % 5 == 0, "d", LEVELS[:ROWS])).gain.place == Level("d")


def test_of_many_levels_the_heaviest_are_shown_and_the_rest_together():
    many = np.array([f"level {number}" for number in range(40)], dtype=object)
    feature = explained(np.resize(many, 4_000), np.where(np.arange(ROWS) % 3 == 0, "level 30", np.resize(many, ROWS)))
    assert len(feature.cells) == 13
    assert Level("level 30") in {cell.place for cell in feature.cells}
    assert feature.cells[-1].place == OtherLevels()


def test_effects_by_the_names_that_people_know_are_shown():
    none, much = explained(NUMBERS, NUMBERS[:ROWS]), explained(NUMBERS, NUMBERS[:ROWS] + 1)
    assert none.effects.keys() == {"psi", "jensen_shannon", "hellinger"}
    assert max(none.effects.values()) < 0.1
    assert much.effects["psi"] > 0.25


def test_where_the_baseline_has_a_cycle_its_hour_is_what_is_compared_with():
    times_ns = np.arange(0, 72 * HOUR_NS, HOUR_NS // 150)
    hours = times_ns // HOUR_NS % 24
    before = hours + np.random.default_rng(2).normal(size=len(hours))
    at_ns = 1_000 * 24 * HOUR_NS + 20 * HOUR_NS + HOUR_NS // 2
    feature = explained(before, 20 + np.random.default_rng(3).normal(size=ROWS), timed=Timed(times_ns, Cycle.DAY), at_ns=at_ns)
    assert shares(feature) == (pytest.approx(1.0), pytest.approx(1.0))
    assert sum(cell.before for cell in feature.cells if cell.place.high is not None and cell.place.high < 15) < 0.01
    assert max(abs(cell.now - cell.before) for cell in feature.cells) < 0.1
    assert feature.effects["psi"] < 0.1


BASELINE = build_baseline({f"f{number}": np.random.default_rng(number).normal(size=1_000) for number in range(12)}, model="m", source="test", created_at_ns=0)


def verdict_of(shares_of, index=0, effect=True):
    features = tuple(
        FeatureVerdict(feature=name, tests={}, log_evidence=9.0, share=share, effect_above_floor=effect, summary="") for name, share in shares_of.items()
    )
    return Verdict(
        model="m",
        version="",
        baseline_id=BASELINE.baseline_id,
        compared_with="baseline x",
        index=index,
        opened_at_ns=100 * index,
        closed_at_ns=100 * index + 99,
        rows=200,
        state=DriftState.FIRING,
        evidence=2e3,
        threshold=1e3,
        features=features,
    )


def summary_of(index=0):
    detector = DriftDetector(BASELINE, threshold=10.0, windows=WindowPolicy(max_rows=200, max_seconds=None))
    columns = {f"f{number}": np.zeros(200) for number in range(12)}
    ((summary, _),) = detector.update(columns, np.full(200, 100 * index, dtype=np.int64))
    return summary


def shown(index, *features):
    return Shown(100 * index, 200, frozenset(features), {})


def test_a_change_is_dated_by_the_first_of_the_windows_in_a_row_that_show_its_effect():
    before = [shown(6, "f0", "f1"), shown(5, "f0"), shown(4, "f1"), shown(3, "f0")]
    finding = Finding(problem=Problem.UNKNOWN, rows=1, text="odd")
    found = explain(BASELINE, summary_of(7), msgspec.structs.replace(verdict_of({"f0": 0.7, "f1": 0.3}, 7), quality=(finding,)), before)
    assert found.quality == (finding,)
    assert [(each.feature, each.since_at_ns) for each in found.features] == [("f0", 500), ("f1", 600)]
    assert (found.since_at_ns, found.windows_since, found.rows_since) == (500, 3, 600)


def test_without_an_effect_nothing_is_dated_and_what_carries_evidence_is_still_shown():
    found = explain(BASELINE, summary_of(7), verdict_of({"f0": 0.7, "f1": 0.3, "f2": 0.0}, 7, effect=False), [shown(6, "f0")])
    assert (found.since_at_ns, found.windows_since, found.rows_since) == (0, 0, 0)
    assert [each.feature for each in found.features] == ["f0", "f1"]
    assert all(each.since_at_ns == 0 for each in found.features)


def test_many_features_are_shown_up_to_a_bound():
    found = explain(BASELINE, summary_of(), verdict_of({f"f{number}": 1 / 12 for number in range(12)}), ())
    assert (len(found.features), found.features_left_out) == (FEATURES_AT_MOST, 12 - FEATURES_AT_MOST)


def test_correlations_are_explained_by_the_pairs_that_changed_most():
    rng = np.random.default_rng(1)
    before, now = ({name: rng.normal(size=2_000) for name in "abcdef"} for _ in range(2))
    now["d"] = 0.8 * now["b"] + 0.6 * now["d"]
    baseline = build_baseline(before, model="m", source="test", created_at_ns=0)
    detector = DriftDetector(baseline, threshold=10.0, windows=WindowPolicy(max_rows=2_000, max_seconds=None))
    ((summary, _),) = detector.update(now, np.zeros(2_000, dtype=np.int64))
    (found,) = explain(baseline, summary, verdict_of({"(correlations)": 1.0}), ()).features
    assert (found.cells, found.gain) == ((), None)
    assert found.pairs[0].features == ("b", "d")
    assert abs(found.pairs[0].before) < 0.1
    assert found.pairs[0].now == pytest.approx(0.8, abs=0.05)
    assert len(found.pairs) == 8
    sizes = [abs(pair.now - pair.before) for pair in found.pairs]
    assert sizes == sorted(sizes, reverse=True)


def test_a_vector_is_explained_by_the_course_of_its_effect():
    rng = np.random.default_rng(2)
    baseline = build_baseline({"v": rng.normal(size=(2_000, 8)).astype(np.float32)}, model="m", source="test", created_at_ns=0)
    detector = DriftDetector(baseline, threshold=10.0, windows=WindowPolicy(max_rows=500, max_seconds=None))
    closed = []
    for index in range(80):
        vectors = (rng.normal(size=(500, 8)) + 0.5 * (index >= 77)).astype(np.float32)
        closed += detector.update({"v": vectors}, np.full(500, 100 * (index + 1), dtype=np.int64))
    (summary, verdict), before = closed[-1], [Shown.of(each) for _, each in closed[-2::-1]]
    found = next(each for each in explain(baseline, summary, verdict, before).features if each.feature == "v")
    assert (found.cells, found.pairs) == ((), ())
    assert [each.opened_at_ns for each in found.course] == [100 * number for number in range(21, 81)]
    assert found.course[-1].effect == found.tests["mmd"].effect
    assert min(each.effect for each in found.course[-3:]) > 2 * max(each.effect for each in found.course[:-3])
    assert found.since_at_ns == found.course[-3].opened_at_ns


def test_a_baseline_without_pairs_leaves_correlations_to_words():
    without = msgspec.structs.replace(BASELINE, pairs=None)
    (found,) = explain(without, summary_of(), verdict_of({"(correlations)": 1.0}), ()).features
    assert (found.pairs, found.cells) == ((), ())
