"""The distance of vectors, its calibration, and a model's vectors from window to window."""

import msgspec
import numpy as np
import pytest
from scipy import signal, stats

from detectors.arrays import joined
from detectors.baseline import BaselineError, build_baseline, load_baseline, save_baseline
from detectors.cycle import Cycle, Timed
from detectors.derived import Derivation
from detectors.drift import DetectorState, DriftDetector
from detectors.mmd import MmdTest
from detectors.quality import baseline_findings
from detectors.random_features import VectorCounter, VectorTally
from detectors.summary import WindowAccumulator, merge
from detectors.tally import News
from detectors.windows import WindowPolicy
from records.verdict import DriftState, Problem

WIDTH = 130
MIX = np.random.default_rng(0).normal(size=(WIDTH, WIDTH)) * np.arange(1, WIDTH + 1)[:, None] ** -0.7
ROWS = 300
POLICY = WindowPolicy(max_rows=ROWS, max_seconds=None)


def gaussian(rng, rows):
    return rng.normal(size=(rows, WIDTH)) @ MIX


def clusters(rng, rows):
    """Nine of ten rows are alike, the tenth is of one of two other kinds."""
    centres = np.random.default_rng(9).normal(size=(3, WIDTH)) * 5
    return centres[rng.choice(3, rows, p=[0.9, 0.08, 0.02])] + rng.normal(size=(rows, WIDTH)) * 0.3


def sparse(rng, rows):
    """Mostly zero vectors."""
    return rng.normal(size=(rows, WIDTH)) * (rng.random((rows, 1)) < 0.05)


def heavy(rng, rows):
    return rng.standard_t(1.5, size=(rows, WIDTH))


def baseline_of(rows, **options):
    return build_baseline({"e": rows.astype(np.float32)}, model="m", source="t", created_at_ns=0, **options)


def tally_of(derivation, rows):
    counter = VectorCounter()
    counter.add(derivation({"e": rows.astype(np.float32)})["e"])
    return VectorTally.of(counter.summary())


@pytest.mark.parametrize("kind", [gaussian, clusters, sparse, heavy], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("window_rows", [40, 300])
def test_without_a_change_p_values_are_not_too_small(kind, window_rows):
    found = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        baseline = baseline_of(kind(rng, 1_500))
        derivation, test = Derivation(baseline), MmdTest(baseline.vectors[0], 1_500, risk=0.01)
        found += [test.result(News(tally_of(derivation, kind(rng, window_rows)))).p_value for _ in range(40)]
    for level in (0.3, 0.1, 0.05, 0.01):
        assert sum(p <= level for p in found) <= stats.binom.ppf(0.999, len(found), level)


def test_without_an_error_of_the_baseline_p_values_are_uniform():
    """The weighted chi-squared is the distribution of the distance from the truth."""
    rng = np.random.default_rng(1)
    baseline = baseline_of(gaussian(rng, 40_000))
    derivation, test = Derivation(baseline), MmdTest(baseline.vectors[0], 40_000, risk=0.01)
    found = [test.result(News(tally_of(derivation, gaussian(rng, 256)), remaining=1e-9)).p_value for _ in range(400)]
    assert stats.kstest(found, "uniform").statistic < 0.12
    assert np.mean(np.array(found) <= 0.05) == pytest.approx(0.05, abs=0.035)


def test_power_grows_with_the_shift_and_with_the_rows():
    rng = np.random.default_rng(2)
    rows = gaussian(rng, 4_000)
    baseline = baseline_of(rows)
    derivation, test = Derivation(baseline), MmdTest(baseline.vectors[0], 4_000, risk=0.001)
    deviation = rows.std()

    def p_value(shift, count):
        return float(np.median([test.result(News(tally_of(derivation, gaussian(rng, count) + shift * deviation))).p_value for _ in range(5)]))

    assert p_value(0.0, 500) > 0.1
    assert p_value(0.3, 500) < p_value(0.1, 500) < 0.05
    assert p_value(0.1, 2_000) < p_value(0.1, 500)
    assert p_value(0.3, 500) < 1e-8


def test_the_effect_of_a_tenth_of_a_standard_deviation_everywhere_is_about_the_floor():
    rng = np.random.default_rng(3)
    rows = gaussian(rng, 5_000)
    baseline = baseline_of(rows)
    derivation, test = Derivation(baseline), MmdTest(baseline.vectors[0], 5_000, risk=0.001)
    shifted = gaussian(rng, 5_000) + 0.1 * rows.std(axis=0)
    assert test.size(tally_of(derivation, shifted)) == pytest.approx(test.floor, rel=0.3)
    mixed = gaussian(rng, 5_000)
    mixed[::20] += 50 * rows.std(axis=0)
    assert test.size(tally_of(derivation, mixed)) == pytest.approx(test.floor, rel=0.35)


def test_a_change_of_spread_and_one_of_correlations_are_seen():
    rng = np.random.default_rng(4)
    baseline = baseline_of(gaussian(rng, 4_000))
    derivation, test = Derivation(baseline), MmdTest(baseline.vectors[0], 4_000, risk=0.001)
    assert test.result(News(tally_of(derivation, 1.3 * gaussian(rng, 1_000)))).p_value < 1e-6
    shuffled = gaussian(rng, 1_000)[:, np.random.default_rng(5).permutation(WIDTH)]
    assert test.result(News(tally_of(derivation, shuffled))).p_value < 1e-6


def test_an_effect_at_the_floor_is_not_taken_for_gone_and_none_is():
    rng = np.random.default_rng(6)
    rows = gaussian(rng, 4_000)
    baseline = baseline_of(rows)
    derivation, test = Derivation(baseline), MmdTest(baseline.vectors[0], 4_000, risk=0.001)
    there = tally_of(derivation, gaussian(rng, 4_000) + 0.15 * rows.std(axis=0))
    gone = tally_of(derivation, gaussian(rng, 4_000))
    assert test.can_return(gone)
    assert test.return_p_value(there) > 0.5
    assert test.return_p_value(gone) < 1e-3


def test_few_rows_say_nothing():
    baseline = baseline_of(gaussian(np.random.default_rng(1), 400))
    derivation, test = Derivation(baseline), MmdTest(baseline.vectors[0], 400, risk=0.001)
    for rows in (0, 1, 7):
        result = test.result(News(tally_of(derivation, 100 + gaussian(np.random.default_rng(2), rows))))
        assert (result.p_value, result.effect) == (1.0, 0.0)


@pytest.fixture(scope="module")
def detector():
    baseline = baseline_of(gaussian(np.random.default_rng(10), 3_000))
    return DriftDetector(baseline, threshold=200.0, windows=POLICY)


def verdicts(detector, *windows):
    found = []
    for rows in windows:
        columns = rows if isinstance(rows, dict) else {"e": rows.astype(np.float32), "e.dimension": np.full(len(rows), float(WIDTH))}
        found += [verdict for _, verdict in detector.update(columns, np.zeros(len(columns["e"]), dtype=np.int64))]
    return found


def test_vectors_that_do_not_change_raise_no_alert_and_a_change_is_named_and_resolved(detector):
    fresh = detector.snapshot()
    rng = np.random.default_rng(11)
    quiet = verdicts(detector, *(gaussian(rng, ROWS) for _ in range(60)))
    assert not any(verdict.carriers for verdict in quiet)
    assert max(verdict.evidence for verdict in quiet) < 20
    deviation = np.sqrt((MIX**2).sum(axis=0))
    changed = verdicts(detector, *(gaussian(rng, ROWS) + 0.3 * deviation for _ in range(6)))
    alert = next(verdict for verdict in changed if verdict.alert)
    assert "e" in alert.carriers
    assert "moved by" in next(feature.summary for feature in alert.features if feature.feature == "e")
    after = verdicts(detector, *(gaussian(rng, ROWS) for _ in range(80)))
    assert sum(verdict.resolved for verdict in after) == 1
    assert after[-1].state is DriftState.OK
    detector.restore(fresh)


def test_a_restart_changes_nothing(detector):
    fresh = detector.snapshot()
    rows = np.concatenate([gaussian(np.random.default_rng(12), 900), 1.5 * gaussian(np.random.default_rng(13), 1_500)])
    undisturbed = verdicts(detector, rows)
    detector.restore(fresh)
    first = verdicts(detector, rows[:1_010])
    written = msgspec.json.encode(detector.snapshot())
    verdicts(detector, 3 * gaussian(np.random.default_rng(14), 700))
    detector.restore(msgspec.json.decode(written, type=DetectorState))
    assert first + verdicts(detector, rows[1_010:]) == undisturbed
    assert any(verdict.alert for verdict in undisturbed)
    detector.restore(fresh)


def test_rows_split_over_replicas_give_the_same_verdict(detector):
    fresh = detector.snapshot()
    rows = gaussian(np.random.default_rng(15), ROWS)
    owners = np.random.default_rng(16).integers(0, 3, ROWS)

    def summary_of(part):
        accumulator = WindowAccumulator(detector.baseline)
        columns = Derivation(detector.baseline)({"e": part.astype(np.float32)})
        accumulator.add(columns, 0, len(part))
        return accumulator.summary(index=0, opened_at_ns=0, closed_at_ns=1)

    whole = summary_of(rows)
    merged = merge(merge(summary_of(rows[owners == 2]), summary_of(rows[owners == 0])), summary_of(rows[owners == 1]))
    assert merged.vectors == whole.vectors
    assert {name: summary.counts for name, summary in merged.features.items()} == {name: summary.counts for name, summary in whole.features.items()}
    ours = detector.test(whole)
    detector.restore(fresh)
    theirs = detector.test(merged)
    assert [(f.feature, f.tests, f.log_evidence) for f in ours.features] == [(f.feature, f.tests, f.log_evidence) for f in theirs.features]
    detector.restore(fresh)


def test_vectors_that_cannot_be_used_and_another_dimension_are_alerted_and_named():
    rows = gaussian(np.random.default_rng(17), 1_000)
    columns = {"e": rows.astype(np.float32), "e.dimension": np.full(1_000, float(WIDTH))}
    baseline = build_baseline(columns, model="m", source="t", created_at_ns=0)
    broken = {name: column[:ROWS].copy() for name, column in columns.items()}
    broken["e"][::10, 3] = np.nan
    broken["e"][1::10, 4] = np.inf
    detector = DriftDetector(baseline, threshold=200.0, windows=POLICY)
    found = verdicts(detector, *[broken] * 3)
    assert {"e.norm", "e.reconstruction_error"} <= set(found[-1].carriers)
    other = {"e": np.full((ROWS, WIDTH), np.nan, dtype=np.float32), "e.dimension": np.full(ROWS, 64.0)}
    detector = DriftDetector(baseline, threshold=200.0, windows=POLICY)
    found = verdicts(detector, other)
    assert found[-1].alert
    assert "e.dimension" in found[-1].carriers
    (finding,) = (each for each in found[-1].quality if each.feature)
    assert (finding.feature, finding.problem, finding.rows) == ("e", Problem.OTHER_DIMENSION, ROWS)
    assert "e has 64 values in a row, and had 130" in finding.text
    assert not baseline_findings(baseline)
    narrow = {"e": np.zeros((ROWS, 64), dtype=np.float32), "e.dimension": np.full(ROWS, 64.0)}  # a table of another schema
    assert verdicts(DriftDetector(baseline, threshold=200.0, windows=POLICY), narrow)[-1].alert


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((200, WIDTH)),
        np.full((200, WIDTH), 7.0),
        np.full((200, WIDTH), np.nan),
        np.full((200, WIDTH), 1e-30),
        np.full((200, WIDTH), 1e29),
        np.eye(200, 1),
    ],
    ids=["zero", "constant", "missing", "tiny", "huge", "nearly constant"],
)
def test_odd_vectors_give_neither_a_crash_nor_an_alert_while_they_stay(rows):
    baseline = baseline_of(rows)
    detector = DriftDetector(baseline, threshold=200.0, windows=WindowPolicy(max_rows=200, max_seconds=None))
    for columns in (rows, rows, rows, rows[:1], np.zeros((0, rows.shape[1])), np.full(rows.shape, np.nan), 2 * rows):
        for _, verdict in detector.update({"e": columns.astype(np.float32)}, np.zeros(len(columns), dtype=np.int64)):
            numbers = [verdict.evidence, *(value for f in verdict.features for r in f.tests.values() for value in (r.statistic, r.p_value, r.effect))]
            assert np.isfinite(numbers).all()
    detector = DriftDetector(baseline, threshold=200.0, windows=WindowPolicy(max_rows=200, max_seconds=None))
    assert not any(verdict.alert for _ in range(5) for _, verdict in detector.update({"e": rows.astype(np.float32)}, np.zeros(200, dtype=np.int64)))


def test_rounding_of_vectors_of_length_one_is_no_drift():
    rows = gaussian(np.random.default_rng(18), 3_000)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    baseline = baseline_of(rows)
    detector = DriftDetector(baseline, threshold=200.0, windows=POLICY)
    rounded = rows.astype(np.float16)
    assert not any(verdict.alert for _, verdict in detector.update({"e": rounded.astype(np.float32)}, np.zeros(3_000, dtype=np.int64)))
    assert next(feature for feature in baseline.features if feature.name == "e.norm").standard_deviation == 0


def test_rows_that_follow_each_other_are_worth_fewer():
    rng = np.random.default_rng(19)
    noise = rng.normal(size=(20_000, WIDTH))
    rows = signal.lfilter([np.sqrt(1 - 0.9**2)], [1, -0.9], noise, axis=0) @ MIX
    baseline = baseline_of(rows[:8_000])
    assert baseline.vectors[0].memories
    detector = DriftDetector(baseline, threshold=100.0, windows=POLICY)
    assert not any(verdict.alert for _, verdict in detector.update({"e": rows[8_000:].astype(np.float32)}, np.zeros(12_000, dtype=np.int64)))


def test_what_repeats_every_day_is_no_drift():
    rng = np.random.default_rng(20)
    rows, hour_ns = 4 * 24 * 200, 3_600_000_000_000
    times_ns = np.arange(rows) * hour_ns // 200
    tide = 0.5 * np.sin(2 * np.pi * times_ns / (24 * hour_ns))[:, None] * np.sqrt((MIX**2).sum(axis=0))
    vectors = (gaussian(rng, rows) + tide).astype(np.float32)
    known = 3 * 24 * 200
    baseline = baseline_of(vectors[:known], timed=Timed(times_ns[:known], Cycle.DAY))
    assert len(baseline.vectors[0].slice_rows) == 24
    found = DriftDetector(baseline, threshold=200.0, windows=POLICY).update({"e": vectors[known:]}, times_ns[known:])
    assert not any(verdict.alert for _, verdict in found)


def test_a_baseline_is_written_and_read_and_has_a_bound(tmp_path):
    baseline = baseline_of(np.random.default_rng(21).normal(size=(200, 2_048)))
    save_baseline(baseline, tmp_path / "b.json")
    assert load_baseline(tmp_path / "b.json") == baseline
    assert (tmp_path / "b.json").stat().st_size < 300_000
    text = (tmp_path / "b.json").read_text().replace('"width": 2048', '"width": 2047')
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(BaselineError, match="'e' has other numbers of values in its vectors"):
        load_baseline(tmp_path / "b.json")


def test_a_batch_without_the_vector_is_missing_in_its_rows():
    whole = joined([{"e": np.ones((2, 3), dtype=np.float32)}, {"x": np.zeros(4)}])
    assert whole["e"].shape == (6, 3)
    assert np.isnan(whole["e"][2:]).all()


def test_of_probabilities_the_class_and_its_probability_are_watched():
    rng = np.random.default_rng(30)

    def replies(rows, favoured=0.0):
        scores = rng.normal(size=(rows, WIDTH)) * 3
        scores[:, 7] += favoured
        return (np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)).astype(np.float32)

    baseline = build_baseline({"p": replies(3_000)}, model="m", source="t", created_at_ns=0)
    assert {feature.name for feature in baseline.features} == {"p.norm", "p.reconstruction_error", "p.class", "p.class.bucket", "p.confidence"}
    rows = replies(4)
    rows[1, 0] = np.nan
    made = Derivation(baseline)({"p": rows})
    assert made["p.class"].tolist() == [str(rows[0].argmax()), None, str(rows[2].argmax()), str(rows[3].argmax())]
    np.testing.assert_array_equal(made["p.confidence"], [rows[0].max(), np.nan, rows[2].max(), rows[3].max()])
    assert Derivation(baseline)({"p": np.zeros(3)})["p.class"].tolist() == [None] * 3
    detector = DriftDetector(baseline, threshold=100.0, windows=POLICY)
    found = [verdict for _ in range(4) for _, verdict in detector.update({"p": replies(ROWS, favoured=6.0)}, np.zeros(ROWS, dtype=np.int64))]
    assert "p.class.bucket" in found[-1].carriers
