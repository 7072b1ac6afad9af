"""Accepting traffic as the new baseline: from the store, on record, kept by a restart."""

from datetime import UTC, datetime

import pytest

from detectors.baseline import build_baseline
from driftline.stored_exchanges import Period, latest
from records.acceptance import AcceptRequest
from records.ports import StoreUnavailableError
from records.verdict import DriftState
from store.clickhouse.readonly import ReadOnlyQueries
from tests.driftline.watched_site import ROWS, SECOND_NS, Site, table
from tests.store.clickhouse.parts import STARTED_AT_NS


@pytest.fixture
def site(tmp_path):
    columns = table(2_000)
    del columns["id"]
    site = Site(tmp_path, build_baseline(columns, model="fraud", source="t.csv", created_at_ns=1))
    yield site
    site.close()


@pytest.fixture
def learning_site(tmp_path):
    site = Site(tmp_path, None)
    yield site
    site.close()


def test_drift_that_is_accepted_is_the_baseline_from_then_on_and_after_a_restart(site):
    site.serve(table(ROWS * 3, shift=2.0))
    assert site.verdicts[-1].state is DriftState.FIRING
    site.began_ns = STARTED_AT_NS
    report = site.ask()
    assert (report.rows, report.features, report.replaced) == (ROWS * 3, 1, site.verdicts[-1].baseline_id)
    assert site.trail == [("ada", "accept baseline", f"fraud: {report.source}, {ROWS * 3} rows, in the place of baseline {report.replaced}")]
    assert site.accepted == ["fraud"]
    site.serve(table(ROWS, shift=2.0))
    site.stop()
    site.begin()
    assert site.watching.models[0].baseline_id == report.baseline_id
    site.serve(table(ROWS * 4, shift=2.0))
    assert [verdict.index for verdict in site.verdicts[-5:]] == [0, 1, 2, 3, 4]
    assert {(verdict.state, verdict.baseline_id) for verdict in site.verdicts[-5:]} == {(DriftState.OK, report.baseline_id)}


def test_another_baseline_in_the_settings_takes_the_place_of_an_accepted_one(site):
    site.serve(table(ROWS * 3))
    site.ask(0)
    site.stop()
    site.baselines = {"fraud": build_baseline(table(500), model="fraud", source="new.csv", created_at_ns=2)}
    site.begin()
    assert site.watching.models[0].baseline_source == "new.csv"


def test_a_learned_baseline_is_replaced_with_all_features(learning_site):
    learning_site.serve(table(1_000))
    report = learning_site.ask(0)
    assert (report.rows, report.features) == (1_000, 2)


def test_a_period_is_accepted_without_what_lies_outside(site):
    site.serve(table(ROWS * 3))
    until = datetime.fromtimestamp(STARTED_AT_NS / 1e9 + 12, UTC)
    assert site.ask(10, until=until).rows == 2 * 50


def test_what_cannot_be_a_baseline_is_refused_and_the_old_one_holds(site, monkeypatch):
    site.serve(table(ROWS * 3))
    before = site.watching.baseline_of("fraud")
    for ask, why in (
        (site.ask, "give since"),
        (lambda: site.ask(15), "at least 100 rows"),
        (lambda: site.ask(1e6), "give another period"),
        (lambda: site.accept(AcceptRequest(model="other"), "ada", site.now_ns()), "has no baseline yet"),
    ):
        with pytest.raises(ValueError, match=why):
            ask()
    monkeypatch.setattr("driftline.watching._PATIENCE_SECONDS", 0.05)
    site._stop.set()
    site._thread.join()
    with pytest.raises(StoreUnavailableError, match="have not taken"):
        site.ask(0)
    assert site.watching.baseline_of("fraud") == before
    assert site.accepted == []


def test_of_a_long_period_the_latest_rows_are_taken(site, monkeypatch):
    site.serve(table(ROWS * 2))
    site.serve(table(ROWS, shift=5.0))
    monkeypatch.setattr("driftline.stored_baseline.ROWS_AT_MOST", ROWS)
    monkeypatch.setattr("driftline.stored_columns._BATCH_ROWS", 50)
    assert site.ask(0).rows == ROWS
    assert site.watching.baseline_of("fraud").features[0].mean == pytest.approx(5.0, abs=0.3)


def test_of_many_exchanges_the_latest_are_read(site):
    site.serve(table(ROWS))
    period = Period("fraud")
    ask = ReadOnlyQueries(site.store)
    assert latest(ask, period, 100) == period
    assert latest(ask, period, 2).since_ns == STARTED_AT_NS + (site.seconds - 1) * SECOND_NS
