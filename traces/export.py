"""Spans to a collector, over OTLP (protobuf, HTTP), in batches, by the OpenTelemetry SDK.

The SDK's queue is bounded, and it sends in a thread of its own: a collector that is slow or away costs spans, and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from config.settings import TraceSettings
from records.exchange import Exchange
from records.metrics import Metric
from records.payload import DecodeResult
from traces.exemplars import Exemplars
from traces.sampling import Sampling
from traces.spans import Span, spans_of, trace_id_of

_QUEUE_SPANS: Final = 8_192
_FLUSH_MILLISECONDS: Final = 5_000


class Tracer:
    """Takes exchanges one after the other, in one thread, and exports those that are sampled."""

    def __init__(self, settings: TraceSettings, name: Callable[[Exchange], tuple[str, str]], version: str) -> None:
        """`name` gives an exchange's model and its version; `version` is Driftline's."""
        assert settings.endpoint is not None
        self._sampling = Sampling(settings)
        self._name = name
        self._ids = _GivenIds()
        self._exporter = _Counting(OTLPSpanExporter(endpoint=settings.endpoint.address))
        self._made = 0
        self.exemplars = Exemplars()
        resource = Resource.create({"service.name": settings.service, "service.version": version})
        self._provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter, max_queue_size=_QUEUE_SPANS))
        self._tracer = self._provider.get_tracer("driftline", version)

    def __call__(self, exchange: Exchange, response: DecodeResult) -> None:
        """Take an exchange and its reply, decoded."""
        trace_id = trace_id_of(exchange)
        if self._sampling.keeps(exchange, trace_id):
            model, version = self._name(exchange)
            self.exemplars.add(exchange, model, version, trace_id)
            for span in spans_of(exchange, response, model, version):
                self._export(span)

    def counters(self) -> dict[tuple[str, ...], int]:
        """Return what is counted here, as the metrics page takes it."""
        exporter = self._exporter
        return {
            (Metric.SPANS.metric_name,): self._made,
            (Metric.SPANS_EXPORTED.metric_name,): exporter.exported,
            (Metric.SPANS_FAILED.metric_name,): exporter.failed,
        }

    def close(self) -> None:
        """Send what waits, for some seconds at most."""
        self._provider.force_flush(_FLUSH_MILLISECONDS)
        self._provider.shutdown()

    def _export(self, span: Span) -> None:
        self._ids.give(span)
        # Without a parent's span the SDK begins a trace, by the trace id that it is given.
        context = _remote(span.trace_id, span.parent_id) if span.parent_id else Context()
        made = self._tracer.start_span(
            span.name,
            context=context,
            kind=SpanKind.SERVER if span.is_server else SpanKind.CLIENT,
            attributes={name: value for name, value in span.attributes.items() if value != ""},
            start_time=span.started_at_ns,
        )
        if span.first_byte_at_ns:
            made.add_event("first byte of the reply", timestamp=span.first_byte_at_ns)
        if span.error:
            made.set_attribute("error.type", span.error)
            made.set_status(Status(StatusCode.ERROR))
        made.end(span.ended_at_ns)
        self._made += 1


def _remote(trace_id: int, span_id: int) -> Context:
    parent = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return trace.set_span_in_context(NonRecordingSpan(parent), Context())


class _GivenIds(IdGenerator):
    """Gives the SDK the ids of the span that is made next."""

    def __init__(self) -> None:
        self._trace_id = self._span_id = 0

    def give(self, span: Span) -> None:
        self._trace_id, self._span_id = span.trace_id, span.span_id

    def generate_trace_id(self) -> int:
        return self._trace_id

    def generate_span_id(self) -> int:
        return self._span_id


class _Counting(SpanExporter):
    """Counts what the collector took, and what it did not."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._lock = threading.Lock()
        self.exported = 0
        self.failed = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        with self._lock:
            if result is SpanExportResult.SUCCESS:
                self.exported += len(spans)
            else:
                self.failed += len(spans)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)
