"""From a budget in plain words to the evidence that an alert needs, and its parts for those who share it."""

from __future__ import annotations

import threading

from config.units import Budget


def evidence_threshold(budget: Budget, *, window_seconds: float, models: int = 1) -> float:
    """Return the number of windows of one model that should lie between false alerts: the e-detector's threshold c.

    `window_seconds` is the duration of a window that counts as one (`DriftDetector` weighs shorter and longer ones). The budget is that of all `models`
    together, so each gets an equal part of it. At least 1: an e-detector has no smaller threshold.

    >>> evidence_threshold(Budget.parse("1 per 30 days"), window_seconds=600.0, models=2)
    8640.0
    """
    windows = budget.windows or budget.seconds / window_seconds
    return max(1.0, windows * models / budget.alerts)


class SharedBudget:
    """One budget for all detectors of a service, each with an equal part. May be used from any thread."""

    def __init__(self, budget: Budget, window_seconds: float) -> None:
        self._budget = budget
        self._window_seconds = window_seconds
        self._lock = threading.Lock()
        self._detectors: dict[str, int] = {}

    def threshold(self, asker: str, detectors: int) -> float:
        """Return the evidence that one detector's alert needs now; `asker` has so many of them, others as many as they said last."""
        with self._lock:
            self._detectors[asker] = detectors
            return evidence_threshold(self._budget, window_seconds=self._window_seconds, models=sum(self._detectors.values()))
