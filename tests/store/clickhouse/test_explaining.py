"""What an explanation asks of the store."""

import json
from uuid import UUID

import msgspec
import numpy as np
import pytest

from records.baseline import Baseline, CategoricalBaseline, NumericBaseline, PairBaseline
from records.explanation import Level, Missing, Numbers, OtherLevels, Quality, UnseenLevels
from records.verdict import DriftState, FeatureVerdict, TestResult, Verdict, VerdictKind
from records.window import NumericSummary, WindowSummary
from store.clickhouse.explaining import Around, ExplanationQueries, Shown
from store.clickhouse.features import FeatureRows
from store.clickhouse.results import ResultWriter
from tests.store.clickhouse.parts import STARTED_AT_NS

SECOND_NS = 1_000_000_000
NUMBERS = np.array([0.1, 0.7, 1.0, 5.0, np.nan, -3.0])
TEXTS = np.array(["a", "b", None, "it's \\new", "a", "c"], dtype=object)


PAIRS = PairBaseline(features=("a", "c"), correlations=(0.3,), noise=(0.1, 0.2), variance=1.5)


def exchange_id(number):
    return bytes(15) + bytes([number + 1])


TEST = TestResult(statistic=2.0, p_value=0.1, effect=0.5)


def summary(index=0, baseline_id="b1", closed=5):
    return WindowSummary(
        model="fraud",
        version="3",
        baseline_id=baseline_id,
        index=index,
        opened_at_ns=STARTED_AT_NS,
        closed_at_ns=STARTED_AT_NS + closed * SECOND_NS,
        rows=6,
        features={"x": NumericSummary(counts=(1, 2))},
    )


def verdict(window, *effects, rows=6):
    features = tuple(
        FeatureVerdict(feature=name, tests=dict.fromkeys(tests, TEST), log_evidence=1.0, share=0.5, effect_above_floor=name in effects, summary="s")
        for name, tests in (("x", ("ks", "psi")), ("y", ("mmd",)))
    )
    return Verdict(
        model=window.model,
        version=window.version,
        baseline_id=window.baseline_id,
        compared_with="baseline b1 (of x.csv)",
        index=window.index,
        opened_at_ns=window.opened_at_ns + window.index,
        closed_at_ns=window.closed_at_ns,
        rows=rows,
        state=DriftState.OK,
        evidence=1.0,
        threshold=2.0,
        features=features,
    )


@pytest.fixture
def queries(store, client):
    writer = ResultWriter(store)
    windows = [summary(0), summary(1), summary(2), summary(1, "b2", closed=9)]
    writer.write_windows(windows)
    writer.write_verdicts([msgspec.structs.replace(verdict(summary(0, "risk", closed=99)), kind=VerdictKind.RISK)])
    writer.write_verdicts([verdict(windows[0], "x"), verdict(windows[1], "x", "y"), verdict(windows[2]), verdict(windows[3])])
    rows = len(NUMBERS)
    times = STARTED_AT_NS + np.arange(rows, dtype=np.int64) * SECOND_NS
    ids = [exchange_id(number) for number in range(rows)]
    writer.write_features([FeatureRows("fraud", ["3"] * rows, ids, [0] * rows, times, {"x": NUMBERS, "level": TEXTS})])
    writer.write_features(
        [FeatureRows("fraud", ["3"], [exchange_id(50)], [0], times[:1] - SECOND_NS, {"x": np.array([9.0]), "level": TEXTS[:1]})]
    )  # before the window
    return ExplanationQueries(store)


def test_a_window_comes_back_with_its_verdict_by_index_or_the_latest(queries):
    assert queries.window("fraud", 0, None).summary == summary(0)
    assert queries.window("fraud", 0, None).verdict == verdict(summary(0), "x")
    assert queries.window("fraud", None, None).summary == summary(1, "b2", closed=9)
    assert queries.window("fraud", 1, None).summary.baseline_id == "b2"
    assert queries.window("fraud", 1, "b1").summary == summary(1)
    assert queries.window("fraud", 7, None) is None
    assert queries.window("fraud", 1, "b'3") is None
    assert queries.window("churn", None, None) is None


def test_what_the_windows_before_showed_is_against_the_same_baseline_the_latest_first(queries):
    assert queries.before("fraud", "b1", 2) == [
        Shown(1, STARTED_AT_NS + 1, 6, frozenset({"x", "y"}), {"y": 0.5}),
        Shown(0, STARTED_AT_NS, 6, frozenset({"x"}), {"y": 0.5}),
    ]
    assert queries.before("fraud", "b2", 1) == []


def test_a_baseline_comes_back_by_its_id(queries, store):
    features = (
        NumericBaseline(name="a", edges=(0.1, 0.2), counts=(1, 2, 3), centres=(0.0, 0.15, 0.3)),
        CategoricalBaseline(name="b", levels=("x",), counts=(1, 0)),
    )
    baseline = Baseline(
        baseline_id="b1", model="fraud", version="3", source="traffic", rows=6, created_at_ns=STARTED_AT_NS + 7, features=features, pairs=PAIRS, hashed=("b",)
    )
    ResultWriter(store).write_baseline(baseline)
    assert queries.baseline("fraud", "b1") == baseline
    assert queries.baseline("fraud", "b9") is None


@pytest.mark.parametrize(
    ("feature", "place", "found"),
    [
        ("x", Numbers(low=0.7, high=None), [3, 2, 1]),  # the furthest first; 0.7 is kept as a little less
        ("x", Numbers(low=None, high=0.7), [5, 0, 1]),
        ("x", Numbers(low=0.5, high=2.0), [2, 1]),  # the latest first
        ("x", Missing(), [4]),
        ("level", Level("a"), [4, 0]),
        ("level", UnseenLevels(("it's \\new", "c")), [5, 3]),
        ("level", UnseenLevels(()), []),
        ("level", OtherLevels(), []),
        ("level", Missing(), [2]),
        ("absent", Numbers(low=-1.0, high=1.0), []),
        ("absent", Missing(), [5, 4, 3, 2, 1, 0]),
    ],
)
def test_exchanges_are_found_where_a_window_gained(queries, feature, place, found):
    ids = queries.exchanges_at(summary(), feature, place, is_numeric=feature != "level", limit=10)
    assert ids == tuple(str(UUID(bytes=exchange_id(number))) for number in found)
    assert queries.exchanges_at(summary(), feature, place, is_numeric=feature != "level", limit=1) == ids[:1]


def test_levels_that_came_as_codes_are_found_too(queries, store):
    times = np.full(2, STARTED_AT_NS, dtype=np.int64)
    rows = FeatureRows("coded", ["1"] * 2, [exchange_id(0), exchange_id(1)], [0, 0], times, {"code": np.array([3.0, 4.0])})
    ResultWriter(store).write_features([rows])
    window = WindowSummary(model="coded", version="1", baseline_id="b", index=0, opened_at_ns=STARTED_AT_NS, closed_at_ns=STARTED_AT_NS, rows=2, features={})
    assert queries.exchanges_at(window, "code", Level("4"), is_numeric=False, limit=9) == (str(UUID(bytes=exchange_id(1))),)


def labelled(client, number, seconds, *, correct, error=None, role="served", label="1"):
    row = {
        "model": "fraud",
        "arm": role,
        "role": role,
        "exchange_id": str(UUID(int=number + 1)),
        "started_at": f"{STARTED_AT_NS // SECOND_NS + seconds}.000000000",
        "row": 0,
        "prediction": "1",
        "label": label,
        "correct": correct,
        "absolute_error": error,
        "labelled_at": "1790000000.000000000",
        "received_at": "1790000000.000000000",
    }
    client.raw_insert("labelled", None, json.dumps(row).encode(), fmt="JSONEachRow")


def test_labels_say_how_good_predictions_were_before_and_since(queries, client):
    for number, (seconds, correct) in enumerate([(-100, True), (-50, True), (-10_000, False), (0, False), (20, True), (30, False)]):
        labelled(client, number, seconds, correct=correct, error=2.0 * (not correct))
    labelled(client, 90, 5, correct=False, role="shadow")
    found = queries.quality("fraud", STARTED_AT_NS, 1_000 * SECOND_NS)
    assert found.before == Quality(rows=2, correct_ratio=1.0, mean_absolute_error=0.0)
    assert found.since == Quality(rows=3, correct_ratio=pytest.approx(1 / 3), mean_absolute_error=pytest.approx(4 / 3))
    assert found.is_of_classes
    assert queries.quality("churn", STARTED_AT_NS, 1_000 * SECOND_NS) == Around(None, None, True)


def test_labels_of_many_values_are_no_classes_and_may_be_no_numbers(queries, client):
    for number in range(30):
        labelled(client, number, 1, correct=False, label=f"label {number}")
    found = queries.quality("fraud", STARTED_AT_NS, SECOND_NS)
    assert not found.is_of_classes
    assert found.since == Quality(rows=30, correct_ratio=0.0, mean_absolute_error=None)
