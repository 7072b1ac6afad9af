"""The same views as the JSON API's, in Prometheus's exposition format.

Everything becomes one mapping from a counter's name (metric, then label values) to a number, as the ledgers have it, and is
shown in the order of `records.metrics.Metric`. What that does not name is not shown.
"""

from __future__ import annotations

import platform
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Final, TypeAlias

from prometheus_client import Metric as Family
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from records.metrics import BUCKET_LABELS, BUCKET_SUFFIX, SUM_NS_SUFFIX, DropReason, Metric, MetricSpec, MetricType
from records.ports import Views
from records.status import ModelStatus, StatusReport, TracedValue
from records.verdict import OF_BASELINES, DriftState, Problem, Verdict

FEATURES_AT_MOST: Final = 50
"""Features shown per model, those with the largest share of the evidence first; all of them are in the store."""

Samples: TypeAlias = dict[tuple[str, ...], float]
"""Numbers by metric name, then label values in the order of the metric's labels."""

_NO_EXEMPLARS: Final[Mapping[tuple[str, ...], TracedValue]] = {}

_NONE_REFUSED: Final[Mapping[str, int]] = {}

_Labelled: TypeAlias = list[tuple[tuple[str, ...], float]]


class MetricsPage:
    """Renders the page. Blocking: call it on a thread."""

    def __init__(self, views: Views, refused: Mapping[str, int] = _NONE_REFUSED) -> None:
        """`refused` counts what the admin address refused, by the reply's status."""
        self._views = views
        self._refused = refused
        self._previous_seconds = 0.0

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return the page and its content type, in the format that the Accept header asks for."""
        began = time.perf_counter()
        refused = {(Metric.ADMIN_REFUSED.metric_name, code): count for code, count in self._refused.items()}
        samples = samples_of(self._views) | refused | {(Metric.SCRAPE_DURATION.metric_name,): self._previous_seconds}
        page = page_of(samples, accept, self._views.exemplars())
        self._previous_seconds = time.perf_counter() - began
        return page


def page_of(samples: Mapping[tuple[str, ...], float], accept: str, exemplars: Mapping[tuple[str, ...], TracedValue] = _NO_EXEMPLARS) -> tuple[bytes, str]:
    """Return these numbers as a page, and its content type, in the format that the Accept header asks for. Only OpenMetrics shows exemplars."""
    encode, content_type = _encoder(accept)
    return encode(_Families(families(samples, exemplars))), content_type


def samples_of(views: Views) -> Samples:
    """Return every number. Where a view states what a ledger only knows in part, as with drops, the view holds."""
    report, counted = views.figures()
    samples: Samples = dict(counted)
    for metric, labels, value in (*_report_samples(report), *_model_samples(views.models())):
        samples[metric.metric_name, *labels] = value
    return samples


def families(samples: Mapping[tuple[str, ...], float], exemplars: Mapping[tuple[str, ...], TracedValue] = _NO_EXEMPLARS) -> Iterator[Family]:
    """Return the metrics that have a number, each with all of its numbers."""
    by_name: dict[str, _Labelled] = defaultdict(list)
    for (name, *labels), value in samples.items():
        by_name[name].append((tuple(labels), value))
    for metric in Metric:
        spec = metric.value
        if spec.type is MetricType.HISTOGRAM:
            yield from _histogram(spec, by_name[spec.name + BUCKET_SUFFIX], dict(by_name[spec.name + SUM_NS_SUFFIX]), exemplars)
        elif labelled := by_name[spec.name]:
            yield _plain(spec, labelled)


def _encoder(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    try:
        return choose_encoder(accept)
    except TypeError:  # it compares the version asked for with (1, 0, 0), also where that is not a number
        return choose_encoder("")


class _Families(Collector):
    """What the encoders ask for."""

    def __init__(self, collected: Iterable[Family]) -> None:
        self._collected = collected

    def collect(self) -> Iterable[Family]:
        return self._collected


def _plain(spec: MetricSpec, labelled: _Labelled) -> Family:
    kind = CounterMetricFamily if spec.type is MetricType.COUNTER else GaugeMetricFamily
    family = kind(spec.name, spec.help, labels=spec.labels)
    for labels, value in labelled:
        family.add_metric(labels, value)
    return family


def _histogram(
    spec: MetricSpec, buckets: _Labelled, sums_ns: Mapping[tuple[str, ...], float], exemplars: Mapping[tuple[str, ...], TracedValue]
) -> Iterator[Family]:
    """Return the histogram, if anything was observed; Prometheus's buckets include the smaller ones, the ledgers' do not."""
    observed: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for (*labels, upper_bound), value in buckets:
        observed[tuple(labels)][upper_bound] = value
    if not observed:
        return
    family = HistogramMetricFamily(spec.name, spec.help, labels=spec.labels)
    for key, counts in observed.items():
        cumulative = accumulate(counts.get(upper_bound, 0) for upper_bound in BUCKET_LABELS)
        traced = {bound: exemplars.get((spec.name + BUCKET_SUFFIX, *key, bound)) for bound in BUCKET_LABELS}
        shown = [_bucket(bound, count, traced[bound]) for bound, count in zip(BUCKET_LABELS, cumulative, strict=True)]
        family.add_metric(key, shown, sums_ns.get(key, 0) / 1e9)
    yield family


def _bucket(bound: str, count: float, traced: TracedValue | None) -> tuple[str, float] | tuple[str, float, Exemplar]:
    return (bound, count, Exemplar({"trace_id": traced.trace_id}, traced.value, traced.at_seconds)) if traced else (bound, count)


_Sample: TypeAlias = tuple[Metric, tuple[str, ...], float]


def _report_samples(report: StatusReport) -> Iterator[_Sample]:
    counts = report.counts
    yield Metric.BUILD_INFO, (report.version, platform.python_version()), 1
    yield Metric.UP, ("monitor",), 1
    yield Metric.CAPTURED, (), counts.captured
    yield Metric.STORED, (), counts.stored
    yield Metric.PENDING, (), counts.pending
    for reason, dropped in (dict.fromkeys(DropReason, 0) | counts.dropped).items():
        yield Metric.DROPPED, (reason,), dropped
    yield Metric.SPOOL_BYTES, (), report.spool_bytes
    yield Metric.SPOOL_LIMIT_BYTES, (), report.spool_limit_bytes
    yield Metric.STORE_UP, (), report.store.up
    yield Metric.LABELS_UNSTORED, (), report.labels.unstored
    yield Metric.LABELS_WAITING, (), report.labels.waiting
    for consumer in report.consumers:
        yield Metric.UP, (consumer.consumer,), consumer.running
        yield Metric.CONSUMER_LAG, (consumer.consumer,), consumer.lag_records
    for file, seconds in report.certificates_end.items():
        yield Metric.CERTIFICATE_EXPIRY, (file,), seconds
    for pair in report.agreement:
        shadow = pair.route, pair.model, pair.arm
        yield Metric.SHADOW_WINDOWS, shadow, pair.windows
        yield Metric.SHADOW_EVIDENCE, shadow, pair.evidence_ratio
        yield Metric.SHADOW_FIRING, shadow, pair.state is DriftState.FIRING


def _model_samples(models: Iterable[ModelStatus]) -> Iterator[_Sample]:
    for model in models:
        yield Metric.ROWS_WATCHED, (model.model,), model.rows
        yield Metric.LATE_ROWS, (model.model,), model.late_rows
        yield Metric.UNTIMED_ROWS, (model.model,), model.untimed_rows
        if model.latest_row_at_ns:
            yield Metric.LATEST_ROW, (model.model,), model.latest_row_at_ns / 1e9
        yield Metric.DRIFT_WAITING, (model.model,), model.is_waiting
        yield Metric.DRIFT_WINDOWS, (model.model,), model.windows
        yield Metric.DRIFT_EVIDENCE, (model.model,), model.evidence_ratio
        yield Metric.DRIFT_FIRING, (model.model,), model.state is DriftState.FIRING
        yield Metric.BASELINE_ROWS, (model.model, model.baseline_id), model.baseline_rows
        if model.last_verdict:
            yield from _feature_samples(model.last_verdict)
            found = Counter(finding.problem for finding in model.last_verdict.quality)
            yield from ((Metric.QUALITY, (model.model, problem), found[problem]) for problem in Problem if problem not in OF_BASELINES)


def _feature_samples(verdict: Verdict) -> Iterator[_Sample]:
    for feature in verdict.features[:FEATURES_AT_MOST]:
        yield Metric.FEATURE_SHARE, (verdict.model, feature.feature), feature.share
        for statistic, test in feature.tests.items():
            yield Metric.FEATURE_EFFECT, (verdict.model, feature.feature, statistic), test.effect
