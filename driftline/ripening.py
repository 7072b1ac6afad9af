"""Ripening: a baseline that was learned from a model's first traffic grows while nothing drifts, and is fixed then.

    5,000 rows → 10,000 → 20,000 → 40,000 → 50,000

The first rows of a model are few, and of a short time: how its traffic wanders from window to window they cannot show. So each time that as many rows have come as the baseline has, and no feature shows
drift in the latest window, all traffic since the learning began becomes the baseline, from the store, and evidence starts again at nothing. An alert ends it, and so does a baseline that somebody accepts.
A drift that stays below the floors of effects meanwhile becomes a part of the baseline.
"""

from __future__ import annotations

import logging
from typing import Final

from driftline.model_watch import ModelState
from driftline.stored_baseline import ROWS_AT_MOST, StoredTraffic
from driftline.stored_exchanges import Period
from driftline.watching import Watching
from records.ports import Audit, StoreUnavailableError
from records.verdict import DriftState, Verdict

_WHO: Final = "driftline"
"""In the audit trail."""

_log = logging.getLogger(__name__)


class Ripening:
    """Looks after the learned baselines of all models."""

    def __init__(self, watching: Watching, traffic: StoredTraffic, audit: Audit) -> None:
        self._watching = watching
        self._traffic = traffic
        self._audit = audit
        self._failed_at_rows: dict[str, int] = {}

    def step(self, now_ns: int) -> None:
        """Let those baselines grow that are due; one that cannot is tried again when twice as many rows have come. Raises OSError where the audit trail cannot be written."""
        for model, state in self._watching.saved.models.items():
            if is_due(state) and state.rows >= 2 * self._failed_at_rows.get(model, 0):
                try:
                    self._ripen(model, state, now_ns)
                    self._failed_at_rows.pop(model, None)
                except (ValueError, StoreUnavailableError) as error:
                    self._failed_at_rows[model] = state.rows
                    _log.warning("the baseline of model %s stays at %d rows for now: %s", model, state.baseline.rows, error)

    def _ripen(self, model: str, state: ModelState, now_ns: int) -> None:
        before = state.baseline
        period = Period(model, "", state.learning_since_ns, state.watched_until_ns + 1)
        baseline = self._traffic.baseline(period, before, before.source, now_ns, same_features=False)
        if baseline.rows <= before.rows:
            raise ValueError(f"the store has {baseline.rows} rows of it")
        self._audit(_WHO, "ripen baseline", f"{model}: {baseline.rows} rows, in the place of baseline {before.baseline_id} of {before.rows}")
        self._watching.replace_baseline(model, baseline)


def is_due(state: ModelState) -> bool:
    """Return whether a model's baseline may grow now."""
    return state.learning_since_ns > 0 and state.last_verdict is not None and may_grow(state.baseline.rows, state.rows, state.last_verdict)


def may_grow(baseline_rows: int, rows: int, verdict: Verdict) -> bool:
    """Return whether a learned baseline of so many rows may grow, when `rows` have come since and this is the latest verdict."""
    return baseline_rows < ROWS_AT_MOST and rows >= min(baseline_rows, ROWS_AT_MOST - baseline_rows) and verdict.state is DriftState.OK and not verdict.carriers
