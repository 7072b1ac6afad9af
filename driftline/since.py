"""A model's latest period against the one before, from the windows in the store."""

from __future__ import annotations

from typing import Final

from detectors.rolling import changes
from driftline.watching import Watching
from records.changes import Changes
from store.clickhouse.queries import StoreQueries

WINDOWS_AT_MOST: Final = 500
"""Of each period, the latest: so many tell what so many rows can."""


class Since:
    """Implements `records.ports.Views.changes`."""

    def __init__(self, watching: Watching, queries: StoreQueries) -> None:
        self._watching = watching
        self._queries = queries

    def __call__(self, model: str, period_seconds: float, now_ns: int) -> Changes:
        """Return what changed. Raises ValueError where there is nothing to compare, StoreUnavailableError."""
        baseline = self._watching.baseline_of(model)
        if baseline is None:
            raise ValueError(f"the model {model!r} has no baseline yet, so no windows that could be compared")
        period_ns = int(period_seconds * 1e9)
        bounds = ((now_ns - 2 * period_ns, now_ns - period_ns), (now_ns - period_ns, now_ns))
        before, now = (self._queries.windows_between(model, baseline.baseline_id, *each, WINDOWS_AT_MOST) for each in bounds)
        if not before or not now:
            which = "the period before" if now else "this period"
            raise ValueError(f"the store has no window of {model!r} in {which} against baseline {baseline.baseline_id}: choose another period")
        return changes(baseline, before, now)
