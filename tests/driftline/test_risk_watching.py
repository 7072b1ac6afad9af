"""Labels on their way to the detector of risk, with the real journal and the real engine: counted once, through deaths and contradictions."""

import numpy as np
import pytest

from config.settings import DriftSettings, LabelSettings
from config.units import Budget
from detectors.budget import SharedBudget
from detectors.risk import Outcomes, build_risk
from driftline.risk_watching import MODELS_AT_MOST, RiskWatching
from labels.journal import Journal, JournalError
from records.baseline import Baseline, Loss
from records.label import Compared
from records.metrics import Metric
from records.ports import StoreUnavailableError
from records.verdict import DriftState

HOUR_NS = 3_600_000_000_000
LABELS = LabelSettings(baseline_rows=500)
DRIFT = DriftSettings(window_rows=100, budget=Budget.parse("1 per 50 windows"))


def make_rows(count, *, wrong, first=0, model="m", at_ns=0):
    """Rows of which a share `wrong` is, spread evenly."""
    for number in range(first, first + count):
        is_wrong = int((number + 1) * wrong) > int(number * wrong)
        yield Compared(model, "3", number.to_bytes(16, "big"), 0, "1", "0" if is_wrong else "1", 1, 1, number, at_ns + number)


class Watched:
    """A journal and its detector, which can be killed and started again."""

    def __init__(self, directory, write=lambda _: None, baselines=None, drift=DRIFT):
        self.journal = Journal(directory / "labels.sqlite", max_received=10, max_waiting=10_000)
        self.told, self.written = [], []
        self.write, self.baselines, self.drift = write, baselines or {}, drift
        self.start()

    def start(self):
        def write(verdicts):
            self.write(verdicts)
            self.written += verdicts

        budget = SharedBudget(self.drift.budget, self.drift.window_time)
        self.risk = RiskWatching(self.journal, self.drift, LABELS, self.baselines, budget, write, self.told.append)

    def put(self, rows):
        self.journal.looked([], {}, {}, list(rows))

    def step(self, now_ns=0):
        while self.risk.step(now_ns):
            pass

    @property
    def status(self):
        return self.risk.statuses["m"]


@pytest.fixture
def watched(tmp_path):
    watched = Watched(tmp_path)
    yield watched
    watched.journal.close()


def test_the_risk_is_learned_from_the_first_labels_and_the_next_ones_are_tested(watched):
    watched.put(make_rows(499, wrong=0.1))
    watched.step(now_ns=HOUR_NS)
    assert (watched.status.state, watched.status.baseline_rows, watched.status.baseline_rows_wanted) == (DriftState.LEARNING, 499, 500)
    watched.put(make_rows(251, wrong=0.1, first=499))
    watched.step()
    status = watched.status
    assert (status.baseline.risk, status.baseline.loss, status.baseline.source) == (0.1, Loss.ERROR_RATE, "labels")
    assert (status.rows, status.windows, status.open_rows, status.state) == (200, 2, 50, DriftState.OK)
    assert [verdict.rows for verdict in watched.written] == [100, 100]
    assert watched.told == watched.written


def test_a_window_closes_when_its_time_is_over_with_however_few_labels(watched):
    watched.put(make_rows(501, wrong=0.1))
    watched.step(now_ns=599_000_000_000)
    assert watched.written == []
    watched.step(now_ns=601_000_000_000)
    assert [verdict.rows for verdict in watched.written] == [1]


def test_more_errors_fire_and_are_told_once_more_after_a_restart(watched):
    watched.put(make_rows(500, wrong=0.1))
    watched.put(make_rows(300, wrong=0.5, first=500))
    watched.step()
    assert [verdict.alert for verdict in watched.told] == [True, False, False]
    assert (watched.status.state, watched.status.last_verdict.version) == (DriftState.FIRING, "3")
    before = watched.status
    watched.start()
    watched.step()
    assert watched.status.last_verdict == watched.told[-1] == watched.told[-2]  # who was told forgets nothing, and hears it again
    assert watched.status.evidence == before.evidence
    assert watched.risk.counters()[Metric.RISK_FIRING.metric_name, "m"]


@pytest.mark.parametrize("death", ["store", "journal"])
def test_a_death_on_the_way_neither_forgets_evidence_nor_counts_a_label_twice(tmp_path, monkeypatch, death):
    (tmp_path / "whole").mkdir()
    whole, broken = Watched(tmp_path / "whole"), Watched(tmp_path)
    for watched in (whole, broken):
        watched.put(make_rows(500, wrong=0.1))
        watched.put(make_rows(100, wrong=0.2, first=500))
        watched.step()
        watched.put(make_rows(200, wrong=0.3, first=600))
    whole.step()

    def die(*_):
        raise StoreUnavailableError("down") if death == "store" else JournalError("killed")

    if death == "store":
        broken.write = die
    else:
        monkeypatch.setattr(broken.journal, "take", die)
    for _ in range(3):
        with pytest.raises((StoreUnavailableError, JournalError)):
            broken.step()
    monkeypatch.undo()
    broken.write = lambda _: None
    broken.step()
    assert broken.status == whole.status
    assert {verdict.index: verdict for verdict in broken.written} == {verdict.index: verdict for verdict in whole.written}
    for watched in (whole, broken):
        watched.journal.close()


def test_a_baseline_from_a_file_is_tested_against_at_once_and_another_one_begins_anew(watched, tmp_path):
    def given(rate):
        wrong = (np.arange(2_000) % 100 < rate) * 1.0
        risk = build_risk(Outcomes(wrong, np.full(2_000, np.nan)), Loss.ERROR_RATE, source="labelled.csv", created_at_ns=0)
        return {"m": Baseline(baseline_id="b", model="m", source="labelled.csv", rows=2_000, created_at_ns=0, features=(), risk=risk)}

    watched.baselines = given(10)
    watched.start()
    watched.put(make_rows(100, wrong=0.5))
    watched.step()
    assert (watched.status.state, watched.status.baseline.source) == (DriftState.FIRING, "labelled.csv")
    watched.baselines = given(50)
    watched.start()
    watched.put(make_rows(100, wrong=0.5, first=100))
    watched.step()
    assert (watched.status.state, watched.status.windows, watched.status.baseline.risk) == (DriftState.OK, 1, 0.5)


def test_numbers_are_compared_by_their_distance(watched):
    rows = list(make_rows(600, wrong=0))
    watched.put(row._replace(prediction=str(row.started_at_ns / 7), label=str(row.started_at_ns / 7 + (1 if row.started_at_ns % 2 else 3))) for row in rows)
    watched.step()
    assert (watched.status.baseline.loss, watched.status.baseline.bound) == (Loss.ABSOLUTE_ERROR, pytest.approx(3))
    assert watched.status.baseline.risk == pytest.approx(2 / 3)


def test_labels_written_otherwise_than_predictions_are_told_of(watched, caplog):
    watched.put(row._replace(prediction="cat", label="3") for row in make_rows(500, wrong=0))
    watched.step()
    assert "are its labels written as its predictions are?" in caplog.text


def test_a_row_counts_once_and_its_newest_label_holds_until_it_is_taken(watched):
    watched.put(make_rows(500, wrong=0.1))
    (row,) = make_rows(1, wrong=0, first=500)
    watched.step()
    watched.put([row, row, row._replace(label="0", labelled_at_ns=5), row._replace(label="2", labelled_at_ns=3)])
    assert [each.label for each in watched.journal.oldest("m", 10)[1]] == ["0"]
    watched.journal.looked([], {}, {}, (), [row._replace(label="1", labelled_at_ns=7)])
    assert [each.label for each in watched.journal.oldest("m", 10)[1]] == ["1"]
    watched.step(now_ns=HOUR_NS)
    watched.journal.looked([], {}, {}, (), [row._replace(label="0", labelled_at_ns=9)])
    assert watched.journal.open_rows() == {}


def test_what_waits_is_bounded_in_rows_and_in_models(tmp_path):
    watched = Watched(tmp_path)
    watched.put(make_rows(10_007, wrong=0.1))
    assert watched.journal.open_rows()["m"].rows == 10_000
    assert watched.journal.counts()[Metric.RISK_SKIPPED.metric_name,] == 7
    for number in range(MODELS_AT_MOST):
        watched.put(make_rows(1, wrong=0.1, model=f"m-{number}"))
    watched.step()
    assert len(watched.risk.statuses) == MODELS_AT_MOST
    assert len(watched.journal.open_rows()) == MODELS_AT_MOST - 1
    watched.journal.close()


def test_detectors_of_features_and_of_risk_share_one_budget(watched):
    budget = SharedBudget(Budget.parse("1 per 100 windows"), 600)
    assert budget.threshold("features", 2) == 200
    assert budget.threshold("risk", 1) == 300
    assert budget.threshold("features", 2) == 300


def test_rows_of_what_is_forgotten_go(watched):
    watched.put(make_rows(3, wrong=0))
    watched.journal.forget(lambda _: False, [(1).to_bytes(16, "big")])
    assert [row.started_at_ns for row in watched.journal.oldest("m", 10)[1]] == [0, 2]


def test_evidence_that_cannot_be_read_begins_anew(watched, caplog):
    watched.put(make_rows(600, wrong=0.1))
    watched.step()
    watched.journal.take("m", 0, b"of another version")
    watched.start()
    watched.put(make_rows(10, wrong=0.1, first=600))
    watched.step()
    assert "begins anew" in caplog.text
    assert (watched.status.state, watched.status.baseline_rows) == (DriftState.LEARNING, 10)
