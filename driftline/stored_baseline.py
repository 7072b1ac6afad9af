"""A baseline made of a model's stored traffic, in the place of the one that it has."""

from __future__ import annotations

from typing import Final, NamedTuple

from detectors.arrays import Columns, Integers
from detectors.baseline import build_baseline
from detectors.columns import ColumnBuffer
from detectors.cycle import Cycle, Timed
from detectors.derived import sources_of
from driftline.decoding import Decoding
from driftline.stored_columns import columns_of
from driftline.stored_exchanges import Period, answered, latest
from records.baseline import Baseline
from records.ports import QueryFailedError, ReadOnlySql, StoreUnavailableError

ROWS_AT_MOST: Final = 50_000
"""The latest ones of a period: more would see no smaller change that matters."""


class StoredTraffic(NamedTuple):
    """Where traffic is stored, and how it is read."""

    ask: ReadOnlySql
    decode: Decoding
    max_features: int
    vector_width: int

    def baseline(self, period: Period, before: Baseline, source: str, now_ns: int, *, same_features: bool) -> Baseline:
        """Return the baseline of the latest rows of a period, with the cycle of the one `before`: with the `same_features`, or with all.

        Raises ValueError (`BaselineError` among them) where there is nothing to make it of, `StoreUnavailableError`.
        """
        columns, times_ns = self._columns(period, before)
        if same_features:
            known = sources_of(before) | {feature.name for feature in before.features}
            columns = {name: column for name, column in columns.items() if name in known}
        if not columns:
            raise ValueError(f"the store has nothing of {period.model!r} that can be decoded in {source}: give another period")
        timed = Timed(times_ns, _cycle(before)) if before.cycle_seconds else None
        return build_baseline(columns, model=before.model, version=before.version, source=source, created_at_ns=now_ns, timed=timed, times_ns=times_ns)

    def _columns(self, period: Period, before: Baseline) -> tuple[Columns, Integers]:
        try:
            exchanges = answered(self.ask, latest(self.ask, period, ROWS_AT_MOST))
            buffer = ColumnBuffer.of(before, max_features=self.max_features, vector_width=self.vector_width)
            return columns_of(exchanges, self.decode, buffer, rows_at_most=ROWS_AT_MOST)
        except QueryFailedError as error:
            raise StoreUnavailableError(str(error)) from error


def _cycle(baseline: Baseline) -> Cycle:
    return next(cycle for cycle in Cycle if cycle.seconds == baseline.cycle_seconds)
