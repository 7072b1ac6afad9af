"""Accepting: the traffic of a period becomes a model's baseline, by somebody's decision.

    asked → the period's exchanges from the store → baseline → on record → the detectors replace theirs, and write it down → the alert is resolved

A restart keeps it, in the place of the one that the settings give, until they give another one. It goes to the store as every baseline does.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from detectors.arrays import Columns, Integers
from detectors.baseline import build_baseline
from detectors.columns import ColumnBuffer
from detectors.cycle import Cycle, Timed
from detectors.derived import sources_of
from driftline.decoding import Decoding
from driftline.stored_columns import columns_of
from driftline.stored_exchanges import Period, answered, latest
from driftline.watching import Watching
from records.acceptance import AcceptReport, AcceptRequest
from records.baseline import Baseline
from records.ports import Audit, QueryFailedError, ReadOnlySql, StoreUnavailableError
from records.times import format_time

ROWS_AT_MOST: Final = 50_000
"""The latest ones of the period: more would see no smaller change that matters."""


class Accepting:
    """Implements `records.ports.Accept`."""

    def __init__(
        self,
        watching: Watching,
        ask: ReadOnlySql,
        decode: Decoding,
        audit: Audit,
        *,
        max_features: int,
        vector_width: int,
        drift_alerted_ns: Callable[[str], int | None],
        on_accepted: Callable[[str], None],
    ) -> None:
        """`drift_alerted_ns` says when the alert of a model's drift fired, None where none fires; `on_accepted` is told the model, on the caller's thread."""
        self._watching = watching
        self._ask = ask
        self._decode = decode
        self._audit = audit
        self._max_features = max_features
        self._vector_width = vector_width
        self._drift_alerted_ns = drift_alerted_ns
        self._on_accepted = on_accepted

    def __call__(self, wanted: AcceptRequest, who: str, now_ns: int) -> AcceptReport:
        """Make the baseline and let it hold; see `records.ports.Accept`."""
        before = self._watching.baseline_of(wanted.model)
        if before is None:
            raise ValueError(f"the model {wanted.model!r} has no baseline yet that another one could replace: GET /api/v1/models shows what is watched")
        since_ns, until_ns = self._since_ns(wanted), now_ns if wanted.until is None else _time_ns(wanted.until)
        source = f"traffic from {format_time(since_ns)} to {format_time(until_ns)}"
        columns, times_ns = self._traffic(Period(wanted.model, "", since_ns, until_ns), before, source)
        timed = Timed(times_ns, _cycle(before)) if before.cycle_seconds else None
        baseline = build_baseline(columns, model=before.model, version=before.version, source=source, created_at_ns=now_ns, timed=timed, times_ns=times_ns)
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

    def _traffic(self, period: Period, before: Baseline, source: str) -> tuple[Columns, Integers]:
        """Return the latest rows of the period; of the features that a given baseline has, of all where it was learned."""
        try:
            exchanges = answered(self._ask, latest(self._ask, period, ROWS_AT_MOST))
            buffer = ColumnBuffer.of(before, max_features=self._max_features, vector_width=self._vector_width)
            columns, times_ns = columns_of(exchanges, self._decode, buffer, rows_at_most=ROWS_AT_MOST)
        except QueryFailedError as error:
            raise StoreUnavailableError(str(error)) from error
        if self._watching.is_given(period.model):
            known = sources_of(before) | {feature.name for feature in before.features}
            columns = {name: column for name, column in columns.items() if name in known}
        if not columns:
            raise ValueError(f"the store has nothing of {period.model!r} that can be decoded in {source}: give another period")
        return columns, times_ns


def _cycle(baseline: Baseline) -> Cycle:
    return next(cycle for cycle in Cycle if cycle.seconds == baseline.cycle_seconds)


def _time_ns(moment: datetime) -> int:
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e9)
