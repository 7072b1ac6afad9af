import msgspec
import numpy as np
import pytest

from detectors.baseline import BaselineError, build_baseline
from detectors.cycle import Cycle, Season, Timed
from detectors.dependence import Dependence
from detectors.drift import DriftDetector
from detectors.tally import Tally
from detectors.windows import WindowPolicy
from records.baseline import Baseline
from records.verdict import DriftState

HOUR_NS = 3_600_000_000_000
WINDOW_ROWS = 500
WINDOWS_A_DAY = 48
STEP_NS = 24 * HOUR_NS // (WINDOWS_A_DAY * WINDOW_ROWS)
POLICY = WindowPolicy(max_rows=WINDOW_ROWS, max_seconds=None)


def traffic(seed, first_day, days, shift=0.0):
    """Rows of a number and a category that go up and down with the day, and of a number that does not."""
    rng = np.random.default_rng(seed)
    rows = int(days * WINDOWS_A_DAY * WINDOW_ROWS)
    times_ns = int(first_day * 24 * HOUR_NS) + np.arange(rows) * STEP_NS
    tide = np.sin(2 * np.pi * times_ns / (24 * HOUR_NS))
    columns = {
        "tidal": 0.6 * tide + rng.normal(size=rows) + shift,
        "still": rng.normal(size=rows),
        "kind": np.array(["night", "day"], dtype=object)[(rng.random(rows) < 0.5 + 0.3 * tide).astype(int)],
    }
    return columns, times_ns


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    columns, times_ns = traffic(1, 0, 5)
    return build_baseline(columns, model="m", source="test", created_at_ns=0, timed=Timed(times_ns, Cycle.DAY))


def verdicts(baseline, *tables):
    detector = DriftDetector(baseline, threshold=200.0, windows=POLICY)
    return [verdict for columns, times_ns in tables for _, verdict in detector.update(columns, times_ns)]


def test_what_repeats_every_day_is_no_drift(baseline):
    found = verdicts(baseline, traffic(2, 5, 2))
    assert len(found) == 2 * WINDOWS_A_DAY
    assert all(verdict.state is DriftState.OK for verdict in found)
    assert max(verdict.evidence for verdict in found) < 20


def test_without_the_cycle_the_same_days_are_drift(baseline):
    columns, _ = traffic(1, 0, 5)
    shuffled = np.random.default_rng(9).permutation(len(columns["tidal"]))  # in order, the tide would be taken for noise
    plain = build_baseline({name: column[shuffled] for name, column in columns.items()}, model="m", source="test", created_at_ns=0)
    assert any(verdict.alert for verdict in verdicts(plain, traffic(2, 5, 1)))


def test_a_shift_far_smaller_than_the_tide_is_found_and_named(baseline):
    found = verdicts(baseline, traffic(3, 5, 0.25), traffic(4, 5.25, 1, shift=0.3))
    alert = next(verdict for verdict in found if verdict.alert)
    assert 0 <= alert.index - WINDOWS_A_DAY // 4 < 6
    assert alert.carriers == ("tidal",)


def test_what_repeats_is_not_taken_for_noise(baseline):
    columns, _ = traffic(1, 0, 5)
    blind = build_baseline(columns, model="m", source="test", created_at_ns=0)
    (with_cycle, without) = (Dependence(each.features[0].memories).design_effect(WINDOW_ROWS) for each in (baseline, blind))
    assert with_cycle < 1.6
    assert without > 3


def test_between_the_middles_of_two_hours_a_window_is_compared_with_both():
    whole = Tally(np.array([100.0, 100.0]), 0.0, 0.0)
    season = Season(whole, [Tally(np.array([80.0, 20.0]), 0.0, 0.0), Tally(np.array([20.0, 80.0]), 0.0, 0.0)])
    window = Tally(np.array([50.0, 50.0]), 0.0, 0.0)
    shares = [season.without(window, int(hours * HOUR_NS)).counts[0] / 100 for hours in (0.5, 1.0, 1.25, 1.5, 2.5)]
    assert shares == pytest.approx([0.2, 0.5, 0.65, 0.8, 0.2])


def test_a_baseline_with_a_cycle_comes_back_from_json_as_it_was(baseline):
    assert msgspec.json.decode(msgspec.json.encode(baseline), type=Baseline) == baseline


@pytest.mark.parametrize(
    ("days", "step_ns", "cycle", "complaint"),
    [
        (1.5, STEP_NS, Cycle.DAY, "the rows span 1.5 days"),
        (5, STEP_NS, Cycle.WEEK, "a cycle of a week is learned from 2 of them or more"),
        (5, 10 * 60 * 10**9, Cycle.DAY, "needs 100 rows in each of its 24 hours"),
    ],
)
def test_too_short_or_too_thin_a_period_is_refused_with_what_to_do(days, step_ns, cycle, complaint):
    times_ns = np.arange(0, int(days * 24 * HOUR_NS), step_ns)
    with pytest.raises(BaselineError, match=complaint) as refused:
        build_baseline({"x": np.zeros(len(times_ns))}, model="m", source="t.csv", created_at_ns=0, timed=Timed(times_ns, cycle))
    assert "give a longer period" in str(refused.value)
