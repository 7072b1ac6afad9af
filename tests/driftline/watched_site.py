"""A model that is watched: its traffic in a spool, a store with its loader, and the detectors."""

import json
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from config.settings import DriftSettings
from driftline.accepting import Accepting
from driftline.decoding import Decoding
from driftline.stored_baseline import StoredTraffic
from driftline.watching import Watching
from records.acceptance import AcceptRequest
from records.exchange import Body
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
            self.verdicts.append,
            tolerances={},
            max_lag_bytes=1 << 30,
        )
        self.traffic = StoredTraffic(ReadOnlyQueries(self.store), decode, max_features=100, vector_width=128)
        self.accept = Accepting(
            self.watching,
            self.traffic,
            lambda *entry: self.trail.append(entry),
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
