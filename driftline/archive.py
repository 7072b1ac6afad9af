"""What was made of the traffic goes to the store too: windows, verdicts, baselines, alerts, and the audit trail.

Results wait in the detectors' state until the store has taken them, and the tables know a repeated row: each is there once in the end.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import Final

from driftline.watching import Watching
from records.alert import Alert
from records.ports import StoreUnavailableError
from store.audit import AuditReader
from store.clickhouse.results import ResultWriter

_POLL_SECONDS: Final = 0.5
_RETRY_SECONDS: Final = 5.0
_ALERTS_KEPT: Final = 1_000

_log = logging.getLogger(__name__)


class Archive:
    """Writes results to the store, in a thread of its own, for the store may hang."""

    def __init__(self, watching: Watching, writer: ResultWriter, audit: AuditReader) -> None:
        self._watching = watching
        self._writer = writer
        self._alerts: list[Alert] = []
        self._alerts_lock = threading.Lock()
        self._baselines_written: set[str] = set()
        self._audit = audit

    def put_alerts(self, changes: Iterable[Alert]) -> None:
        """Keep these changes of state. Callable from any thread."""
        with self._alerts_lock:
            self._alerts = [*self._alerts, *changes][-_ALERTS_KEPT:]

    def run(self, stop: threading.Event) -> None:
        """Write what there is until `stop` is set."""
        while not stop.is_set():
            if self.step():
                self._watching.features.wait(_POLL_SECONDS)
            else:
                stop.wait(_RETRY_SECONDS)
        self._watching.features.tried((), stored=False)  # whoever waits for it, waits in vain

    def step(self) -> bool:
        """Write what waits; return whether the store took it."""
        try:
            self._write()
        except StoreUnavailableError as error:
            _log.warning("results wait for the store: %s", error)
            self._watching.features.tried((), stored=False)
            return False
        return True

    def _write(self) -> None:
        features = self._watching.features.look()
        self._writer.write_features(features)
        self._watching.features.tried(features, stored=True)
        for baseline in self._watching.baselines():
            if baseline.baseline_id not in self._baselines_written:
                self._writer.write_baseline(baseline)
                self._baselines_written.add(baseline.baseline_id)
        if results := self._watching.unstored():
            self._writer.write_windows([result.summary for result in results])
            self._writer.write_verdicts([result.verdict for result in results])
            self._watching.stored(results)
        if shadows := self._watching.unstored_shadows():
            self._writer.write_comparisons([result.comparison for result in shadows])
            self._writer.write_verdicts([result.verdict for result in shadows])
            self._watching.stored(shadows)
        if alerts := self._alerts:
            self._writer.write_alerts(alerts)
            written = {id(alert) for alert in alerts}
            with self._alerts_lock:  # more may have come, and pushed out some of those
                self._alerts = [alert for alert in self._alerts if id(alert) not in written]
        audit = self._audit.read()
        self._writer.write_audit(audit.entries)
        self._audit.taken(audit)
