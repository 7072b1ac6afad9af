"""Losses of labelled predictions, window by window: how often it alerts for nothing, how soon it alerts, and what it says."""

import math
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from scipy import signal

from detectors.rise import Span
from detectors.risk import Outcomes, RiskDetector, RiskState, build_risk, losses_of
from records.baseline import Loss, RiskBaseline
from records.verdict import DriftState, VerdictKind

BUDGET = 50.0
SECOND_NS = 1_000_000_000


def classes(rng, rows, rate=0.1):
    return Outcomes((rng.random(rows) < rate) * 1.0, np.full(rows, np.nan))


def users(rng, rows, rate=0.1):
    """Each sends some requests in a row, and is harder or easier to predict than others."""
    count = rows // 5
    rates = np.repeat(rng.beta(4 * rate, 4 * (1 - rate), count), rng.geometric(0.1, count))[:rows]
    return classes(rng, len(rates), rates)


def numbers(rng, rows, scale=1.0):
    return Outcomes(np.ones(rows), np.abs(scale * rng.standard_t(4, rows)))


def memory(rng, rows, scale=1.0):
    """Errors that remember those before: AR(1) 0.5."""
    return Outcomes(np.ones(rows), np.abs(scale * signal.lfilter([math.sqrt(0.75)], [1, -0.5], rng.normal(size=rows))))


def part(outcomes, first, last):
    return Outcomes(*(column[first:last] for column in outcomes))


def built(outcomes, loss=Loss.ERROR_RATE):
    return build_risk(outcomes, loss, source="test", created_at_ns=0)


def span(index, seconds=600):
    return Span(index * seconds * SECOND_NS, (index + 1) * seconds * SECOND_NS, index * SECOND_NS, (index + 1) * SECOND_NS)


def detector_of(baseline, tolerance=0.01, threshold=BUDGET, **settings):
    return RiskDetector(baseline, model="m", threshold=threshold, tolerance=tolerance, **settings)


@pytest.fixture
def baseline():
    return built(classes(np.random.default_rng(0), 5_000))


def run(detector, draw, windows, rows=500, first=0, **changes):
    return [detector.test(draw(rows, **changes), "3", span(first + index)) for index in range(windows)]


@pytest.mark.parametrize("baseline_rows", [500, 1_000, 5_000])
@pytest.mark.parametrize(
    ("draw", "loss"),
    [(classes, Loss.ERROR_RATE), (users, Loss.ERROR_RATE), (numbers, Loss.ABSOLUTE_ERROR), (memory, Loss.ABSOLUTE_ERROR)],
    ids=["classes", "users", "numbers", "memory"],
)
def test_alerts_without_a_change_are_within_the_budget(draw, loss, baseline_rows):
    """With no tolerance at all, so that evidence alone holds them back: 12 baselines, 100 windows on each, one false alert in 50 windows is allowed."""
    alerts = 0
    for seed in range(12):
        traffic = draw(np.random.default_rng(seed), baseline_rows + 100 * 500)
        baseline = built(part(traffic, 0, baseline_rows), loss)
        detector = detector_of(baseline, tolerance=0.0)
        cuts = range(baseline_rows, baseline_rows + 100 * 500 + 1, 500)
        for index, (first, last) in enumerate(pairwise(cuts)):
            if detector.test(part(traffic, first, last), "", span(index)).alert:
                alerts += 1
                detector.restore(RiskState(baseline_id=baseline.baseline_id))
    allowed = 12 * 100 / BUDGET
    assert alerts <= allowed + 2 * math.sqrt(allowed)


@pytest.mark.parametrize(("rate", "labels"), [(0.13, 20_000), (0.15, 5_000), (0.2, 1_000), (0.4, 200)])
def test_a_risen_error_rate_alerts_after_so_many_labels(rate, labels):
    """Against four of five baselines: one may be unlucky."""
    found = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        detector = detector_of(built(classes(rng, 5_000)), threshold=4_320.0)
        found += any(detector.test(classes(rng, 50, rate), "", span(index)).alert for index in range(labels // 50))
    assert found >= 4


def test_larger_errors_of_numbers_alert():
    rng = np.random.default_rng(2)
    detector = detector_of(built(numbers(rng, 5_000), Loss.ABSOLUTE_ERROR))
    verdicts = run(detector, lambda rows: numbers(rng, rows, 1.5), 4)
    assert verdicts[-1].state is DriftState.FIRING
    assert verdicts[-1].features[0].summary.startswith("mean absolute error 0.9")
    assert verdicts[-1].features[0].tests.keys() == {"absolute_error"}


def test_a_rise_within_the_tolerance_is_shown_and_not_sent(baseline):
    rng, detector = np.random.default_rng(3), detector_of(baseline, tolerance=0.2)
    verdicts = run(detector, lambda rows: classes(rng, rows, 0.2), 10)
    assert verdicts[-1].evidence > BUDGET
    assert {verdict.state for verdict in verdicts} == {DriftState.OK}
    assert verdicts[-1].carriers == ()


def test_an_alert_comes_once_and_resolves_by_evidence_of_return(baseline):
    rng, detector = np.random.default_rng(4), detector_of(baseline)
    worse = run(detector, lambda rows: classes(rng, rows, 0.3), 5)
    assert sum(verdict.alert for verdict in worse) == 1
    assert worse[-1].carriers == ("risk",)
    better = run(detector, lambda rows: classes(rng, rows, 0.1), 30, first=5)
    assert [verdict.resolved for verdict in better].count(True) == 1
    assert better[0].state is DriftState.FIRING  # one good window is not enough
    assert better[-1].state is DriftState.OK
    assert better[-1].evidence < BUDGET


def test_a_fallen_risk_is_no_alert(baseline):
    rng = np.random.default_rng(5)
    assert run(detector_of(baseline), lambda rows: classes(rng, rows, 0.01), 20)[-1].evidence < 1


def test_a_verdict_says_of_what_it_is(baseline):
    verdict = detector_of(baseline).test(Outcomes(np.array([1.0, 0.0]), np.array([np.nan, 1.0])), "3", span(0))
    assert (verdict.kind, verdict.model, verdict.version, verdict.baseline_id) == (VerdictKind.RISK, "m", "3", baseline.baseline_id)
    assert (verdict.index, verdict.rows, verdict.opened_at_ns, verdict.closed_at_ns) == (0, 2, 0, 600 * SECOND_NS)
    assert verdict.features[0].tests["error_rate"].statistic == 0.5
    assert verdict.features[0].summary == "error rate 10.5% → 50.0% (+39.5 points) in 2 labelled rows, asked for since 1970-01-01T00:00:00.000Z"


def test_a_detector_goes_on_from_its_state(baseline):
    rng = np.random.default_rng(6)
    windows = [classes(rng, 200, rate) for rate in [0.1] * 3 + [0.3] * 4 + [0.1] * 20]
    whole = detector_of(baseline)
    expected = [whole.test(window, "", span(index)) for index, window in enumerate(windows)]
    said = []
    state = RiskState(baseline_id=baseline.baseline_id)
    for index, window in enumerate(windows):
        detector = detector_of(baseline)
        detector.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=RiskState))
        said.append(detector.test(window, "", span(index)))
        state = detector.state
    assert said == expected


def test_a_state_of_another_baseline_is_refused(baseline):
    with pytest.raises(ValueError, match="another"):
        detector_of(baseline).restore(RiskState(baseline_id="another"))


def test_windows_count_as_much_as_has_passed_and_one_at_most(baseline):
    one = Outcomes(np.zeros(1), np.full(1, np.nan))
    grown = {}
    for seconds in (6, 600, 60_000):
        detector = detector_of(baseline, window_seconds=600)
        grown[seconds] = detector.test(one, "", span(0, seconds)).evidence
    assert grown[6] == pytest.approx(grown[600] / 100, rel=1e-6)
    assert grown[60_000] == pytest.approx(grown[600])
    detector = detector_of(baseline, window_seconds=600)
    at_once = Span(SECOND_NS, SECOND_NS, 0, 0)
    assert detector.test(one, "", at_once).evidence == pytest.approx(grown[600] * 1e-6, rel=1e-3)
    later = Span(900 * SECOND_NS, 900 * SECOND_NS, 0, 0)  # labels that come once a day, all at a time
    assert detector.test(one, "", later).evidence == pytest.approx(grown[600], rel=1e-3)


def test_losses_of_numbers_are_cut_off_at_the_bound():
    rng = np.random.default_rng(7)
    outcomes = Outcomes(np.ones(1_000), rng.exponential(size=1_000))
    baseline = built(outcomes, Loss.ABSOLUTE_ERROR)
    assert baseline.bound == pytest.approx(np.quantile(outcomes.absolute_errors, 0.99))
    assert losses_of(Outcomes(np.ones(3), np.array([0.0, baseline.bound / 2, 1e300])), baseline.loss, baseline.bound).tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(("largest", "bound"), [(0.0, 1.0), (3.0, 3.0)])
def test_numbers_that_were_nearly_always_right_have_a_bound(largest, bound):
    errors = np.zeros(1_000)
    errors[0] = largest
    assert built(Outcomes(np.ones(1_000), errors), Loss.ABSOLUTE_ERROR).bound == bound


def test_rows_without_a_loss_count_for_nothing(baseline):
    rng = np.random.default_rng(8)
    given = numbers(rng, 1_000)
    with_gaps = Outcomes(np.ones(2_000), np.ravel(np.column_stack([given.absolute_errors, np.full(1_000, np.nan)])))
    assert built(with_gaps, Loss.ABSOLUTE_ERROR) == built(given, Loss.ABSOLUTE_ERROR)
    detector = detector_of(built(given, Loss.ABSOLUTE_ERROR))
    nothing = detector.test(Outcomes(np.ones(5), np.full(5, np.nan)), "", span(0))
    assert (nothing.rows, nothing.state) == (0, DriftState.OK)
    assert all(map(math.isfinite, (nothing.evidence, *msgspec.structs.astuple(nothing.features[0].tests["absolute_error"]))))


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_a_model_that_is_always_right_or_always_wrong_has_a_baseline(rate):
    baseline = built(classes(np.random.default_rng(9), 500, rate))
    assert (baseline.risk, baseline.memories) == (rate, ())
    assert rate <= baseline.upper <= 1
    verdicts = run(detector_of(baseline), lambda rows: classes(np.random.default_rng(9), rows, 0.5), 3)
    assert (verdicts[-1].state is DriftState.FIRING) == (rate == 0.0)


def test_too_few_rows_make_no_baseline():
    assert built(classes(np.random.default_rng(10), 499)) is None
    assert built(Outcomes(np.ones(500), np.full(500, np.nan)), Loss.ABSOLUTE_ERROR) is None


def test_equal_losses_have_equal_ids_and_a_baseline_can_be_written_down():
    one, same, other = (built(classes(np.random.default_rng(seed), 500)) for seed in (1, 1, 2))
    assert one.baseline_id == same.baseline_id != other.baseline_id
    assert msgspec.json.decode(msgspec.json.encode(one), type=RiskBaseline) == one


def test_alike_losses_widen_what_the_baseline_may_have_been():
    rng = np.random.default_rng(11)
    apart, alike = built(classes(rng, 5_000)), built(users(rng, 5_000))
    assert alike.memories
    assert alike.upper - alike.risk > 1.5 * (apart.upper - apart.risk)
