"""Events of payload loggers become exchange records of the monitor's own: in the spool they are like those of a proxy worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from config.settings import Settings
from driftline.spooling import open_writer
from events.cloudevents import CloudEvent, NotAnEventError, read_events
from events.joining import EventJoiner, Joined, JoinLimits
from events.logged import Half, read_half
from privacy.tap import private
from proxy.routing import RoutingTable
from records.metrics import EventOutcome, Metric
from records.ports import EventsNotTakenError, Tap
from records.receipt import Receipt, Refusal
from store.spool.ledger import LedgerWriter
from store.spool.writer import create_writer_directory

MONITOR_NUMBER: Final = 1_000
"""The monitor's among the numbers of writers: workers have 0 to 255."""

_ERRORS_TOLD: Final = 100
_EXPIRY_SECONDS: Final = 1.0


class EventIntake:
    """Implements `records.ports.EventIntake`; belongs to the event loop. Its writer begins with the first event."""

    def __init__(self, settings: Settings, limits: JoinLimits | None = None) -> None:
        self._settings = settings
        self._body_at_most_bytes = settings.spool.segment_size // 4
        self._routes = RoutingTable((route.path, route.name) for route in settings.routes)
        self._joiner = EventJoiner(limits or JoinLimits())
        self._recorder: _Recorder | None = None
        self._closed = False

    async def __call__(self, content: bytes, fields: Mapping[str, str]) -> Receipt:
        """Take what are events in a body; see `records.ports.EventIntake`."""
        halves, refusals = await asyncio.to_thread(self._read, content, fields)
        recorder = self._recording()
        now, now_ns = time.monotonic(), time.time_ns()
        for half in halves:
            joined = self._joiner.add(half, now, now_ns)
            if joined is None:
                recorder.count(EventOutcome.DUPLICATE, 1)
            else:
                self._record(joined)
        recorder.count(EventOutcome.REFUSED, len(refusals))
        recorder.gauge(len(self._joiner))
        return Receipt(accepted=len(halves), refused=len(refusals), errors=tuple(refusals[:_ERRORS_TOLD]))

    async def run(self) -> None:
        """Record by itself what has waited too long for its other half."""
        while True:
            await asyncio.sleep(_EXPIRY_SECONDS)
            self._record(self._joiner.expire(time.monotonic(), time.time_ns()))
            if self._recorder:
                self._recorder.gauge(len(self._joiner))

    def close(self) -> None:
        """Record what waits, and end the writer: no more events are taken."""
        self._record(self._joiner.flush(time.time_ns()))
        if self._recorder:
            self._recorder.gauge(0)
            self._recorder.close()
            self._recorder = None
        self._closed = True

    def _read(self, content: bytes, fields: Mapping[str, str]) -> tuple[list[Half], list[Refusal]]:
        halves: list[Half] = []
        refusals: list[Refusal] = []
        for line, event in enumerate(read_events(content, fields), start=1):
            half = self._half(event)
            if isinstance(half, NotAnEventError):
                refusals.append(Refusal(line, str(half)))
            else:
                halves.append(half)
        return halves, refusals

    def _half(self, event: CloudEvent | NotAnEventError) -> Half | NotAnEventError:
        try:
            return event if isinstance(event, NotAnEventError) else read_half(event, self._body_at_most_bytes)
        except NotAnEventError as error:
            return error

    def _record(self, joined: Iterable[Joined]) -> None:
        for exchange, events in joined:
            route = self._routes.find(exchange.path.encode()) or ""
            recorder = self._recording()
            recorder.tap.append(replace(exchange, route=route))
            recorder.count(EventOutcome.JOINED if events == 2 else EventOutcome.ALONE, events)

    def _recording(self) -> _Recorder:
        if self._closed:
            raise EventsNotTakenError("the service is stopping")
        if self._recorder is None:
            try:
                self._recorder = _Recorder(self._settings)
            except (OSError, ValueError) as error:
                raise EventsNotTakenError(f"the spool cannot be written: {error}") from error
        return self._recorder


class _Recorder:
    """A writer of the spool, and its ledger. Raises OSError, or ValueError where a key to hash with cannot be read."""

    def __init__(self, settings: Settings) -> None:
        directory: Path = create_writer_directory(settings.spool_directory, MONITOR_NUMBER)
        self._ledger = LedgerWriter(directory)
        self._writer = open_writer(directory, self._ledger, settings.spool)
        self.tap: Tap = private(self._writer, settings.routes, settings.privacy, self._ledger)

    def count(self, outcome: EventOutcome, events: int) -> None:
        """Count events by what became of them."""
        self._ledger.values[self._ledger.slot(Metric.LOGGER_EVENTS.metric_name, outcome)] += events

    def gauge(self, waiting: int) -> None:
        """Set how many events wait."""
        self._ledger.values[self._ledger.slot(Metric.LOGGER_EVENTS_WAITING.metric_name)] = waiting

    def close(self) -> None:
        """End the writer: what it wrote is for the spool's readers."""
        self._writer.close()
        self._ledger.close()
