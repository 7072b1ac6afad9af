"""Accepting traffic as the new baseline: from the store, on record, kept by a restart."""

import json
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from config.settings import DriftSettings
from detectors.baseline import build_baseline
from driftline.accepting import Accepting
from driftline.decoding import Decoding
from driftline.stored_exchanges import Period, latest
from driftline.watching import Watching
from records.acceptance import AcceptRequest
from records.exchange import Body
from records.ports import StoreUnavailableError
from records.verdict import DriftState
from store.clickhouse.client import EmbeddedStore
from store.clickhouse.readonly import ReadOnlyQueries
from store.spool.cursor import Cursor
from tests.store.clickhouse.parts import STARTED_AT_NS, Worker, make_exchange, make_loader

ROWS = 250
SECOND_NS = 1_000_000_000
SETTINGS = DriftSettings(window_rows=ROWS, window_min_rows=100, baseline_rows=1_000)
RNG = np.random.default_rng(1)


def table(rows, shift=0.0):
    return {"age": RNG.normal(size=rows) + shift, "id": RNG.normal(size=rows)}


class Site:
    """A spool with a writer, a store with its loader, and the detectors in a thread."""

    def __init__(self, directory: Path, baseline) -> None:
        self.directory = directory
        self.baselines = {} if baseline is None else {baseline.model: baseline}
        self.worker = Worker(directory / "spool")
        self.store = EmbeddedStore(directory)
        self.loader = make_loader(directory, self.store)
        self.seconds = 0
        self.verdicts = []
        self.trail = []
        self.accepted = []
        self.began_ns = None
        self.begin()

    def begin(self) -> None:
        """Begin as a monitor that starts does."""
        decode = Decoding(())
        self.watching = Watching(
            self.directory / "spool",
            SETTINGS,
            lambda *_: ("fraud", ""),
            decode,
            self.baselines,
            lambda result: self.verdicts.append(result.verdict),
            shadowed=set(),
            max_lag_bytes=1 << 30,
        )
        self.accept = Accepting(
            self.watching,
            ReadOnlyQueries(self.store),
            decode,
            lambda *entry: self.trail.append(entry),
            max_features=100,
            vector_width=128,
            drift_alerted_ns=lambda _: self.began_ns,
            on_accepted=self.accepted.append,
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.watching.run, args=(self._stop,))
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self.watching.close()

    def serve(self, columns) -> None:
        """Let rows pass, 50 to an exchange, a second apart, and wait until they are stored and watched."""
        rows = len(next(iter(columns.values())))
        for first in range(0, rows, 50):
            instances = [{name: float(column[row]) for name, column in columns.items()} for row in range(first, first + 50)]
            request = json.dumps({"dataframe_records": instances}).encode()
            body = Body(request, len(request), False, "application/json")
            self.seconds += 1
            self.worker.append(make_exchange(path="/invocations", started_at_ns=STARTED_AT_NS + self.seconds * SECOND_NS, request=body, model="fraud"))
        while not self.loader.drain(float("inf")):
            pass
        while self.watching.saved.cursors.get(self.worker.name, Cursor()).sequence < self.worker.sequence:
            time.sleep(0.02)

    def now_ns(self) -> int:
        return STARTED_AT_NS + (self.seconds + 1) * SECOND_NS

    def ask(self, since_seconds=None, **wanted):
        since = None if since_seconds is None else datetime.fromtimestamp(STARTED_AT_NS / 1e9 + since_seconds, UTC)
        return self.accept(AcceptRequest(model="fraud", since=since, **wanted), "ada", self.now_ns())

    def close(self) -> None:
        self.stop()
        self.loader.close()
        self.worker.close()
        self.store.close()


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
    monkeypatch.setattr("driftline.accepting.ROWS_AT_MOST", ROWS)
    monkeypatch.setattr("driftline.stored_columns._BATCH_ROWS", 50)
    assert site.ask(0).rows == ROWS
    assert site.watching.baseline_of("fraud").features[0].mean == pytest.approx(5.0, abs=0.3)


def test_of_many_exchanges_the_latest_are_read(site):
    site.serve(table(ROWS))
    period = Period("fraud")
    ask = ReadOnlyQueries(site.store)
    assert latest(ask, period, 100) == period
    assert latest(ask, period, 2).since_ns == STARTED_AT_NS + (site.seconds - 1) * SECOND_NS
