"""From a budget in plain words to the evidence that an alert needs."""

from __future__ import annotations

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
