"""The detector of risk's way: labels beside what was served, to a baseline, given or learned, to windows, to verdicts.

    journal (`labels.compared`) → loss → windows → verdict → table `verdicts` → alert

The rows leave the journal in the transaction that keeps what was made of them, after the store has their verdict. So a kill forgets no evidence and counts
no label twice: what it broke off begins again, with the same rows, and the store knows a repeated verdict.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from config.settings import DriftSettings, LabelSettings
from detectors.budget import SharedBudget
from detectors.rise import Span
from detectors.risk import RiskDetector, RiskState
from driftline.labelled_risk import Pairs, outcomes_of, risk_of
from labels.compared import Open
from labels.journal import Journal, JournalError
from records.baseline import Baseline, RiskBaseline
from records.label import Compared
from records.metrics import Metric
from records.ports import StoreUnavailableError
from records.status import RiskStatus
from records.verdict import DriftState, Verdict

MODELS_AT_MOST: Final = 200

_IDLE_SECONDS: Final = 0.5
_RETRY_SECONDS: Final = 5.0
_NOTHING_OPEN: Final = Open(0, 0)
_SUSPICIOUS_RISK: Final = 0.99

_log = logging.getLogger(__name__)


class RiskModelState(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart must not forget of one model."""

    baseline: RiskBaseline
    detector: RiskState
    rows: int = 0
    last_verdict: Verdict | None = None


class RiskWatching:
    """Takes what the journal has for the detector of risk. `run` and `step` are for one thread; `statuses` is replaced whole."""

    def __init__(
        self,
        journal: Journal,
        drift: DriftSettings,
        labels: LabelSettings,
        baselines: Mapping[str, Baseline],
        budget: SharedBudget,
        write: Callable[[Sequence[Verdict]], None],
        on_verdict: Callable[[Verdict], None],
    ) -> None:
        """`baselines` are by model; `write` brings verdicts to the store, and `on_verdict` is called in this object's thread, also with the last one of before."""
        self.statuses: Mapping[str, RiskStatus] = {}
        self._journal = journal
        self._drift = drift
        self._labels = labels
        self._baselines = baselines
        self._budget = budget
        self._write = write
        self._on_verdict = on_verdict
        self._watches: dict[str, RiskWatch] | None = None

    def run(self, stop: threading.Event) -> None:
        """Step until `stop` is set."""
        while not stop.is_set():
            try:
                busy = self.step(time.time_ns())
            except (StoreUnavailableError, JournalError) as error:
                _log.warning("verdicts on risk wait: %s", error)
                stop.wait(_RETRY_SECONDS)
            else:
                stop.wait(0 if busy else _IDLE_SECONDS)

    def step(self, now_ns: int) -> bool:
        """Take a window of each model that has one; return whether there were any. Raises StoreUnavailableError and JournalError: the rows are then still there."""
        if self._watches is None:
            self._watches = self._resumed()
        watches, waiting = self._watches, self._journal.open_rows()
        for model in waiting.keys() - watches.keys():
            if len(watches) < MODELS_AT_MOST:
                watches[model] = self._new(model)
            else:
                self._journal.refuse(model)
        try:
            taken = [self._take(watch, waiting.get(model, _NOTHING_OPEN), now_ns) for model, watch in watches.items()]
        except (StoreUnavailableError, JournalError):
            self._watches = None  # what was not kept was not made: begin again with what the journal has
            raise
        waiting = self._journal.open_rows() if any(taken) else waiting
        self.statuses = {model: watch.status(waiting.get(model, _NOTHING_OPEN).rows) for model, watch in watches.items()}
        return any(taken)

    def counters(self) -> dict[tuple[str, ...], float]:
        """Return the numbers of all models, as the metrics page takes them."""
        return {(metric.metric_name, model): value for model, status in self.statuses.items() for metric, value in _numbers(status).items()}

    def _take(self, watch: RiskWatch, waiting: Open, now_ns: int) -> bool:
        rows = watch.due(waiting, now_ns)
        if not rows:
            return False
        number, taken = self._journal.oldest(watch.model, rows)
        verdict = watch.take(taken, self._threshold())
        if verdict:
            self._write([verdict])
        self._journal.take(watch.model, number, msgspec.msgpack.encode(watch.state()))
        if verdict:
            self._on_verdict(verdict)
        return True

    def _threshold(self) -> float:
        return self._budget.threshold("risk", len(self._watches or ()))

    def _new(self, model: str) -> RiskWatch:
        baseline = self._baselines.get(model)
        return RiskWatch(model, self._drift, self._labels, baseline.risk if baseline else None)

    def _resumed(self) -> dict[str, RiskWatch]:
        watches = {}
        for model, state in self._journal.risk_states().items():
            watches[model] = watch = self._new(model)
            try:
                watch.resume(msgspec.msgpack.decode(state, type=RiskModelState))
            except msgspec.MsgspecError as error:
                _log.warning("the evidence on the risk of model %s was written by another version and begins anew: %s", model, error)
            if watch.last_verdict:  # it may never have been told
                self._on_verdict(watch.last_verdict)
        self._budget.threshold("risk", len(watches))
        return watches


class RiskWatch:
    """One model: its baseline, given or learned from its first labelled rows, and its detector."""

    def __init__(self, model: str, drift: DriftSettings, labels: LabelSettings, given: RiskBaseline | None) -> None:
        self.model: Final = model
        self.last_verdict: Verdict | None = None
        self._drift = drift
        self._labels = labels
        self._detector: RiskDetector | None = None
        self._threshold = 0.0
        self._rows = 0
        if given is not None:
            self._begin(given)

    def resume(self, state: RiskModelState) -> None:
        """Go on from where a former process was; anew where another baseline was given since."""
        if self._detector is None:
            self._begin(state.baseline)
        assert self._detector is not None
        if self._detector.baseline.baseline_id == state.baseline.baseline_id:
            self._detector.restore(state.detector)
            self._rows = state.rows
            self.last_verdict = state.last_verdict

    def due(self, waiting: Open, now_ns: int) -> int:
        """Return how many of the rows that wait are to be taken now."""
        wanted = self._labels.baseline_rows if self._detector is None else self._drift.window_rows
        if waiting.rows >= wanted:
            return wanted
        is_over = now_ns >= waiting.first_at_ns + int(self._drift.window_time * 1e9)
        return waiting.rows if self._detector is not None and is_over else 0

    def take(self, rows: Sequence[Compared], threshold: float) -> Verdict | None:
        """Learn from these rows, or test them as a window; `threshold` is the evidence at which an alert may be raised."""
        self._threshold = threshold
        if self._detector is None:
            self._learn(rows)
            return None
        self._detector.set_threshold(threshold)
        self._rows += len(rows)
        self.last_verdict = self._detector.test(outcomes_of(_pairs(rows)), rows[-1].version, _span(rows))
        return self.last_verdict

    def state(self) -> RiskModelState:
        """Return what a restart must not forget, once there is a baseline."""
        assert self._detector is not None
        return RiskModelState(baseline=self._detector.baseline, detector=self._detector.state, rows=self._rows, last_verdict=self.last_verdict)

    def status(self, open_rows: int) -> RiskStatus:
        """Return what people are shown; `open_rows` wait to be taken."""
        if self._detector is None:
            return RiskStatus(state=DriftState.LEARNING, baseline_rows=open_rows, baseline_rows_wanted=self._labels.baseline_rows)
        baseline, last = self._detector.baseline, self.last_verdict
        return RiskStatus(
            state=last.state if last else DriftState.OK,
            baseline=baseline,
            baseline_rows=baseline.rows,
            baseline_rows_wanted=baseline.rows,
            rows=self._rows,
            windows=self._detector.state.rise.index,
            open_rows=open_rows,
            evidence=last.evidence if last else 0.0,
            threshold=self._threshold,
            last_verdict=last,
        )

    def _learn(self, rows: Sequence[Compared]) -> None:
        baseline = risk_of(_pairs(rows), source="labels", created_at_ns=rows[-1].met_at_ns)
        if baseline is None:
            raise AssertionError("half of the rows at least have a loss")
        _log.info("learned the risk of model %s from its first %d labelled rows: %s %.4g", self.model, baseline.rows, baseline.loss, baseline.risk)
        if baseline.risk > _SUSPICIOUS_RISK:
            _log.warning("model %s is hardly ever right: are its labels written as its predictions are? See the table `labelled`", self.model)
        self._begin(baseline)

    def _begin(self, baseline: RiskBaseline) -> None:
        window_seconds = None if self._drift.budget.windows else self._drift.window_time
        self._detector = RiskDetector(
            baseline, model=self.model, threshold=self._threshold, tolerance=self._labels.risk_tolerance, window_seconds=window_seconds
        )


def _pairs(rows: Sequence[Compared]) -> Pairs:
    return [(row.prediction, row.label) for row in rows]


def _span(rows: Sequence[Compared]) -> Span:
    asked_ns = [row.started_at_ns for row in rows]
    return Span(rows[0].met_at_ns, max(row.met_at_ns for row in rows), min(asked_ns), max(asked_ns))


def _numbers(status: RiskStatus) -> dict[Metric, float]:
    numbers: dict[Metric, float] = {
        Metric.RISK_BASELINE_ROWS: status.baseline_rows,
        Metric.RISK_ROWS: status.rows,
        Metric.RISK_WINDOWS: status.windows,
        Metric.RISK_EVIDENCE: status.evidence_ratio,
        Metric.RISK_FIRING: status.state is DriftState.FIRING,
    }
    if status.baseline:
        numbers[Metric.RISK_BASELINE] = status.baseline.risk
    if status.last_verdict:
        (test,) = status.last_verdict.features[0].tests.values()
        numbers[Metric.RISK] = test.statistic
    return numbers
