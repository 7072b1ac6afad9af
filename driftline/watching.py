"""The detectors' way through the spool: frames to exchanges, to columns, to verdicts.

    spool → exchange → payload → columns of its model → baseline, learned or given → windows → verdicts
                          └────→ agreement of shadows with what was served

One file, `detectors.state`, holds the cursors beside everything that was made of what they passed: open windows, evidence, learned baselines,
and results that the store has yet to take. It is replaced as a whole, so a restart goes on from exactly there and counts no row twice. (Rows
from which a baseline is still being learned are not in it: learning begins again.)
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import Final

import msgspec

from config.settings import DriftSettings
from detectors.budget import SharedBudget
from driftline.feature_shelf import FeatureShelf
from driftline.model_watch import ModelName, ModelState, ModelWatch, WindowResult
from driftline.redacted import NOTHING
from driftline.shadow_watching import ShadowResult, ShadowWatching, ShadowWatchState, Tolerances
from records.baseline import Baseline
from records.exchange import Exchange, Role
from records.metrics import DropReason, Metric
from records.payload import Decoded, DecodeResult, Failed, Undecodable
from records.ports import StoreUnavailableError
from records.status import AgreementStatus, ModelStatus
from records.verdict import Verdict
from store.spool.cipher import SpoolKeys
from store.spool.cursor import Cursor
from store.spool.format import FrameKind
from store.spool.reader import SpoolReader
from store.spool.state import read_state, write_state

STATE_NAME: Final = "detectors.state"
MODELS_AT_MOST: Final = 200
"""Models are named by paths, and paths by whoever sends requests."""

_FRAMES_PER_READ: Final = 2_000
_BYTES_PER_READ: Final = 16 * 1024 * 1024
_IDLE_SECONDS: Final = 0.1
_ROWS_WAIT_SECONDS: Final = 1.0
_SAVE_SECONDS: Final = 1.0
_SAVE_SHARE: Final = 0.02
"""Of the time, at most: what is written down grows with features and models."""
_RESULTS_KEPT: Final = 2_000
"""Windows that wait for the store at most; the oldest is forgotten first: it can be made again from the exchanges."""

_PATIENCE_SECONDS: Final = 30.0

_NO_NAME: Final = ModelName("", "")
"""Of a shadow's reply: which model was asked for says the served one."""

_NOT_COUNTED: Final = frozenset({Undecodable.EMPTY, Undecodable.FEEDBACK})
"""What nobody would want to be decoded as a prediction."""

_log = logging.getLogger(__name__)
_decode_exchange = msgspec.msgpack.Decoder(Exchange).decode


class WatchState(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart must not forget."""

    cursors: dict[str, Cursor] = {}
    models: dict[str, ModelState] = {}
    unstored: tuple[WindowResult, ...] = ()
    shadows: tuple[ShadowWatchState, ...] = ()
    unstored_shadows: tuple[ShadowResult, ...] = ()
    skipped: int = 0
    features_waiting: int = 0
    features_dropped: int = 0
    """Rows of features."""


class Watching:
    """Consumes the spool for the detectors. Lives in one thread; what is public is replaced whole, and may be read from others."""

    def __init__(
        self,
        spool: Path,
        settings: DriftSettings,
        name: Callable[[Exchange, DecodeResult], tuple[str, str]],
        decode: Callable[[Exchange], tuple[DecodeResult, DecodeResult]],
        baselines: Mapping[str, Baseline],
        on_verdict: Callable[[Verdict], None],
        *,
        tolerances: Tolerances,
        max_lag_bytes: int,
        redacted: re.Pattern[str] = NOTHING,
        keys: SpoolKeys | None = None,
        budget: SharedBudget | None = None,
        on_exchange: Callable[[Exchange, DecodeResult], None] | None = None,
    ) -> None:
        """Go on where the state file says. `on_verdict` is called in this object's thread; `tolerances` are of the shadows, by route and name;
        `redacted` matches the names of features that are not watched; `on_exchange` gets every exchange with its reply; by default the settings' budget is for this alone.

        Raises DamagedStateError.
        """
        self.saved = read_state(spool / STATE_NAME, WatchState) or WatchState()
        self.models: tuple[ModelStatus, ...] = ()
        self.agreement: tuple[AgreementStatus, ...] = ()
        self._state_file = spool / STATE_NAME
        self._settings = settings
        self._budget = budget or SharedBudget(settings.budget, settings.window_time)
        self._name = name
        self._decode = decode
        self._baselines = baselines
        self._on_verdict = on_verdict
        self._on_exchange = on_exchange
        self._shadows = ShadowWatching(settings, tolerances, self._budget, self.saved.shadows)
        self._max_lag_bytes = max_lag_bytes
        self._redacted = redacted
        self._reader = SpoolReader(spool, self.saved.cursors, keys)
        self._cursors = dict(self.saved.cursors)
        self._taking = False
        self._undecodable: Counter[tuple[str, str]] = Counter()
        self._skipped = self.saved.skipped
        self._unstored = list(self.saved.unstored)
        self._unstored_shadows = list(self.saved.unstored_shadows)
        self.features = FeatureShelf(dropped=self.saved.features_dropped + self.saved.features_waiting)
        self._results_lock = threading.Lock()
        self._watches: dict[str, ModelWatch] = {}
        self._next_look = 0.0
        self._next_save = 0.0
        self._replacements: SimpleQueue[tuple[str, Baseline, Future[Baseline]]] = SimpleQueue()
        for model, baseline in baselines.items():
            self._watch(ModelName(model, baseline.version))
        for model, state in self.saved.models.items():
            self._watch(ModelName(model, state.baseline.version)).resume(state)
        self._publish()

    def run(self, stop: threading.Event) -> None:
        """Step until `stop` is set, then save."""
        while not stop.is_set():
            if not self.step():
                stop.wait(_IDLE_SECONDS)
        self.save()

    def drain(self, deadline: float) -> None:
        """Read all that the spool holds, as far as the monotonic time `deadline` allows, and save."""
        while time.monotonic() < deadline and self.step():
            pass
        self.save()

    def step(self) -> bool:
        """Read some frames and act on them; return whether there were any."""
        due = time.monotonic() >= self._next_save
        if due:  # before reading, so that the cursors saved are those behind what was skipped
            self._skipped += self._reader.skip_to_bound(self._max_lag_bytes)
            self._share_budget()
        batch = self._reader.read(_FRAMES_PER_READ, _BYTES_PER_READ)
        self._taking = bool(batch.frames)
        for frame in batch.frames:
            if frame.kind == FrameKind.RECORD:
                self._take(frame.payload)
        self._skipped += sum(count for lost in batch.lost.values() for reason, count in lost.items() if reason is not DropReason.CORRUPT)
        self._cursors = batch.cursors
        if time.monotonic() >= self._next_look:
            self._look_at_rows()
        replaced = self._replace_baselines()
        if due and not replaced:
            self.save()
        if self._taking:
            self._show_agreement()
        self._taking = False
        return bool(batch.frames)

    def save(self) -> None:
        """Replace the state file, if there is anything new."""
        self._look_at_rows()  # the cursors are past them
        self.features.settle()
        began = time.monotonic()
        with self._results_lock:
            unstored, unstored_shadows = tuple(self._unstored), tuple(self._unstored_shadows)
        models = {model: known for model, watch in self._watches.items() if (known := watch.state())}
        state = WatchState(
            cursors=self._cursors,
            models=models,
            unstored=unstored,
            shadows=self._shadows.states(),
            unstored_shadows=unstored_shadows,
            skipped=self._skipped,
            features_waiting=self.features.waiting,
            features_dropped=self.features.dropped,
        )
        if state != self.saved:
            write_state(self._state_file, state)
            self.saved = state
        self._publish()
        ended = time.monotonic()
        self._next_save = ended + max(_SAVE_SECONDS, (ended - began) / _SAVE_SHARE)

    def unstored(self) -> list[WindowResult]:
        """Return the results that the store has yet to take, oldest first."""
        with self._results_lock:
            return list(self._unstored)

    def unstored_shadows(self) -> list[ShadowResult]:
        """Return the same of shadows."""
        with self._results_lock:
            return list(self._unstored_shadows)

    def stored(self, results: Iterable[WindowResult | ShadowResult]) -> None:
        """The store has taken these results."""
        taken = {id(result) for result in results}
        with self._results_lock:
            self._unstored = [result for result in self._unstored if id(result) not in taken]
            self._unstored_shadows = [result for result in self._unstored_shadows if id(result) not in taken]

    def baseline_of(self, model: str) -> Baseline | None:
        """Return the baseline of a model; None where it has none yet."""
        known = self.saved.models.get(model)
        return known.baseline if known else None

    def is_given(self, model: str) -> bool:
        """Return whether somebody has made a baseline for this model; else it is learned."""
        return model in self._baselines

    def replace_baseline(self, model: str, baseline: Baseline) -> Baseline:
        """Compare a model with another baseline; return what of it is watched, when that is written down. Called on another thread than this object's.

        Raises `StoreUnavailableError` where the detectors do not get to it, KeyError for a model that is not watched.
        """
        done: Future[Baseline] = Future()
        self._replacements.put((model, baseline, done))
        try:
            return done.result(_PATIENCE_SECONDS)
        except TimeoutError:
            if done.cancel():
                raise StoreUnavailableError(f"the detectors have not taken the new baseline within {_PATIENCE_SECONDS:g} s: see the monitor's log") from None
            return done.result()

    def baselines(self) -> list[Baseline]:
        """Return the baselines of all models that have one."""
        return [model.baseline for model in self.saved.models.values()]

    def counters(self) -> dict[tuple[str, ...], int]:
        """Return what is counted here, as the metrics page takes it."""
        counts: dict[tuple[str, ...], int] = {(Metric.UNDECODABLE.metric_name, *key): count for key, count in dict(self._undecodable).items()}
        return (
            counts
            | self._shadows.counters()
            | {(Metric.DETECTOR_SKIPPED.metric_name,): self._skipped, (Metric.FEATURES_DROPPED.metric_name,): self.features.dropped}
        )

    def lag(self) -> dict[str, int]:
        """Return how many records are still to be read, by writer; those that are being taken count as one, so that without a lag all is to be seen."""
        return self._reader.lag() | ({"": 1} if self._taking else {})

    def close(self) -> None:
        """Close the spool's files."""
        self._reader.close()

    def _replace_baselines(self) -> bool:
        """Take the baselines that wait to replace others, and write them down; return whether there were any."""
        replaced = False
        while not self._replacements.empty():
            model, baseline, done = self._replacements.get()
            if done.set_running_or_notify_cancel():
                self._look_at_rows()
                watched = self._watches[model].replace_baseline(baseline)
                self.save()
                done.set_result(watched)
                replaced = True
        return replaced

    def _take(self, payload: bytes) -> None:
        try:
            exchange = _decode_exchange(payload)
        except msgspec.DecodeError:  # counted and set aside by the store's loader
            return
        request, response = self._decode(exchange)
        name = _NO_NAME
        if exchange.role is Role.SERVED:
            name = ModelName(*self._name(exchange, response))
            self._count(request)
            self._collect(exchange, name, request, response)
        self._count(response)
        if exchange.route in self._shadows.routes:
            self._report_shadows(self._shadows.add(exchange, response, *name, time.time_ns()))
        if self._on_exchange is not None:
            self._on_exchange(exchange, response)

    def _collect(self, exchange: Exchange, name: ModelName, request: DecodeResult, response: DecodeResult) -> None:
        if not isinstance(request, Decoded) and not isinstance(response, Decoded):
            return
        if name.model not in self._watches and len(self._watches) >= MODELS_AT_MOST:
            self._undecodable["", "too_many_models"] += 1
            return
        watch = self._watch(name)
        watch.add(exchange, request, response, name.version)
        if watch.has_enough:
            self._report(watch.step(time.time_ns()))

    def _look_at_rows(self) -> None:
        """Summarise and test what was collected, and close the windows whose time is over."""
        now_ns = time.time_ns()
        for watch in self._watches.values():
            self._report(watch.step(now_ns))
        self._report_shadows(self._shadows.step(now_ns))
        self._next_look = time.monotonic() + _ROWS_WAIT_SECONDS

    def _watch(self, name: ModelName) -> ModelWatch:
        watch = self._watches.get(name.model)
        if watch is None:
            baseline = self._baselines.get(name.model)
            watch = self._watches[name.model] = ModelWatch(name, self._settings, baseline, self._redacted, on_rows=self.features.put)
            self._share_budget()
        return watch

    def _share_budget(self) -> None:
        threshold = self._budget.threshold("features", len(self._watches))
        for watch in self._watches.values():
            watch.set_threshold(threshold)
        self._shadows.share_budget()

    def _report(self, results: list[WindowResult]) -> None:
        if not results:
            return
        with self._results_lock:
            self._unstored += results
            del self._unstored[:-_RESULTS_KEPT]
        for result in results:
            self._on_verdict(result.verdict)
        self._publish()

    def _report_shadows(self, results: list[ShadowResult]) -> None:
        if not results:
            return
        with self._results_lock:
            self._unstored_shadows += results
            del self._unstored_shadows[:-_RESULTS_KEPT]
        for result in results:
            self._on_verdict(result.verdict)

    def _count(self, result: DecodeResult) -> None:
        if isinstance(result, Failed) and result.reason not in _NOT_COUNTED:
            self._undecodable[result.format, result.reason.value] += 1

    def _publish(self) -> None:
        now_ns = time.time_ns()
        self.models = tuple(watch.status(now_ns) for watch in self._watches.values())
        self._show_agreement()

    def _show_agreement(self) -> None:
        self.agreement = self._shadows.statuses()
