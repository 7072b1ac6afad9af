"""What somebody should know of beside burning error budgets. Symptoms, not causes; a fault that needs nobody has no alert.

Where traffic is low, shares say nothing: every alert on a share also asks for a number of requests.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from alerts.catalogue import AlertKind
from alerts.prometheus.rule import AlertRule, over_replicas
from alerts.prometheus.subject import about_a_model, about_a_route
from config.settings import Settings
from records.alert import Severity
from records.metrics import Metric

_DATA_PLANE: Final = "driftline-data-plane?var-route={{ $labels.route }}"
_MODEL: Final = "driftline-model?var-model={{ $labels.model }}"
_SHADOW: Final = "driftline-shadow?var-route={{ $labels.route }}&var-arm={{ $labels.arm }}"
_WATCHING: Final = "driftline-watching"
_FLEET: Final = "driftline-overview"

_REQUESTS = Metric.HTTP_REQUESTS.metric_name
_ERRORS = Metric.EXCHANGE_ERRORS.metric_name
_UP = Metric.UP.metric_name


def serving(settings: Settings) -> Iterator[AlertRule]:
    """Yield the alerts of the data plane."""
    unreachable = over_replicas("sum", f'rate({_ERRORS}{{role="served",kind=~"connect_failed|connect_timeout"}}[2m])', "kind", "arm", "role")
    requests = over_replicas("sum", f'rate({_REQUESTS}{{role="served"}}[2m])', "code", "arm", "role")
    enough = over_replicas("sum", f'increase({_REQUESTS}{{role="served"}}[2m])', "code", "arm", "role")
    yield AlertRule(
        name="UpstreamUnreachable",
        expr=about_a_route(f"({unreachable} / {requests} > 0.5 and {enough} >= 10)", settings),
        severity=Severity.PAGE,
        holds_for="1m",
        keeps_firing_for="2m",
        summary="Route {{ $labels.route }}: its upstream cannot be reached",
        description="No connection could be made for {{ $value | humanizePercentage }} of the requests of two minutes. Clients get 502 and 504.",
        dashboard=_DATA_PLANE,
    )
    known, in_service = (over_replicas("sum", f"{metric.metric_name}", "endpoint") for metric in (Metric.ENDPOINTS, Metric.ENDPOINTS_IN_SERVICE))
    yield AlertRule(
        name="EndpointsOutOfService",
        expr=about_a_route(f"(1 - {in_service} / ({known} > 0) >= 0.5)", settings),
        holds_for="10m",
        summary="Route {{ $labels.route }}: endpoints of {{ $labels.arm }} get no requests",
        description="{{ $value | humanizePercentage }} of them are ejected or fail their health checks, for 10 minutes; the others carry their load.",
        dashboard=_DATA_PLANE,
    )
    yield AlertRule(
        name="CertificateExpiring",
        expr=f"{over_replicas('min', Metric.CERTIFICATE_EXPIRY.metric_name)} - time() < 14 * 86400",
        holds_for="1h",
        summary="The certificate {{ $labels.file }} ends soon",
        description="It ends in {{ $value | humanizeDuration }}. A file that is replaced in time is taken without a restart.",
        dashboard="driftline-data-plane",
    )
    late = over_replicas("max", f"{Metric.RUNTIME_QUEUE_DELAY.metric_name}")
    yield AlertRule(
        name="RuntimeOverloaded",
        expr=about_a_model(f"({late} > 1)", settings),
        holds_for="15m",
        summary="{{ $labels.model }} (version {{ $labels.version }}): requests wait to be computed",
        description="They wait {{ $value | humanize }} times as long as `instances.queue_delay` allows, for 15 minutes, with as many instances as there may be.",
        dashboard=_MODEL,
    )
    yield AlertRule(
        name="ModelVersionRefused",
        expr=about_a_model(f"({over_replicas('sum', f'increase({Metric.RUNTIME_LOAD_FAILURES.metric_name}[15m])')} > 0)", settings),
        summary="{{ $labels.model }}: a new version was not taken into service",
        description="The version that served before goes on serving. The runtime's log says why: it did not load, or did not answer its samples as recorded.",
        dashboard=_MODEL,
    )


def watching_models(settings: Settings) -> Iterator[AlertRule]:
    """Yield the alerts about models: what the detectors found, and what they cannot see."""
    share = Metric.FEATURE_SHARE.metric_name
    yield AlertRule(
        name=AlertKind.MODEL_DATA_DRIFT.value.name,
        expr=about_a_model(f"({over_replicas('max', Metric.DRIFT_FIRING.metric_name)} == 1)", settings),
        severity=AlertKind.MODEL_DATA_DRIFT.value.severity,
        summary="{{ $labels.model }}: data drift",
        description=(
            "Its data differ from the baseline: the evidence passed what the budget of false alerts asks for, and the effect is above the floor. "
            f'Features, by their share of the evidence: {{{{ range printf "topk(3, max by (feature) ({share}{{model=%q}}))" $labels.model | query }}}}'
            "{{ .Labels.feature }} {{ .Value | humanizePercentage }}; {{ end }}"
        ),
        dashboard=_MODEL,
    )
    yield AlertRule(
        name=AlertKind.MODEL_PERFORMANCE_DROP.value.name,
        expr=about_a_model(f"({over_replicas('max', Metric.RISK_FIRING.metric_name)} == 1)", settings),
        severity=AlertKind.MODEL_PERFORMANCE_DROP.value.severity,
        summary="{{ $labels.model }}: predictions are worse by their labels",
        description=(
            "Its mean loss, of classes the error rate, has risen above the baseline's: the evidence passed what the budget of false alerts asks for, and the rise is above "
            f"`labels.risk_tolerance`. Usual {_queried(Metric.RISK_BASELINE)}, in the latest window {_queried(Metric.RISK)}."
        ),
        dashboard=_MODEL,
    )
    windows = over_replicas("sum", f"increase({Metric.DRIFT_WINDOWS.metric_name}[6h])", "model")
    requests = over_replicas("sum", f'increase({_REQUESTS}{{role="served",code="200"}}[6h])', "route", "code", "arm", "role")
    yield AlertRule(
        name="DriftUnwatched",
        expr=f"({requests} > 10000) unless ({windows} > 0)",
        holds_for="1h",
        summary="Traffic passes, and no window of it is tested for drift",
        description="{{ $value | humanize }} requests were answered in 6 hours, and no window closed: their bodies cannot be decoded, or a baseline is still being learned.",
        dashboard=_WATCHING,
    )
    unread = over_replicas("sum", f'increase({Metric.UNDECODABLE.metric_name}{{reason!~"error_reply|feedback|no_data|empty"}}[30m])', "format", "reason")
    captured = over_replicas("sum", f"increase({Metric.CAPTURED.metric_name}[30m])")
    yield AlertRule(
        name="BodiesUndecodable",
        expr=f"({unread} / {captured} > 0.05) and ({captured} >= 100)",
        holds_for="15m",
        summary="Bodies cannot be decoded: the detectors do not see them",
        description="{{ $value | humanizePercentage }} of the exchanges of 30 minutes have a body that gives no features. `driftline_undecodable_total` has formats and reasons.",
        dashboard=_WATCHING,
    )


def _queried(metric: Metric) -> str:
    """Return what shows a model's number where an alert is rendered."""
    return f'{{{{ range printf "max({metric.metric_name}{{model=%q}})" $labels.model | query }}}}{{{{ .Value | humanizePercentage }}}}{{{{ end }}}}'


def shadows(settings: Settings) -> Iterator[AlertRule]:
    """Yield the alerts about shadows."""
    yield AlertRule(
        name=AlertKind.SHADOW_DIVERGING.value.name,
        expr=about_a_route(f"({over_replicas('max', Metric.SHADOW_FIRING.metric_name)} == 1)", settings),
        severity=AlertKind.SHADOW_DIVERGING.value.severity,
        summary="Route {{ $labels.route }}, {{ $labels.model }}: {{ $labels.arm }} answers otherwise than what is served",
        description=(
            "More of its answers differ than its `tolerance` allows: the evidence passed what the budget of false alerts asks for. "
            "`/api/v1/status` names classes, scores and exchanges."
        ),
        dashboard=_SHADOW,
    )
    yield AlertRule(
        name="ShadowFailing",
        expr=about_a_route(f"({over_replicas('max', Metric.MIRROR_CIRCUITS_OPEN.metric_name)} > 0)", settings),
        holds_for="15m",
        summary="Route {{ $labels.route }}: {{ $labels.arm }} fails, and is left alone",
        description="It has failed for 15 minutes. Serving is not touched; requests that it was to get are counted as skipped.",
        dashboard=_SHADOW,
    )


def keeping_records() -> Iterator[AlertRule]:
    """Yield the alerts about records of exchanges and what becomes of them."""
    dropped = AlertKind.EXCHANGES_DROPPED.value
    yield AlertRule(
        name=dropped.name,
        expr=f"{over_replicas('sum', f'increase({Metric.DROPPED.metric_name}[10m])')} > 0",
        severity=dropped.severity,
        summary="Exchange records are lost: {{ $labels.reason }}",
        description="About {{ $value | humanize }} in 10 minutes. Serving goes on; what is lost is missing from the store and the windows, and counted.",
        dashboard=_WATCHING,
    )
    unreachable = AlertKind.STORE_UNREACHABLE.value
    yield AlertRule(
        name=unreachable.name,
        expr=f"{over_replicas('min', Metric.STORE_UP.metric_name)} == 0",
        severity=unreachable.severity,
        holds_for=f"{unreachable.pending_seconds:.0f}s",
        summary="ClickHouse takes no records",
        description="They wait in the spool, and nothing is lost until it is full.",
        dashboard=_WATCHING,
    )
    used, limit = (over_replicas("max", metric.metric_name) for metric in (Metric.SPOOL_BYTES, Metric.SPOOL_LIMIT_BYTES))
    yield AlertRule(
        name="SpoolFilling",
        expr=f"{used} / ({limit} > 0) > 0.8",
        holds_for="5m",
        summary="The spool is nearly full",
        description="It has {{ $value | humanizePercentage }} of the space that it may take. When it is full, records are lost, and counted.",
        dashboard=_WATCHING,
    )
    waiting = over_replicas("max", Metric.CONSUMER_LAG.metric_name)
    rate = over_replicas("sum", f"rate({Metric.CAPTURED.metric_name}[10m])")
    yield AlertRule(
        name="ConsumerLagging",
        expr=f"({waiting} / ignoring (consumer) group_left () ({rate} > 0) > 300) and ({waiting} > 10000)",
        holds_for="10m",
        summary="What reads the spool for {{ $labels.consumer }} is behind",
        description="It has as many records before it as are made in {{ $value | humanizeDuration }}, for 10 minutes. Alerts on drift come late by as much.",
        dashboard=_WATCHING,
    )
    yield AlertRule(
        name="DetectorsSkipping",
        expr=f"{over_replicas('sum', f'increase({Metric.DETECTOR_SKIPPED.metric_name}[15m])')} > 0",
        holds_for="15m",
        summary="The detectors pass over records to keep up",
        description="About {{ $value | humanize }} in 15 minutes. They are stored, and missing from the windows.",
        dashboard=_WATCHING,
    )
    counts = " - ".join(over_replicas("sum", metric.metric_name) for metric in (Metric.CAPTURED, Metric.STORED))
    yield AlertRule(
        name="CountsUnbalanced",
        expr=f"abs({counts} - {over_replicas('sum', Metric.DROPPED.metric_name, 'reason')} - {over_replicas('sum', Metric.PENDING.metric_name)}) > 0",
        holds_for="5m",
        summary="captured is not stored + dropped + pending",
        description="{{ $value | humanize }} records are in none of the counts, or in two: the counts cannot be trusted. This is a fault of Driftline's; please report it.",
        dashboard=_WATCHING,
    )


def ourselves() -> Iterator[AlertRule]:
    """Yield the alerts about what alerts."""
    here = over_replicas("group", f'{_UP}{{component="monitor"}}')
    before = over_replicas("group", f'max_over_time({_UP}{{component="monitor"}}[6h])')
    yield AlertRule(
        name="MonitorMissing",
        expr=f"{before} unless {here}",
        holds_for="5m",
        summary="No monitor of {{ $labels.job }} is scraped any more",
        description="There was one within 6 hours. Serving does not need it, and its records wait in the spool; nobody watches for drift.",
        dashboard=_FLEET,
    )
    yield AlertRule(
        name="ConsumerStopped",
        expr=f"{over_replicas('min', f'{_UP}{{component!=`monitor`}}')} == 0",
        holds_for="5m",
        summary="A part of the monitor does not run: {{ $labels.component }}",
        description="For 5 minutes. The monitor's log says why; it is started again when the monitor is.",
        dashboard=_WATCHING,
    )
    yield AlertRule(
        name="NotificationsFailing",
        expr=f"{over_replicas('sum', f'increase({Metric.NOTIFICATION_FAILURES.metric_name}[1h])')} > 0",
        summary="Driftline's own notifications are given up: {{ $labels.notifier }}",
        description="{{ $value | humanize }} in an hour: its address is wrong, or what is there refuses them. The monitor's log has the answers.",
        dashboard=_WATCHING,
    )
    yield AlertRule(
        name="Watchdog",
        expr="vector(1)",
        severity=None,
        summary="This alert always fires",
        description="It shows that rules are evaluated and that alerts arrive: something outside should miss it (`alerts.watchdog`).",
        dashboard=_FLEET,
    )
