"""Accepting: the traffic of a period becomes a model's baseline, by somebody's decision.

    asked → the period's exchanges from the store → baseline → on record → the detectors replace theirs, and write it down → the alert is resolved

A restart keeps it, in the place of the one that the settings give, until they give another one. It goes to the store as every baseline does.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from driftline.stored_baseline import StoredTraffic
from driftline.stored_exchanges import Period
from driftline.watching import Watching
from records.acceptance import AcceptReport, AcceptRequest
from records.ports import Audit
from records.times import format_time


class Accepting:
    """Implements `records.ports.Accept`."""

    def __init__(
        self,
        watching: Watching,
        traffic: StoredTraffic,
        audit: Audit,
        *,
        drift_alerted_ns: Callable[[str], int | None],
        on_accepted: Callable[[str], None],
    ) -> None:
        """`drift_alerted_ns` says when the alert of a model's drift fired, None where none fires; `on_accepted` is told the model, on the caller's thread."""
        self._watching = watching
        self._traffic = traffic
        self._audit = audit
        self._drift_alerted_ns = drift_alerted_ns
        self._on_accepted = on_accepted

    def __call__(self, wanted: AcceptRequest, who: str, now_ns: int) -> AcceptReport:
        """Make the baseline and let it hold; see `records.ports.Accept`."""
        before = self._watching.baseline_of(wanted.model)
        if before is None:
            raise ValueError(f"the model {wanted.model!r} has no baseline yet that another one could replace: GET /api/v1/models shows what is watched")
        since_ns, until_ns = self._since_ns(wanted), now_ns if wanted.until is None else _time_ns(wanted.until)
        source = f"traffic from {format_time(since_ns)} to {format_time(until_ns)}"
        period = Period(wanted.model, "", since_ns, until_ns)
        baseline = self._traffic.baseline(period, before, source, now_ns, same_features=self._watching.is_given(wanted.model))
        self._audit(who, "accept baseline", f"{wanted.model}: {source}, {baseline.rows} rows, in the place of baseline {before.baseline_id}")
        baseline = self._watching.replace_baseline(wanted.model, baseline)
        self._on_accepted(wanted.model)
        return AcceptReport(
            model=wanted.model,
            baseline_id=baseline.baseline_id,
            replaced=before.baseline_id,
            rows=baseline.rows,
            features=len(baseline.features),
            source=source,
        )

    def _since_ns(self, wanted: AcceptRequest) -> int:
        if wanted.since is not None:
            return _time_ns(wanted.since)
        alerted_ns = self._drift_alerted_ns(wanted.model)  # and not since the drift began: that is estimated, and what came before must not be in it
        if alerted_ns is None:
            raise ValueError(f"no drift alert of {wanted.model!r} fires, so nothing says since when its traffic is another one: give since")
        return alerted_ns


def _time_ns(moment: datetime) -> int:
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e9)
