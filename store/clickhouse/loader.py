"""The store's loader: from the spool to the tables, each record once (docs/decisions/0001-spool.md).

    read → decode → intent to disk → insert → cursors and counts to disk

A batch is stored when it has enough rows or bytes, or when its oldest frame has waited long enough. While the store fails, the one
batch that was read stays in memory, the waits between attempts grow, and everything else stays in the spool: an outage is a longer spool.
What the state file calls intent is what is in doubt: after a crash the next loader finds it there, after a failed attempt this one does.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from clickhouse_connect.driver.client import Client
from msgspec.structs import replace

from records.exchange import Exchange
from records.status import StoreStatus
from store.clickhouse.batch import BatchLimits, Key, Name, OpenBatch
from store.clickhouse.client import FAILURES, Store, one_line
from store.clickhouse.inserter import EXCHANGES, OUTCOMES, DeadLetter, Inserter, Ranges, joined
from store.model_counts import add_exchanges
from store.spool.cipher import SpoolKeys
from store.spool.reader import SpoolReader
from store.spool.state import LoaderState, read_state, write_state

POLL_SECONDS: Final = 0.1
FIRST_RETRY_SECONDS: Final = 0.1
LAST_RETRY_SECONDS: Final = 30.0

_FRAMES_AT_ONCE: Final = 250
"""Read and decoded at a time: more would be out of the processor's cache in between."""

_log = logging.getLogger(__name__)


class Loader:
    """Consumes the spool. Lives in one thread; `state`, `status` and `failures` may be read from others."""

    def __init__(
        self,
        spool: Path,
        state_file: Path,
        store: Store,
        name: Name,
        limits: BatchLimits,
        *,
        label_key: Key = lambda _: "",
        on_stored: Callable[[Sequence[Exchange]], None] = lambda _: None,
        fsync: bool = False,
        keys: SpoolKeys | None = None,
    ) -> None:
        """Go on where the state file says. With `fsync` that file outlives a loss of power; `keys` are those of the spool.

        `on_stored` gets the exchanges of every batch once they are stored; after a crash some of them again. Raises `DamagedStateError` where
        the state cannot be read.
        """
        self.state = read_state(state_file, LoaderState) or LoaderState()
        self.status = StoreStatus(kind=store.kind, up=True, changed_at_ns=time.time_ns())
        self.failures = 0
        """Attempts to store a batch that failed."""
        self._state_file = state_file
        self._fsync = fsync
        self._reader = SpoolReader(spool, self.state.cursors, keys)
        self._store = store
        self._client: Client | None = None
        self._name = name
        self._label_key = label_key
        self._on_stored = on_stored
        self._limits = limits
        self._batch = OpenBatch(self.state.cursors)
        self._recovered: Ranges = self.state.intent
        self._backoff = Backoff()
        self._next_attempt = 0.0

    def step(self, now: float) -> float:
        """Read what there is, and store it if that is due at the monotonic time `now`; return how many seconds to wait before the next step."""
        self._fill(now)
        due = self._batch.due(self._limits)
        return self._attempt(now) if now >= due else min(POLL_SECONDS, due - now)

    def drain(self, deadline: float, clock: Callable[[], float] = time.monotonic, wait: Callable[[float], None] = time.sleep) -> bool:
        """Store all that the spool holds, full batch or not; return whether that was done before the monotonic time `deadline`."""
        while (now := clock()) < deadline:
            self._fill(now)
            if self._batch.empty:
                return True
            wait(min(self._attempt(now), deadline - now))
        return False

    def run(self, stop: threading.Event) -> None:
        """Step until `stop` is set."""
        while not stop.is_set():
            stop.wait(self.step(time.monotonic()))

    @property
    def reader(self) -> SpoolReader:
        """The spool as this loader reads it."""
        return self._reader

    def lag(self) -> dict[str, int]:
        """Return how many records are still to be read, by writer."""
        return self._reader.lag()

    def close(self) -> None:
        """Close the spool's files and the connection."""
        self._reader.close()
        self._disconnect()

    def _fill(self, now: float) -> None:
        """Read what there is, as far as there is room."""
        while True:
            room_rows, room_bytes = self._batch.room(self._limits)
            if room_rows <= 0 or room_bytes <= 0:
                return
            read = self._reader.read(min(room_rows, _FRAMES_AT_ONCE), room_bytes)
            self._batch.add(read, self._name, self._label_key, now)
            if not read.frames:
                return

    def _attempt(self, now: float) -> float:
        if now < self._next_attempt:
            return self._next_attempt - now
        try:
            refused = self._insert() if self._batch.frames else []
            self._acknowledge(refused)
        except FAILURES as error:
            return self._failed(error, now)
        return 0.0

    def _insert(self) -> list[DeadLetter]:
        """Store the batch; return the frames that the store does not want."""
        batch, doubt = self._batch, self.state.intent
        batch.closed = True
        self._replace_state(self.state.intending(joined(doubt, batch.ranges())))
        inserter = Inserter(self._connected())
        letters = batch.undecodable + inserter.store(EXCHANGES, batch.exchanges, doubt) + inserter.store(OUTCOMES, batch.outcomes, doubt)
        inserter.set_aside(letters)
        self._on_stored([row.exchange for row in batch.exchanges])
        self._succeeded(letters)
        return letters

    def _acknowledge(self, letters: list[DeadLetter]) -> None:
        batch = self._batch
        stored, dropped = batch.counts(letters)
        # A batch that is read again after a crash may be cut elsewhere: only a record beyond the range shows that all of it was read again.
        recovered = {writer: (first, last) for writer, (first, last) in self._recovered.items() if batch.last_sequence(writer) <= last}
        models = add_exchanges(self.state.models, batch.stored_exchanges(letters))
        self._replace_state(self.state.acknowledging(batch.cursors, stored, dropped, models).intending(recovered))
        self._recovered = recovered
        self._batch = OpenBatch(batch.cursors)

    def _replace_state(self, state: LoaderState) -> None:
        write_state(self._state_file, state, fsync=self._fsync)
        self.state = state

    def _connected(self) -> Client:
        if self._client is None:
            self._client = self._store.client()
        return self._client

    def _disconnect(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _succeeded(self, letters: list[DeadLetter]) -> None:
        self._backoff.reset()
        if not self.status.up:
            _log.info("the store takes records again")
            self.status = replace(self.status, up=True, changed_at_ns=time.time_ns(), error="")
        if letters:
            _log.warning("the store refused %d of the last batch; they are in the table dead_letters: %s", len(letters), letters[-1].reason)
            self.status = replace(self.status, refusal=letters[-1].reason)

    def _failed(self, error: BaseException, now: float) -> float:
        self._disconnect()
        self.failures += 1
        if self.status.up:
            _log.warning("the store does not take records; they wait in the spool: %s", one_line(error))
        since_ns = time.time_ns() if self.status.up else self.status.changed_at_ns
        self.status = replace(self.status, up=False, changed_at_ns=since_ns, error=one_line(error))
        seconds = self._backoff.next_seconds()
        self._next_attempt = now + seconds
        return seconds


class Backoff:
    """Waits that double up to a bound; half of each is random, so that many loaders do not come back together."""

    def __init__(self, random: Callable[[], float] = random.random) -> None:
        self._random = random
        self._seconds = FIRST_RETRY_SECONDS

    def next_seconds(self) -> float:
        """Return how long to wait now."""
        seconds = self._seconds * (0.5 + 0.5 * self._random())
        self._seconds = min(2 * self._seconds, LAST_RETRY_SECONDS)
        return seconds

    def reset(self) -> None:
        """Begin again with the shortest wait."""
        self._seconds = FIRST_RETRY_SECONDS
