"""Explanations of a running monitor's verdicts: from the detectors and from the store."""

import numpy as np
import pytest

from alerts.drift import DriftWatch
from config.settings import DriftSettings
from console.explaining import path_of
from detectors.baseline import build_baseline
from detectors.drift import DriftDetector
from detectors.windows import WindowPolicy
from driftline.decoding import Decoding
from driftline.explaining import EXAMPLES_AT_MOST, Explaining, performance
from driftline.model_watch import WindowResult
from driftline.watching import Watching
from records.explanation import Quality, UnseenLevels
from records.ids import format_uuid
from store.clickhouse.client import EmbeddedStore
from store.clickhouse.explaining import Around, ExplanationQueries
from store.clickhouse.features import FeatureRows
from store.clickhouse.results import ResultWriter
from tests.store.clickhouse.parts import STARTED_AT_NS

ROWS = 250
SECOND_NS = 1_000_000_000


def table(rows, seed, shift=0.0, new=0):
    rng = np.random.default_rng(seed)
    level = np.array(["a", "b"], dtype=object)[rng.integers(0, 2, rows)]
    level[:new] = "new"
    return {"age": rng.normal(size=rows) + shift, "level": level}


@pytest.fixture(scope="module")
def drifted():
    """Six windows against one baseline, of which the last three drift; with the rows of the last."""
    baseline = build_baseline(table(3_000, 0), model="fraud", version="3", source="t.csv", created_at_ns=STARTED_AT_NS)
    detector = DriftDetector(baseline, threshold=50.0, windows=WindowPolicy(max_rows=ROWS, max_seconds=None))
    results = []
    for index in range(6):
        rows = table(ROWS, index + 1, shift=0.8 * (index > 2), new=30 * (index > 2))
        times = STARTED_AT_NS + (index * ROWS + np.arange(ROWS, dtype=np.int64)) * SECOND_NS
        results += [WindowResult(*each) for each in detector.update(rows, times)]
    ids = [bytes(14) + number.to_bytes(2) for number in range(1, ROWS + 1)]
    return baseline, results, FeatureRows("fraud", ["3"] * ROWS, ids, [0] * ROWS, times, rows)


@pytest.fixture
def site(tmp_path):
    store = EmbeddedStore(tmp_path)
    store.client().close()
    spool = tmp_path / "spool"
    spool.mkdir()
    watching = Watching(spool, DriftSettings(), lambda *_: ("fraud", "3"), Decoding(()), {}, lambda _: None, tolerances={}, max_lag_bytes=1 << 30)
    yield watching, ResultWriter(store), Explaining(watching, ExplanationQueries(store))
    watching.close()
    store.close()


def test_a_window_is_explained_with_exchanges_from_where_it_gained_whoever_has_it(site, drifted):
    watching, writer, explain = site
    baseline, results, rows = drifted
    writer.write_baseline(baseline)
    writer.write_features([rows])
    watching._unstored = list(results)
    waiting = explain("fraud", None, None)
    writer.write_windows([result.summary for result in results])
    writer.write_verdicts([result.verdict for result in results])
    watching._unstored = []
    stored = explain("fraud", 5, baseline.baseline_id)
    assert stored == waiting
    assert stored.features == explain("fraud", None, None).features
    assert stored.compared_with.startswith(f"baseline {baseline.baseline_id} (3,000 rows of t.csv, made ")
    assert (stored.windows_since, stored.rows_since) == (3, 3 * ROWS)
    assert stored.since_at_ns == results[3].verdict.opened_at_ns
    assert {each.feature for each in stored.features} == {"age", "level"}
    by_name = {each.feature: each.gain for each in stored.features}
    values = dict(zip(map(format_uuid, rows.exchange_ids), zip(rows.columns["age"], rows.columns["level"], strict=True), strict=True))
    assert by_name["level"].place == UnseenLevels(("new",))
    assert {values[each][1] for each in by_name["level"].exchange_ids} == {"new"}
    furthest = sorted(rows.columns["age"])[-EXAMPLES_AT_MOST:]
    assert [values[each][0] for each in by_name["age"].exchange_ids] == pytest.approx(furthest[::-1])
    assert stored.performance is None
    told = DriftWatch({}).observe(results[5].verdict)
    assert (told.report_path, told.picture_path) == (path_of(stored, "report"), path_of(stored, "picture"))


def test_windows_before_that_wait_for_the_store_count_for_since_when(site, drifted):
    watching, writer, explain = site
    baseline, results, _ = drifted
    writer.write_baseline(baseline)
    writer.write_windows([result.summary for result in results[:4]])
    writer.write_verdicts([result.verdict for result in results[:4]])
    watching._unstored = list(results[4:])
    assert explain("fraud", None, None).windows_since == 3


def test_what_is_not_known_is_not_explained(site, drifted):
    watching, writer, explain = site
    baseline, results, _ = drifted
    assert explain("fraud", None, None) is None
    watching._unstored = list(results)
    assert explain("fraud", None, None) is None  # its baseline is nowhere
    writer.write_baseline(baseline)
    assert explain("fraud", 99, None) is None
    assert explain("fraud", None, "another") is None
    assert explain("churn", None, None) is None


def test_what_is_made_of_a_column_has_no_examples_for_it_is_not_stored(site):
    watching, writer, explain = site
    rng = np.random.default_rng(1)
    many = np.array([f"level {number}" for number in range(300)], dtype=object)
    baseline = build_baseline(
        {"age": rng.normal(size=3_000), "code": many[rng.integers(300, size=3_000)]}, model="fraud", version="3", source="t.csv", created_at_ns=STARTED_AT_NS
    )
    assert baseline.hashed == ("code",)
    detector = DriftDetector(baseline, threshold=5.0, windows=WindowPolicy(max_rows=ROWS, max_seconds=None))
    rows = {"age": 3 + np.arange(float(ROWS)), "code": np.full(ROWS, "level 200", dtype=object)}
    ids = [bytes(14) + number.to_bytes(2) for number in range(1, ROWS + 1)]
    times = STARTED_AT_NS + np.arange(ROWS, dtype=np.int64)
    writer.write_baseline(baseline)
    writer.write_features([FeatureRows("fraud", ["3"] * ROWS, ids, [0] * ROWS, times, rows)])
    watching._unstored = [WindowResult(*each) for each in detector.update(rows, times)]
    gains = {each.feature: each.gain for each in explain("fraud", None, None).features}
    assert gains["code.bucket"].now > 0.9
    assert gains["code.bucket"].exchange_ids == ()
    assert len(gains["age"].exchange_ids) == EXAMPLES_AT_MOST


def quality(rows, ratio, error=None):
    return Quality(rows=rows, correct_ratio=ratio, mean_absolute_error=error)


def test_labels_say_what_a_change_did_only_if_there_are_enough_of_them():
    classes = performance(Around(quality(2_100, 0.901, 0.1), quality(340, 0.812, 0.2), is_of_classes=True))
    assert classes.words == (
        "Of 340 labelled predictions since then 81.2% were right (76.7% to 85.0% with 95% confidence); in the 30 days before 90.1% of 2,100."
    )
    numbers = performance(Around(quality(2_100, 0.0, 1.5), quality(340, 0.0, 2.25), is_of_classes=False))
    assert numbers.words == "The mean absolute error of 340 labelled predictions since then is 2.25; in the 30 days before 1.5 of 2,100."
    for before, since in ((None, quality(100, 1.0)), (quality(100, 1.0), None), (quality(29, 1.0), quality(100, 1.0)), (quality(100, 1.0), quality(29, 1.0))):
        assert performance(Around(before, since, is_of_classes=True)) is None
