"""The process of the watching side: consumers of the spool in threads, the operator's surface on an event loop.

thread store       spool → ClickHouse
thread detectors   spool → verdicts ─▶ alerts
thread labels      journal → ClickHouse, beside the predictions
thread risk        labels beside predictions → verdicts ─▶ alerts
thread archive     windows, verdicts, baselines, alerts → ClickHouse
event loop         admin API, metrics, events of payload loggers, queries over a unix socket; notifications; deletion of what was read
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from access.authenticator import Authenticator
from alerts.alertmanager import AlertmanagerNotifier
from alerts.book import Links
from alerts.desk import AlertDesk, DeskState
from alerts.log import LogNotifier
from alerts.receivers import Recipient, recipients
from alerts.webhook import WebhookNotifier
from config.addresses import Address
from config.choices import ToldBy
from config.settings import Settings, TraceSettings
from console.api import build_app
from console.command_socket import build_socket_app
from console.guarding import Guard
from console.listening import listen_tcp, listen_unix, serving
from detectors.budget import SharedBudget
from driftline.accepting import Accepting
from driftline.archive import Archive
from driftline.children import BAD_INPUT, STOPPING, SUCCEEDED, log_to_stderr, read_task, say_ready, stop_event
from driftline.decoding import Decoding
from driftline.event_intake import EventIntake
from driftline.explaining import Explaining
from driftline.forgetting import Forgetting
from driftline.label_keys import LabelKeys
from driftline.labelling import JOURNAL_LOCK_NAME, Labelling
from driftline.monitor_task import DRAIN_SECONDS, MonitorTask
from driftline.naming import Naming, load_baselines
from driftline.redacted import unwatched
from driftline.ripening import Ripening
from driftline.risk_watching import RiskWatching
from driftline.shadow_watching import tolerances_of
from driftline.spool_keeping import SpoolKeeping, batch_limits
from driftline.spooling import keys_of
from driftline.store_access import SOCKET_NAME
from driftline.stored_baseline import StoredTraffic
from driftline.teams import Teams
from driftline.views import MonitorViews
from driftline.watching import Watching
from privacy.keys import hashers
from proxy.certificates import ContextOfFiles, changing_context
from proxy.tls import principal, server_context
from records.acceptance import AcceptReport, AcceptRequest
from records.forgetting import ForgetReport, ForgetRequest
from records.label import LabelSource
from records.ports import StoreUnavailableError
from records.receipt import Receipt
from records.verdict import Verdict
from store.audit import AuditLog, AuditReader
from store.clickhouse.client import Store, open_store
from store.clickhouse.explaining import ExplanationQueries
from store.clickhouse.forgetting import Forgetter
from store.clickhouse.labels import LabelTable
from store.clickhouse.loader import Loader
from store.clickhouse.queries import StoreQueries
from store.clickhouse.readonly import ReadOnlyQueries
from store.clickhouse.results import ResultWriter
from store.clickhouse.retention import Retention
from store.directories import make_empty, make_private
from store.owner import HeldError, take_lock
from store.spool.listing import LOADER_STATE_NAME, SPOOL_LOCK_NAME
from store.spool.state import read_state, write_state

if TYPE_CHECKING:
    from traces.export import Tracer  # loaded only where there is a collector

DESK_STATE_NAME: Final = "alerts.state"
TEMPORARY_NAME: Final = "tmp"
"""In the data directory: emptied at every start."""

_STATUS_SECONDS: Final = 5.0
_NOTIFY_SECONDS: Final = 5.0
_REFRESH_SECONDS: Final = 1.0
_FORGET_SECONDS: Final = 5.0
_RIPEN_SECONDS: Final = 60.0
_COLLECT_EVERY: Final = 20_000
"""Containers made and not yet freed: hardly any of what is decoded lies in a reference cycle, and batches hold many."""

_log = logging.getLogger(__name__)


class Monitor:
    """The parts, joined. Raises HeldError, OSError or ValueError, each with a sentence for the user, where it cannot start."""

    def __init__(self, settings: Settings) -> None:
        self._succeeded = False
        self._spool = spool = settings.spool_directory
        self._data_directory = Path(settings.data_dir)
        make_private(spool)
        baselines = load_baselines(settings.routes)
        decoding = Decoding(settings.routes)
        naming = Naming(baselines, decoding.identify)
        self._store: Store = open_store(self._data_directory, settings.store, Retention.of(settings.store))
        if settings.store.clickhouse is None:
            # Inserts into the embedded engine go through temporary files: bodies, that a kill leaves behind. They belong with the store.
            make_empty(self._data_directory / TEMPORARY_NAME)
            tempfile.tempdir = str((self._data_directory / TEMPORARY_NAME).resolve())
        self._spool_lock = take_lock(spool / SPOOL_LOCK_NAME, f"The spool {spool}", "--spool")
        spool_keys = keys_of(settings.spool)
        by_model = {baseline.model: baseline for baseline in baselines.values()}
        shadowed = {route.name for route in settings.routes if route.shadows}
        budget = SharedBudget(settings.drift.budget, settings.drift.window_time)
        self._tracer = _tracer(settings.traces, naming)
        self._watching = Watching(
            spool,
            settings.drift,
            naming,
            decoding,
            by_model,
            self._on_verdict,
            tolerances=tolerances_of(settings.routes),
            max_lag_bytes=settings.spool.max_size // 2,
            redacted=unwatched(settings.routes),
            keys=spool_keys,
            budget=budget,
            on_exchange=self._tracer,
        )
        self._labels_lock = take_lock(self._data_directory / JOURNAL_LOCK_NAME, f"The journal of labels in {self._data_directory}", "--data-dir")
        self._labelling = Labelling(self._data_directory, settings.labels, LabelTable(self._store), naming, decoding, settings.drift.window_time, shadowed)
        results = ResultWriter(self._store)
        self._risk = RiskWatching(self._labelling.journal, settings.drift, settings.labels, by_model, budget, results.write_verdicts, self._on_verdict)
        self._loader = Loader(
            spool,
            spool / LOADER_STATE_NAME,
            self._store,
            naming,
            batch_limits(settings),
            label_key=LabelKeys(settings.routes),
            on_stored=self._labelling.accept_feedback,
            fsync=settings.spool.fsync is not None,
            keys=spool_keys,
        )
        self._events = EventIntake(settings)
        self._audit = AuditLog(self._data_directory)
        keys = hashers(settings.privacy.hash_keys)
        self._forgetting = Forgetting(spool, Forgetter(self._store, self._labelling.forget), lambda: self._loader.state.cursors, keys, self._audit)
        self._keeping = SpoolKeeping(spool, settings.spool, self._loader, lambda: self._watching.saved.cursors)
        self._archive = Archive(self._watching, results, AuditReader(self._data_directory))
        self._guard = _guard(settings, self._audit)
        self._admin_tls = _admin_tls(settings)
        self._admin = listen_tcp(settings.admin.host, settings.admin.port)
        self._admin_url = f"{settings.admin_scheme}://{Address(*self._admin.getsockname()[:2])}"
        self._alertmanager = AlertmanagerNotifier(settings.alerts.alertmanagers) if settings.alerts.alertmanagers else None
        self._desk = AlertDesk(
            Links(runbook=settings.alerts.runbook_base, console=self._admin_url),
            _recipients(settings, self._admin_url, self._alertmanager),
            read_state(spool / DESK_STATE_NAME, DeskState) or DeskState(),
            Teams(settings.routes),
        )
        traffic = StoredTraffic(ReadOnlyQueries(self._store), decoding, settings.drift.max_features, settings.drift.vector_width)
        self._ripening = Ripening(self._watching, traffic, self._audit)
        self._accepting = Accepting(
            self._watching,
            traffic,
            self._audit,
            drift_alerted_ns=self._desk.drift_alerted_ns,
            on_accepted=self._on_accepted,
        )
        self._threads = _Threads(
            {
                "store": self._loader.run,
                "detectors": self._watching.run,
                "labels": self._labelling.run,
                "risk": self._risk.run,
                "archive": self._archive.run,
            }
        )
        self._queries = StoreQueries(self._store)
        self._views = MonitorViews(
            spool,
            settings,
            self._loader,
            self._watching,
            self._labelling,
            self._risk,
            self._desk,
            self._tracer,
            self._queries,
            Explaining(self._watching, ExplanationQueries(self._store)),
            self._threads.running,
        )
        self._socket = listen_unix(self._data_directory / SOCKET_NAME)

    def heard(self, word: bytes) -> None:
        """Heed what the supervisor says."""
        if word == STOPPING:
            self._views.stopping = True
        elif word == SUCCEEDED:
            self._succeeded = True

    async def run(self, stop: asyncio.Event, on_ready: Callable[[str], None]) -> bool:
        """Watch until `stop` is set, then bring what the spool holds into the store; return whether nothing had failed."""
        self._loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(
                serving(build_app(self._views, self._take_labels, self._events, self._accept, self._guard), self._admin, self._admin_context())
            )
            commands = build_socket_app(ReadOnlyQueries(self._store), self._import_labels, self._forget, self._accept, self._audit)
            await stack.enter_async_context(serving(commands, self._socket))
            self._threads.start(lambda: self._loop.call_soon_threadsafe(stop.set))
            for work in (
                self._events.run(),
                self._desk.run(),
                self._look_at_status(),
                self._keeping.retire(),
                self._keeping.make_room(),
                self._refresh_keys(),
                self._forget_again(),
                self._ripen(),
                self._repeat_alerts(),
            ):
                await stack.enter_async_context(_background(work))
            on_ready(self._admin_url)
            await stop.wait()
            self._events.close()
            await asyncio.to_thread(self._drain)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._desk.drained(), _NOTIFY_SECONDS)
            self._save_desk()
        return not self._threads.failed

    async def _repeat_alerts(self) -> None:
        if self._alertmanager is not None:
            await self._alertmanager.repeat(lambda: self._desk.alerts)

    def _take_labels(self, content: bytes, content_type: str) -> Receipt:
        return self._labelling.accept_body(content, content_type, LabelSource.API)

    def _import_labels(self, content: bytes, content_type: str) -> Receipt:
        return self._labelling.accept_body(content, content_type, LabelSource.IMPORT)

    def _forget(self, wanted: ForgetRequest, who: str) -> ForgetReport:
        return self._forgetting.forget(wanted, who, time.time_ns())

    def _accept(self, wanted: AcceptRequest, who: str) -> AcceptReport:
        return self._accepting(wanted, who, time.time_ns())

    def _on_accepted(self, model: str) -> None:
        """Called in a thread of the operator's surface."""
        self._loop.call_soon_threadsafe(self._tell_of_baseline, model)

    def _tell_of_baseline(self, model: str) -> None:
        self._archive.put_alerts(self._desk.on_baseline(model, time.time_ns()))
        self._save_desk()

    async def _forget_again(self) -> None:
        while True:
            await asyncio.sleep(_FORGET_SECONDS)
            try:
                await asyncio.to_thread(self._forgetting.step, time.time_ns())
            except (StoreUnavailableError, OSError) as error:
                _log.warning("what is to be forgotten waits: %s", error)

    async def _ripen(self) -> None:
        while True:
            await asyncio.sleep(_RIPEN_SECONDS)
            try:
                await asyncio.to_thread(self._ripening.step, time.time_ns())
            except OSError as error:
                _log.warning("learned baselines do not ripen: %s", error)

    def _on_verdict(self, verdict: Verdict) -> None:
        """Called in the detectors' threads."""
        self._loop.call_soon_threadsafe(self._tell, verdict)

    def _tell(self, verdict: Verdict) -> None:
        self._archive.put_alerts(self._desk.on_verdict(verdict, time.time_ns()))
        self._save_desk()

    async def _look_at_status(self) -> None:
        while True:
            await asyncio.sleep(_STATUS_SECONDS)
            try:
                report = await asyncio.to_thread(self._views.status)
                self._archive.put_alerts(self._desk.on_status(report))
                self._save_desk()
            except (OSError, ValueError) as error:
                _log.warning("cannot look at the counts, or keep the alerts' state: %s", error)

    def _admin_context(self) -> ssl.SSLContext | None:
        files = self._admin_tls
        return None if files is None else changing_context(lambda: files.context)

    async def _refresh_keys(self) -> None:
        while True:
            await asyncio.sleep(_REFRESH_SECONDS)
            self._guard.authenticate.refresh()
            if self._admin_tls is not None:
                self._admin_tls.refresh()

    def _save_desk(self) -> None:
        write_state(self._spool / DESK_STATE_NAME, self._desk.state)

    def _drain(self) -> None:
        deadline = time.monotonic() + DRAIN_SECONDS
        self._threads.stop()
        if not self._threads.failed:
            if self._succeeded:
                deadline = 0.0  # the next monitor goes on with what the spool holds
            elif not self._loader.drain(deadline):
                _log.error("the spool could not be brought into the store within %g s; it waits for the next start", DRAIN_SECONDS)
            self._watching.drain(deadline)
            self._archive.step()
            self._watching.save()
            self._keeping.retire_once()
        self._loader.close()
        self._watching.close()
        if self._tracer is not None:
            self._tracer.close()
        self._labelling.close()
        self._store.close()
        os.close(self._labels_lock)
        os.close(self._spool_lock)


class _Threads:
    """The consumers. One that fails ends the process: its successor begins with what is on the disk."""

    def __init__(self, work: dict[str, Callable[[threading.Event], None]]) -> None:
        self._stop = threading.Event()
        self._threads = {name: threading.Thread(target=self._run, args=(name, run), name=name, daemon=True) for name, run in work.items()}
        self.failed = False

    def start(self, on_failure: Callable[[], Any]) -> None:
        self._on_failure = on_failure
        for thread in self._threads.values():
            thread.start()

    def running(self, name: str) -> bool:
        return self._threads[name].is_alive()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads.values():
            thread.join()

    def _run(self, name: str, run: Callable[[threading.Event], None]) -> None:
        try:
            run(self._stop)
        except Exception:  # noqa: BLE001 - whatever it was: it is logged, and the process ends
            _log.exception("the thread %s failed; the monitor starts again", name)
            self.failed = True
            self._on_failure()


@contextlib.asynccontextmanager
async def _background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.get_running_loop().create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _recipients(settings: Settings, admin_url: str, alertmanager: AlertmanagerNotifier | None) -> dict[str, Recipient]:
    alerts = settings.alerts
    found = {"log": Recipient(LogNotifier())}
    if alerts.webhook:
        found["webhook"] = Recipient(WebhookNotifier(alerts.webhook, admin_url))
    if alertmanager is not None:
        found["alertmanager"] = Recipient(alertmanager)
    return found | (recipients(alerts, admin_url) if alerts.told_by is ToldBy.MONITOR else {})


def _guard(settings: Settings, audit: AuditLog) -> Guard:
    access = settings.access
    return Guard(
        Authenticator(access),
        settings.anonymous_roles,
        own_names_only=not access.anonymous and settings.admin.is_loopback,
        audit=audit,
        certified=principal,
    )


def _admin_tls(settings: Settings) -> ContextOfFiles | None:
    tls = settings.admin_tls
    if tls is None:
        return None
    return ContextOfFiles((tls.certificate, tls.key, tls.client_ca), lambda: server_context(tls, "admin_tls", required=False), "admin_tls")


def _tracer(settings: TraceSettings, naming: Naming) -> Tracer | None:
    if settings.endpoint is None:
        return None
    from traces.export import Tracer  # noqa: PLC0415 - the SDK takes a quarter of a second, and memory, which most do not need

    return Tracer(settings, naming, metadata.version("driftline"))


def run_monitor(settings: Settings, *, supervised: bool, on_ready: Callable[[str], None]) -> int:
    """Run the watching side until it is told to stop; return the exit status."""

    async def run() -> bool:
        return await monitor.run(stop_event(supervised=supervised, on_word=monitor.heard), on_ready)

    try:
        monitor = Monitor(settings)
    except (HeldError, OSError, ValueError) as error:
        sys.stderr.write(f"driftline: {error}\n")
        return BAD_INPUT
    gc.freeze()  # what start-up left is here to stay: the collector need not look at it again
    gc.set_threshold(_COLLECT_EVERY)
    return 0 if asyncio.run(run()) else 1


def main() -> int:
    """Run a monitor for a supervisor."""
    task: MonitorTask = read_task()
    log_to_stderr("monitor")
    try:
        return run_monitor(task.settings, supervised=True, on_ready=say_ready)
    except Exception:  # noqa: BLE001 - whatever it was: it is logged, and the process ends
        _log.exception("the monitor failed; another one starts with what is on the disk")
        os._exit(1)  # threads of the consumers and of the engine could keep it from ending, with the spool in its hands


if __name__ == "__main__":
    sys.exit(main())
