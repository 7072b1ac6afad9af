"""Writes what was made of the traffic. Writing a result twice is the same as writing it once."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from records.alert import Alert
from records.audit import AuditEntry
from records.baseline import Baseline
from records.comparison import ShadowComparison
from records.verdict import Verdict
from records.window import WindowSummary
from store.clickhouse.client import Connection, Store
from store.clickhouse.columns import insert_columns
from store.clickhouse.features import FeatureRows, feature_columns
from store.clickhouse.rows import row


class ResultWriter:
    """Every method raises `StoreUnavailableError` where the store cannot take the results now."""

    def __init__(self, store: Store) -> None:
        self._connection = Connection(store)

    def write_windows(self, summaries: Sequence[WindowSummary]) -> None:
        """Keep summaries of windows."""
        self._write("windows", [row(summary) for summary in summaries])

    def write_features(self, batches: Sequence[FeatureRows]) -> None:
        """Keep decoded rows."""
        if batches:
            columns = feature_columns(batches)
            with self._connection() as client:
                insert_columns(client, "features", columns)

    def write_verdicts(self, verdicts: Sequence[Verdict]) -> None:
        """Keep what the detectors said."""
        self._write("verdicts", [row(verdict) for verdict in verdicts])

    def write_comparisons(self, comparisons: Sequence[ShadowComparison]) -> None:
        """Keep what shadows answered beside what was served."""
        self._write("comparisons", [row(comparison) for comparison in comparisons])

    def write_alerts(self, changes: Sequence[Alert]) -> None:
        """Keep changes of alerts' states."""
        self._write("alerts", [row(alert) for alert in changes])

    def write_baseline(self, baseline: Baseline) -> None:
        """Keep a baseline, its features and what they are made of as JSON."""
        content = {name: msgspec.json.encode(getattr(baseline, name)).decode() for name in ("features", "pairs", "vectors", "texts", "times")}
        self._write("baselines", [row(baseline, **content)])

    def write_audit(self, entries: Sequence[AuditEntry]) -> None:
        """Keep who read or changed what."""
        self._write("audit", [row(entry, at=entry.at.replace("T", " ").rstrip("Z")) for entry in entries])

    def _write(self, table: str, rows: Sequence[bytes]) -> None:
        if rows:
            with self._connection() as client:
                client.raw_insert(table, None, b"\n".join(rows), fmt="JSONEachRow")
