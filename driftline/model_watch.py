"""One model under watch: its columns, its baseline (given, or learned from its first rows), its detector."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
import numpy as np

from config.settings import DriftSettings
from detectors.arrays import Columns, Integers, is_level, is_numeric
from detectors.baseline import LEARNED, BaselineLearner
from detectors.columns import ColumnBuffer
from detectors.drift import DetectorState, DriftDetector
from detectors.event_time import event_times
from detectors.quality import baseline_findings
from detectors.univariate import Statistics
from detectors.windows import WindowPolicy
from driftline.redacted import NOTHING, is_watched, watched_part
from records.baseline import Baseline
from records.exchange import Exchange
from records.payload import DecodeResult
from records.status import ModelStatus
from records.verdict import DriftState, Verdict
from records.window import WindowSummary
from store.clickhouse.features import FeatureRows

ROWS_AT_ONCE: Final = 1_000
VALUES_AT_ONCE: Final = 200_000
_NO_ID: Final = bytes(16)
"""Instead of an id that is none; the store's loader sets the record aside."""

_log = logging.getLogger(__name__)


class WindowResult(NamedTuple):
    """One window, summarised and tested."""

    summary: WindowSummary
    verdict: Verdict


class ModelState(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart must not forget of one model."""

    baseline: Baseline
    detector: DetectorState
    rows: int
    last_verdict: Verdict | None
    late_rows: int = 0
    untimed_rows: int = 0
    latest_ns: int = 0
    given_id: str = ""
    """The baseline that had been given then; another one was accepted in its place where `baseline` is another one."""
    learning_since_ns: int = 0
    """When the first exchange of a learned baseline was that may grow still; 0 where it is fixed."""
    watched_until_ns: int = 0
    """When the latest exchange was."""


class ModelName(NamedTuple):
    """Which model and version an exchange was for."""

    model: str
    version: str


class _Origins:
    """Of which exchange each collected row is."""

    def __init__(self) -> None:
        self._versions: list[str] = []
        self._exchange_ids: list[bytes] = []
        self._rows: list[int] = []

    def add(self, exchange_id: bytes, version: str, rows: int) -> None:
        self._versions += [version] * rows
        self._exchange_ids += [exchange_id if len(exchange_id) == len(_NO_ID) else _NO_ID] * rows
        self._rows += range(rows)

    def take(self, model: str, times_ns: Integers, columns: Columns) -> FeatureRows:
        """Return the rows for the store. Vectors and texts are in the bodies, and take too much room to be kept twice."""
        kept = {name: column for name, column in columns.items() if is_numeric(column) or is_level(column)}
        rows = FeatureRows(model, self._versions, self._exchange_ids, self._rows, times_ns, kept)
        self._versions, self._exchange_ids, self._rows = [], [], []
        return rows


class ModelWatch:
    """One model: its columns, its baseline, its detector."""

    def __init__(
        self,
        name: ModelName,
        settings: DriftSettings,
        baseline: Baseline | None,
        redacted: re.Pattern[str] = NOTHING,
        *,
        on_rows: Callable[[FeatureRows], None],
    ) -> None:
        """`redacted` matches the names of features that are left alone; `on_rows` gets the rows that were collected, before they are tested."""
        self._on_rows = on_rows
        self._name = name
        self._redacted = redacted
        self._settings = settings
        self._windows = WindowPolicy(max_rows=settings.window_rows, max_seconds=settings.window_time, min_rows=settings.window_min_rows)
        self._learner = BaselineLearner(model=name.model, version=name.version, rows=settings.baseline_rows)
        self._detector: DriftDetector | None = None
        self._rows = self._late_rows = self._untimed_rows = 0
        self._latest_ns = 0
        """The latest time of a row."""
        self._learning_since_ns = self._watched_until_ns = 0
        self._behind_ns = 0
        """How far that time was behind the clock when the row came: windows close in the traffic's time, not in ours."""
        self._last_verdict: Verdict | None = None
        self.threshold = 1.0
        self.columns = ColumnBuffer(max_features=settings.max_features, vector_width=settings.vector_width)
        self._origins = _Origins()
        self._watched: dict[str, bool] = {}  # by feature, of those that the columns admit
        self._given_id = self._begin(baseline).baseline_id if baseline else ""

    def resume(self, state: ModelState) -> None:
        """Go on from where a former process was; anew where another baseline was given since."""
        was_accepted = state.given_id == self._given_id != state.baseline.baseline_id
        if self._detector is None or was_accepted:
            self._begin(state.baseline)
        assert self._detector is not None
        if self._detector.baseline.baseline_id == state.baseline.baseline_id:
            self._detector.restore(state.detector)
            self._rows, self._late_rows, self._untimed_rows = state.rows, state.late_rows, state.untimed_rows
            self._latest_ns = state.latest_ns
            self._learning_since_ns, self._watched_until_ns = state.learning_since_ns, state.watched_until_ns
            self._last_verdict = state.last_verdict

    def replace_baseline(self, baseline: Baseline) -> Baseline:
        """Compare with another baseline from now on; return what of it is watched. The rows of the open window are given up: their question is answered."""
        watched = self._begin(baseline)
        if baseline.source != LEARNED:
            self._learning_since_ns = 0
        self._rows = 0
        self._last_verdict = None
        _log.info("model %s is compared with baseline %s (%s) from now on", self._name.model, watched.baseline_id, watched.source)
        return watched

    def set_threshold(self, threshold: float) -> None:
        """Set the evidence at which an alert may be raised: it grows with the number of models that share the budget."""
        self.threshold = threshold
        if self._detector is not None:
            self._detector.threshold = threshold

    @property
    def has_enough(self) -> bool:
        """Whether as many rows wait as are cheapest to take together: what a batch costs beside its rows grows with the features, not with the rows."""
        return len(self.columns) >= ROWS_AT_ONCE or self.columns.size >= VALUES_AT_ONCE

    def add(self, exchange: Exchange, request: DecodeResult, response: DecodeResult, version: str) -> None:
        """Collect the rows of an exchange."""
        self._origins.add(exchange.exchange_id, version, self.columns.add(request, response, exchange.started_at_ns))

    def step(self, now_ns: int) -> list[WindowResult]:
        """Take the rows that were collected; return the windows that closed."""
        closed: list[tuple[WindowSummary, Verdict]] = []
        if len(self.columns):
            collected, times_ns = self.columns.take()
            self._on_rows(self._origins.take(self._name.model, times_ns, collected))
            self._watched_until_ns = max(self._watched_until_ns, int(times_ns.max()))
            if self._detector is None and not self._learning_since_ns:
                self._learning_since_ns = int(times_ns.min())
            columns, times_ns = self._timed(collected, times_ns)
            if (latest_ns := int(times_ns.max())) >= self._latest_ns:
                self._latest_ns, self._behind_ns = latest_ns, max(0, now_ns - latest_ns)
            if self._detector is None:
                self._learn(columns, times_ns, now_ns)
            else:
                self._rows += len(times_ns)
                closed += self._detector.update(columns, times_ns)
        if self._detector is not None:
            closed += self._detector.close_due(now_ns - self._behind_ns)
        if closed:
            self._last_verdict = closed[-1][1]
            self._late_rows += sum(summary.late_rows for summary, _ in closed)
            if any(verdict.state is DriftState.FIRING for _, verdict in closed):
                self._learning_since_ns = 0  # what has drifted once is no part of a baseline by itself
        return [WindowResult(*each) for each in closed]

    def state(self) -> ModelState | None:
        """Return what a restart must not forget; None while the baseline is learned."""
        detector = self._detector
        if detector is None:
            return None
        return ModelState(
            baseline=detector.baseline,
            detector=detector.snapshot(),
            rows=self._rows,
            late_rows=self._late_rows,
            untimed_rows=self._untimed_rows,
            latest_ns=self._latest_ns,
            last_verdict=self._last_verdict,
            given_id=self._given_id,
            learning_since_ns=self._learning_since_ns,
            watched_until_ns=self._watched_until_ns,
        )

    def status(self, now_ns: int) -> ModelStatus:
        """Return what people are shown."""
        detector, last = self._detector, self._last_verdict
        if detector is None:
            return ModelStatus(
                model=self._name.model,
                version=self._name.version,
                state=DriftState.LEARNING,
                baseline_rows=self._learner.rows,
                baseline_rows_wanted=self._settings.baseline_rows,
                rows=0,
                windows=0,
                latest_row_at_ns=self._latest_ns,
                evidence=0.0,
                threshold=0.0,
            )
        baseline = detector.baseline
        return ModelStatus(
            model=self._name.model,
            version=last.version if last else self._name.version,
            state=last.state if last else DriftState.OK,
            baseline_id=baseline.baseline_id,
            baseline_source=baseline.source,
            baseline_quality=self._baseline_quality,
            baseline_rows=baseline.rows,
            baseline_rows_wanted=baseline.rows,
            rows=self._rows,
            windows=last.index + 1 if last else 0,
            open_rows=detector.open_rows,
            opened_at_ns=detector.opened_at_ns if detector.open_rows else 0,
            fewest_rows=self._windows.fewest_rows,
            is_waiting=self._windows.is_waiting(detector.open_rows, detector.opened_at_ns, now_ns - self._behind_ns),
            late_rows=self._late_rows,
            untimed_rows=self._untimed_rows,
            latest_row_at_ns=self._latest_ns,
            evidence=last.evidence if last else 0.0,
            threshold=self.threshold,
            last_verdict=last,
        )

    def _timed(self, columns: Columns, times_ns: Integers) -> tuple[Columns, Integers]:
        """Return the watched columns of rows, and the times that the feature says which is to say them; it is not watched: it never comes back."""
        name = self._settings.event_time
        if name:
            times_ns, untimed = event_times(columns.get(name, np.full(len(times_ns), np.nan)), times_ns)
            self._untimed_rows += untimed
        return {other: column for other, column in columns.items() if self._is_watched(other)}, times_ns

    def _is_watched(self, name: str) -> bool:
        known = self._watched.get(name)
        if known is None:
            known = self._watched[name] = is_watched(name, self._redacted, self._settings.event_time)
        return known

    def _learn(self, columns: Columns, times_ns: Integers, now_ns: int) -> None:
        baseline = self._learner.add(columns, times_ns, now_ns)
        if baseline is not None:
            _log.info("learned a baseline for model %s from its first %d rows: %d features", self._name.model, baseline.rows, len(baseline.features))
            self._begin(baseline)

    def _begin(self, baseline: Baseline) -> Baseline:
        self.columns = ColumnBuffer.of(baseline, max_features=self._settings.max_features, vector_width=self._settings.vector_width)
        window_seconds = None if self._settings.budget.windows else self._settings.window_time
        statistics = Statistics.of(self._settings)
        watched = watched_part(baseline, self._redacted, self._settings.event_time)
        self._detector = DriftDetector(watched, threshold=self.threshold, windows=self._windows, window_seconds=window_seconds, statistics=statistics)
        self._baseline_quality = baseline_findings(watched)
        return watched
