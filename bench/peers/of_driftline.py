"""Driftline: alerts at a budget, and its evidence alone, without the floors of effects."""

from __future__ import annotations

import numpy as np

from bench.drift_traffic import WINDOW_ROWS
from bench.peers.measure import BUDGET, Reading
from detectors.baseline import build_baseline
from detectors.cycle import Cycle, Timed
from detectors.drift import DriftDetector
from detectors.windows import WindowPolicy
from records.verdict import DriftState


class Driftline:
    name = "Driftline"
    version = "this"
    remembers = True

    def __init__(self, window_rows: int = WINDOW_ROWS) -> None:
        self._windows = WindowPolicy(max_rows=window_rows, max_seconds=None)

    def fit(self, rows: dict[str, np.ndarray], times_ns: np.ndarray | None) -> None:
        timed = None if times_ns is None else Timed(times_ns, Cycle.DAY)
        baseline = build_baseline(rows, model="bench", source="synthetic", created_at_ns=0, timed=timed)
        self._detector = DriftDetector(baseline, threshold=BUDGET, windows=self._windows)
        self._fresh = self._detector.snapshot()

    def restart(self) -> None:
        self._detector.restore(self._fresh)

    def read(self, rows: dict[str, np.ndarray], times_ns: np.ndarray) -> Reading:
        ((_, verdict),) = self._detector.update(rows, times_ns)
        alarms = {"alert": verdict.state is DriftState.FIRING, "evidence": verdict.evidence >= BUDGET}
        return Reading({"evidence": np.array([verdict.evidence])}, alarms)


PEERS = [Driftline]
