import math

import msgspec
import numpy as np
import pytest

from detectors import shadow_window
from detectors.pairing import Pair, Reply
from detectors.shadow import ShadowDetector, ShadowState
from detectors.shadow_window import ShadowWindow
from records.comparison import ClassPair, PairOutcome
from records.ids import format_uuid
from records.payload import Decoded, Failed, Tensor, Undecodable
from records.verdict import DriftState

THRESHOLD = 4_320.0


def label(value):
    return Tensor("label", "INT64", (1,), [value])


def scores(*values, name="score"):
    return Tensor(name, "FP32", (1, len(values)), list(values))


def reply(*tensors, answered=True, failed=False, seconds=0.01):
    return Reply("", Decoded("v2", list(tensors)), seconds, answered, failed)


def pair(number, served, shadow):
    return Pair(number.to_bytes(16, "big"), served, shadow)


def window_of(*pairs):
    window = ShadowWindow()
    for number, (served, shadow) in enumerate(pairs):
        window.add(pair(number, served, shadow))
    return window


def told(rng, detector, rows, rate, start=0):
    """Feed windows of pairs that differ at a rate; return the verdicts."""
    verdicts = []
    for number in range(start, start + rows):
        detector.add(pair(number, reply(label(0)), reply(label(int(rng.random() < rate)))), number)
        if detector.pairs == 1_000:
            verdicts.append(detector.close(number, "3")[1])
    return verdicts


UNREADABLE = Reply("", Failed("v2", Undecodable.MALFORMED), 0.01, True, False)


@pytest.mark.parametrize(
    ("served", "shadow", "outcome"),
    [
        (reply(label(1)), reply(label(1)), PairOutcome.AGREED),
        (reply(label(1)), reply(label(0)), PairOutcome.DIFFERED),
        (reply(label(1)), reply(failed=True), PairOutcome.ONE_FAILED),
        (reply(failed=True), reply(label(1)), PairOutcome.ONE_FAILED),
        (reply(failed=True), reply(failed=True), PairOutcome.BOTH_FAILED),
        (reply(label(1)), reply(answered=False), PairOutcome.NO_ANSWER),
        (reply(answered=False), reply(label(1)), PairOutcome.NO_ANSWER),
        (reply(label(1)), reply(scores(0.5, name="other")), PairOutcome.OTHER_SCHEMA),
        (reply(label(1)), UNREADABLE, PairOutcome.UNREADABLE),
    ],
)
def test_what_becomes_of_a_pair(served, shadow, outcome):
    window = ShadowWindow()
    assert window.add(pair(1, served, shadow)) is outcome
    assert window.outcomes == {outcome: 1}
    assert list(window.losses) == (
        [int(outcome is not PairOutcome.AGREED)] if outcome in {PairOutcome.AGREED, PairOutcome.DIFFERED, PairOutcome.ONE_FAILED} else []
    )


def test_classes_that_differ_come_first():
    window = window_of(*[(reply(label(0)), reply(label(0)))] * 5, *[(reply(label(0)), reply(label(1)))] * 2, (reply(label(1)), reply(label(2))))
    assert window.classes() == (
        ClassPair(output="label", served="0", shadow="1", rows=2),
        ClassPair(output="label", served="1", shadow="2", rows=1),
        ClassPair(output="label", served="0", shadow="0", rows=5),
    )


def test_scores_are_compared_place_by_place_the_most_different_first():
    rng = np.random.default_rng(1)
    ours = rng.random((400, 2))
    theirs = ours + np.array([0.0, 0.25])
    window = window_of(*[(reply(scores(*a)), reply(scores(*b))) for a, b in zip(ours.tolist(), theirs.tolist(), strict=True)])
    second, first = window.scores()
    assert (second.output, first.output, second.rows) == ("score[1]", "score[0]", 400)
    assert (second.wasserstein, first.wasserstein) == (pytest.approx(0.25), 0.0)
    assert second.shadow_mean - second.served_mean == pytest.approx(0.25)
    assert second.quantiles == pytest.approx((0.25,) * 5)


def test_missing_and_infinite_scores_count_for_nothing():
    window = window_of(*[(reply(scores(a)), reply(scores(b))) for a, b in [(1.0, 2.0), (math.nan, 1.0), (1.0, math.inf), (None, 1.0)]])
    (score,) = window.scores()
    assert (score.rows, score.wasserstein) == (1, 1.0)


def test_numbers_of_wide_replies_are_taken_together_and_bounded(monkeypatch):
    monkeypatch.setattr(shadow_window, "VALUES_AT_MOST", 100)
    window = window_of(*[(reply(scores(*[0.5] * 40)), reply(scores(*[0.75] * 40)))] * 10)
    (score,) = window.scores()
    assert (score.output, score.rows) == ("score", 120)
    assert window.outcomes[PairOutcome.DIFFERED] == 10


def test_the_largest_disagreements_are_named():
    window = window_of(*[(reply(scores(0.0)), reply(scores(number / 100))) for number in range(100)])
    found = window.disagreements()
    assert [each.difference for each in found] == [number / 100 for number in range(99, 89, -1)]
    assert (found[0].exchange_id, found[0].text) == (format_uuid((99).to_bytes(16, "big")), "score: 0 → 0.99")


def test_of_equal_disagreements_the_first_are_kept_and_failures_are_among_them():
    window = window_of((reply(label(0)), reply(failed=True)), *[(reply(label(0)), reply(label(1)))] * 20)
    found = window.disagreements()
    assert [each.exchange_id for each in found] == [format_uuid(number.to_bytes(16, "big")) for number in range(10)]
    assert (found[0].text, found[1].text) == ("the shadow failed, what was served did not", "label: 0 → 1")


def test_long_answers_are_cut():
    texts = Tensor("answer", "BYTES", (1,), ["a" * 1_000]), Tensor("answer", "BYTES", (1,), ["b" * 1_000])
    (found,) = window_of((reply(texts[0]), reply(texts[1]))).disagreements()
    assert len(found.text) < 120


def test_durations_and_failures_of_both_are_shown():
    window = window_of(*[(reply(label(1), seconds=0.01), reply(label(1), seconds=0.04))] * 4, (reply(label(1)), reply(answered=False)))
    assert (window.served_seconds.p50, window.shadow_seconds.p99) == (0.01, pytest.approx(0.04))
    assert (window.served_failed, window.shadow_failed) == (0, 1)
    assert ShadowWindow().served_seconds is None


def test_one_answer_in_a_hundred_is_found_within_ten_thousand():
    for seed in range(5):
        detector = ShadowDetector("m", "candidate", threshold=THRESHOLD, tolerance=0.005)
        verdicts = told(np.random.default_rng(seed), detector, 10_000, 0.015)
        assert any(verdict.alert for verdict in verdicts)


@pytest.mark.parametrize("rate", [0.0, 0.004])
def test_a_shadow_that_differs_no_more_than_it_may_is_left_alone(rate):
    detector = ShadowDetector("m", "candidate", threshold=THRESHOLD, tolerance=0.005)
    verdicts = told(np.random.default_rng(1), detector, 30_000, rate)
    assert not any(verdict.alert for verdict in verdicts)
    assert all(verdict.state is DriftState.OK for verdict in verdicts)


def test_answers_that_differ_in_a_burst_are_worth_less_than_others():
    """The same odd question, asked 30 times in a row, is not 30 pieces of evidence."""
    detector, other = (ShadowDetector("m", "candidate", threshold=THRESHOLD, tolerance=0.005) for _ in range(2))
    spread = {number * 33 for number in range(30)}
    for number in range(1_000):
        detector.add(pair(number, reply(label(0)), reply(label(int(500 <= number < 530)))), number)
        other.add(pair(number, reply(label(0)), reply(label(int(number in spread)))), number)
    assert not detector.close(1_000, "")[1].alert
    assert other.close(1_000, "")[1].alert


def test_an_alert_resolves_when_the_shadow_answers_alike_again():
    detector = ShadowDetector("m", "candidate", threshold=THRESHOLD, tolerance=0.02)
    rng = np.random.default_rng(1)
    assert any(verdict.alert for verdict in told(rng, detector, 2_000, 0.2))
    after = told(rng, detector, 20_000, 0.0, start=2_000)
    assert any(verdict.resolved for verdict in after)
    assert after[-1].state is DriftState.OK


def test_a_restart_forgets_no_evidence():
    def run(restarts):
        detector, rng = ShadowDetector("m", "candidate", threshold=1e12, tolerance=0.005), np.random.default_rng(1)
        for start in range(0, 8_000, 1_000):
            (verdict,) = told(rng, detector, 1_000, 0.01, start)
            if restarts:
                state = msgspec.msgpack.decode(msgspec.msgpack.encode(detector.state), type=ShadowState)
                detector = ShadowDetector("m", "candidate", threshold=1e12, tolerance=0.005)
                detector.restore(state)
        return verdict.evidence, verdict.index, verdict.features[0].summary

    assert run(restarts=True) == run(restarts=False)


def test_another_tolerance_is_another_question():
    detector = ShadowDetector("m", "candidate", threshold=THRESHOLD, tolerance=0.005)
    told(np.random.default_rng(1), detector, 3_000, 0.1)
    other = ShadowDetector("m", "candidate", threshold=THRESHOLD, tolerance=0.2)
    other.restore(detector.state)
    assert other.windows == 0


def test_a_window_without_a_pair_to_compare_has_a_verdict():
    detector = ShadowDetector("m", "candidate", threshold=THRESHOLD, tolerance=0.005)
    detector.add(pair(1, reply(label(1)), UNREADABLE), 7)
    comparison, verdict = detector.close(9, "3")
    assert (comparison.compared, comparison.outcomes, comparison.served_seconds) == (0, {PairOutcome.UNREADABLE: 1}, None)
    assert (verdict.rows, verdict.alert, verdict.features[0].summary) == (0, False, "no answers to compare")


def test_a_comparison_says_whose_it_is_and_when():
    detector = ShadowDetector("fraud", "candidate", threshold=THRESHOLD, tolerance=0.005)
    detector.add(pair(1, reply(label(1)), reply(label(0))), 7)
    comparison, verdict = detector.close(9, "3")
    assert (comparison.model, comparison.version, comparison.shadow, comparison.opened_at_ns, comparison.closed_at_ns) == ("fraud", "3", "candidate", 7, 9)
    assert (verdict.model, verdict.shadow, verdict.index, detector.windows, detector.opened_at_ns) == ("fraud", "candidate", 0, 1, 0)
