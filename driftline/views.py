"""What the operator's surface shows, gathered from the parts of the monitor."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from alerts.desk import AlertDesk
from config.addresses import written
from config.settings import RouteSettings, Settings
from driftline.certificate_expiry import CertificateExpiry
from driftline.explaining import Explaining
from driftline.labelling import Labelling
from driftline.process_figures import process_figures
from driftline.risk_watching import RiskWatching
from driftline.runtime_figures import runtime_figures
from driftline.since import Since
from driftline.watching import Watching
from records.alert import Alert
from records.changes import Changes
from records.exchange import Exchange
from records.explanation import Explanation
from records.metrics import Metric
from records.status import ConsumerStatus, ModelStatus, RiskStatus, RouteStatus, ShadowStatus, StatusReport, TracedValue
from records.verdict import DriftState, Verdict, VerdictKind
from store.clickhouse.loader import Loader
from store.clickhouse.queries import StoreQueries
from store.model_counts import samples_of_models
from store.spool.counts import Stock, take_stock
from store.spool.listing import spool_bytes

if TYPE_CHECKING:
    from traces.export import Tracer  # loaded only where there is a collector


class MonitorViews:
    """Implements `records.ports.Views`."""

    def __init__(
        self,
        spool: Path,
        settings: Settings,
        loader: Loader,
        watching: Watching,
        labelling: Labelling,
        risk: RiskWatching,
        desk: AlertDesk,
        tracer: Tracer | None,
        queries: StoreQueries,
        explain: Explaining,
        running: Callable[[str], bool],
    ) -> None:
        """`running` says whether a consumer's thread is alive, by its name: `store` or `detectors`."""
        self.stopping = False
        """The service is going to stop, and wants no new clients."""
        self._spool = spool
        self._spool_limit_bytes = int(settings.spool.max_size)
        self._routes = tuple(_route_status(route) for route in settings.routes)
        self._certificates = CertificateExpiry(settings)
        self._loader = loader
        self._watching = watching
        self._labelling = labelling
        self._risk = risk
        self._desk = desk
        self._tracer = tracer
        self._queries = queries
        self._since = Since(watching, queries)
        self._explain = explain
        self._running = running
        self._runtime = settings.runtime.admin
        self._started_at_ns = time.time_ns()

    def unready(self) -> Sequence[str]:
        """Return why the watching side does not work now."""
        reasons = [f"the consumer {name} is not running" for name in ("store", "detectors") if not self._running(name)]
        if self.stopping:
            reasons.append("the service is stopping")
        if not self._loader.status.up:
            reasons.append(f"the store does not take records: {self._loader.status.error}")
        return reasons

    def status(self) -> StatusReport:
        """Return the counts and the state of every part."""
        return self._report(take_stock(self._spool, self._loader.state))

    def figures(self) -> tuple[StatusReport, Mapping[tuple[str, ...], float]]:
        """Return the status, and what is counted where it happens, of one look at the spool."""
        stock = take_stock(self._spool, self._loader.state)
        counted = {
            **stock.counters,
            **self._watching.counters(),
            **self._desk.counters(),
            **self._loader_counters(),
            **self._labelling.counters(),
            **self._risk.counters(),
            **(self._tracer.counters() if self._tracer else {}),
            **(runtime_figures(self._runtime) if self._runtime else {}),
            **process_figures(),
        }
        return self._report(stock), counted

    def exemplars(self) -> Mapping[tuple[str, ...], TracedValue]:
        """Return durations that exported traces show."""
        return self._tracer.exemplars.latest if self._tracer else {}

    def models(self) -> Sequence[ModelStatus]:
        """Return the watched models."""
        risks = dict(self._risk.statuses)
        watched = [msgspec.structs.replace(model, risk=risks.pop(model.model, None)) for model in self._watching.models]
        return [*watched, *(_known_by_labels(model, risk) for model, risk in risks.items())]

    def alerts(self) -> Sequence[Alert]:
        """Return pending and firing alerts, then those resolved lately."""
        return self._desk.alerts

    def windows(self, model: str, kind: VerdictKind, limit: int) -> Sequence[Verdict]:
        """Return the verdicts of this kind on the latest windows of a model, newest first."""
        return self._queries.verdicts(model, kind, limit)

    def explanation(self, model: str, index: int | None, baseline_id: str | None) -> Explanation | None:
        """Return why the verdict on a window is what it is."""
        return self._explain(model, index, baseline_id)

    def changes(self, model: str, period_seconds: float) -> Changes:
        """Return what changed from a model's last period but one to its last one."""
        return self._since(model, period_seconds, time.time_ns())

    def exchanges(self, identifier: str) -> Sequence[Exchange]:
        """Return the stored exchanges with this exchange id or request id."""
        return self._queries.exchanges_by_id(identifier)

    def _report(self, stock: Stock) -> StatusReport:
        return StatusReport(
            version=metadata.version("driftline"),
            started_at_ns=self._started_at_ns,
            reported_at_ns=time.time_ns(),
            counts=stock.counts,
            spool_bytes=spool_bytes(self._spool),
            spool_limit_bytes=self._spool_limit_bytes,
            writers=stock.writers,
            damages=tuple(self._loader.reader.damages),
            consumers=(
                ConsumerStatus(consumer="store", running=self._running("store"), lag_records=sum(self._loader.lag().values())),
                ConsumerStatus(consumer="detectors", running=self._running("detectors"), lag_records=sum(self._watching.lag().values())),
            ),
            store=self._loader.status,
            labels=self._labelling.status(),
            routes=self._routes,
            agreement=self._watching.agreement,
            certificates_end=dict(self._certificates.timestamps()),
        )

    def _loader_counters(self) -> dict[tuple[str, ...], int]:
        damages = dict(self._loader.reader.damages_found)
        return {
            (Metric.STORE_ERRORS.metric_name,): self._loader.failures,
            **samples_of_models(self._loader.state.models),
            **{(Metric.SPOOL_DAMAGES.metric_name, kind): count for kind, count in damages.items()},
        }


def _known_by_labels(model: str, risk: RiskStatus) -> ModelStatus:
    """Return the status of a model of whose traffic nothing was seen since the start."""
    return ModelStatus(
        model=model,
        version="",
        state=DriftState.LEARNING,
        baseline_rows=0,
        baseline_rows_wanted=0,
        rows=0,
        windows=0,
        evidence=0.0,
        threshold=0.0,
        risk=risk,
    )


def _route_status(route: RouteSettings) -> RouteStatus:
    shadows = tuple(ShadowStatus(arm=shadow.name, url=written(shadow.url), share=float(shadow.share)) for shadow in route.shadows)
    return RouteStatus(route=route.name, path=route.path, upstream=written(route.upstream), shadows=shadows)
