"""The watching itself: counts, spool, store, cost."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.panels import HOLDS, Limits, Line, Panel, Unit, board, lines, number, rows, sql_lines
from records.metrics import Metric

_PROCESS = "job, component, pid"
_COMPONENT = "{{component}} · {{job}}"


def _sum(metric: Metric, by: str = "job") -> str:
    return f"sum by ({by}) ({metric.metric_name}{{{HOLDS}}})"


def _rate(metric: Metric, by: str = "job") -> str:
    return f"sum by ({by}) (rate({metric.metric_name}{{{HOLDS}}}[$__rate_interval]))"


def dashboard() -> Dashboard:
    """Return it."""
    return board(
        "watching",
        "Driftline: watching side",
        "Whether the watching works: the counts that must add up, the spool, the store, the detectors, and what is told.",
        [],
        {
            "The promise: captured = stored + dropped + pending": _counts(),
            "Spool and store": _spool_and_store(),
            "Detectors": _detectors(),
            "What is told": _told(),
            "Processes": _processes(),
        },
    )


def _counts() -> list[Panel]:
    """Return the counts that must add up."""
    return [
        number(
            "Captured",
            "Exchange records made by the data plane, since the spools began.",
            Unit.NUMBER,
            f"sum({Metric.CAPTURED.metric_name}{{{HOLDS}}})",
        ),
        number("Stored", "Records that the store has acknowledged.", Unit.NUMBER, f"sum({Metric.STORED.metric_name}{{{HOLDS}}})"),
        number("Dropped", "Records lost, for any reason.", Unit.NUMBER, f"sum({Metric.DROPPED.metric_name}{{{HOLDS}}})", limits=Limits(1, 1000)),
        number("Pending", "Records in the spools that the store has not acknowledged yet.", Unit.NUMBER, f"sum({Metric.PENDING.metric_name}{{{HOLDS}}})"),
        number(
            "Unaccounted",
            "What does not add up: 0, always. Anything else is a fault of Driftline's.",
            Unit.NUMBER,
            f"sum({Metric.CAPTURED.metric_name}{{{HOLDS}}}) - sum({Metric.STORED.metric_name}{{{HOLDS}}}) - sum({Metric.DROPPED.metric_name}{{{HOLDS}}}) - sum({Metric.PENDING.metric_name}{{{HOLDS}}})",
            limits=Limits(0.5, 1),
        ),
        number(
            "Running",
            "Share of monitors and of their consumers that run.",
            Unit.SHARE,
            f"avg({Metric.UP.metric_name}{{{HOLDS}}})",
            limits=Limits(1, 0.9, falling=True),
        ),
        lines(
            "Captured and stored",
            "Records per second.",
            Unit.RECORDS_PER_SECOND,
            Line(_rate(Metric.CAPTURED), "captured · {{job}}"),
            Line(_rate(Metric.STORED), "stored · {{job}}"),
        ),
        lines(
            "Dropped",
            "Records per second, by reason. Zero is what it should be.",
            Unit.RECORDS_PER_SECOND,
            Line(_rate(Metric.DROPPED, "job, reason"), "{{reason}} · {{job}}"),
            stack=True,
        ),
    ]


def _spool_and_store() -> list[Panel]:
    """Return where records wait, and whether they are taken."""
    return [
        lines(
            "Spool",
            "Disk space that the spool takes, of what it may take.",
            Unit.SHARE,
            Line(f"{_sum(Metric.SPOOL_BYTES)} / {_sum(Metric.SPOOL_LIMIT_BYTES)}", "{{job}}"),
            limits=Limits(0.5, 0.8),
        ),
        lines("Lag", "Records that a consumer has yet to read.", Unit.NUMBER, Line(_sum(Metric.CONSUMER_LAG, "job, consumer"), "{{consumer}} · {{job}}")),
        lines(
            "Store takes records",
            "1 when the last insert succeeded.",
            Unit.NUMBER,
            Line(f"min by (job) ({Metric.STORE_UP.metric_name}{{{HOLDS}}})", "{{job}}"),
        ),
        lines(
            "Store errors",
            "Inserts per second that failed and were tried again.",
            Unit.PER_SECOND,
            Line(_rate(Metric.STORE_ERRORS), "{{job}}"),
        ),
        sql_lines(
            "Stored",
            "Bytes of bodies per interval, before compression.",
            Unit.BYTES,
            "SELECT $__timeInterval(started_at) AS time, model, sum(length(request_body) + length(response_body)) AS body_bytes FROM exchanges "
            "WHERE $__timeFilter(started_at) GROUP BY time, model ORDER BY time",
            bars=True,
            span=24,
        ),
    ]


def _detectors() -> list[Panel]:
    """Return what becomes of rows and labels."""
    return [
        lines(
            "Rows watched",
            "Rows of features per second that entered a window, by model.",
            Unit.RECORDS_PER_SECOND,
            Line(_rate(Metric.ROWS_WATCHED, "model"), "{{model}}"),
            stack=True,
        ),
        lines(
            "Bodies that gave no features",
            "Per second, by format and reason. Error replies have none, which is as it should be.",
            Unit.PER_SECOND,
            Line(f"{_rate(Metric.UNDECODABLE, 'format, reason')} or vector(0)", "{{format}}: {{reason}}"),
            stack=True,
        ),
        lines(
            "Records passed over",
            "Per second: what the detectors left out to keep up. It is stored all the same.",
            Unit.RECORDS_PER_SECOND,
            Line(f"{_rate(Metric.DETECTOR_SKIPPED)} or vector(0)", "{{job}}"),
        ),
        lines(
            "Labels",
            "Labels per second: accepted, refused because they were none, and joined with their prediction.",
            Unit.PER_SECOND,
            Line(f"{_rate(Metric.LABELS_RECEIVED, 'source')} or vector(0)", "accepted: {{source}}"),
            Line(f"{_rate(Metric.LABELS_REFUSED, 'source')} or vector(0)", "refused: {{source}}"),
            Line(f"{_rate(Metric.LABELS_JOINED, 'timing')} or vector(0)", "joined: {{timing}}"),
        ),
        lines(
            "Late and untimed rows",
            "Rows per second whose own window had closed long before, and those that did not say when they happened where `drift.event_time` is set.",
            Unit.RECORDS_PER_SECOND,
            Line(_rate(Metric.LATE_ROWS, "model"), "late: {{model}}"),
            Line(_rate(Metric.UNTIMED_ROWS, "model"), "untimed: {{model}}"),
        ),
        lines(
            "Payload loggers",
            "Events per second, by what became of them, and how many wait for their other half.",
            Unit.NUMBER,
            Line(f"{_rate(Metric.LOGGER_EVENTS, 'outcome')} or vector(0)", "{{outcome}}"),
            Line(f"{_sum(Metric.LOGGER_EVENTS_WAITING)} or vector(0)", "waiting"),
        ),
    ]


def _told() -> list[Panel]:
    """Return alerts, notifications, and what a scrape takes."""
    return [
        lines(
            "Alerts",
            "Alerts of the monitor's own that began to fire, per hour.",
            Unit.NUMBER,
            Line(f"sum by (alert) (increase({Metric.ALERTS.metric_name}{{{HOLDS}}}[1h]))", "{{alert}}"),
        ),
        lines(
            "Notifications",
            "Sent and given up, per hour.",
            Unit.NUMBER,
            Line(f"sum by (notifier) (increase({Metric.NOTIFICATIONS.metric_name}{{{HOLDS}}}[1h]))", "sent: {{notifier}}"),
            Line(f"sum by (notifier) (increase({Metric.NOTIFICATION_FAILURES.metric_name}{{{HOLDS}}}[1h]))", "given up: {{notifier}}"),
        ),
        lines(
            "Spans",
            "Per second: made of exchanges, taken by the collector, and not taken. What is made and in neither count waits, or found the queue full.",
            Unit.PER_SECOND,
            Line(f"{_rate(Metric.SPANS)} or vector(0)", "made"),
            Line(f"{_rate(Metric.SPANS_EXPORTED)} or vector(0)", "taken"),
            Line(f"{_rate(Metric.SPANS_FAILED)} or vector(0)", "not taken"),
        ),
        lines(
            "Scrape",
            "Time that rendering the metrics took.",
            Unit.SECONDS,
            Line(f"max by (job) ({Metric.SCRAPE_DURATION.metric_name}{{{HOLDS}}})", "{{job}}"),
        ),
        rows(
            "Alerts",
            "The latest alerts and their ends.",
            "SELECT started_at, name, severity, state, summary, fired_at, resolved_at FROM alerts FINAL WHERE $__timeFilter(started_at) ORDER BY started_at DESC LIMIT 100",
        ),
    ]


def _processes() -> list[Panel]:
    """Return what the service itself takes."""
    return [
        lines(
            "CPU", "Cores that the processes of each kind use.", Unit.NUMBER, Line(_rate(Metric.PROCESS_CPU, "job, component"), _COMPONENT), stack=True, span=8
        ),
        lines(
            "Memory",
            "In RAM, by process; pages that processes share are counted for each.",
            Unit.BYTES,
            Line(_sum(Metric.PROCESS_MEMORY, _PROCESS), f"{_COMPONENT} {{{{pid}}}}"),
            span=8,
        ),
        lines(
            "Descriptors",
            "Open file descriptors of each process, of as many as it may have.",
            Unit.SHARE,
            Line(f"{_sum(Metric.PROCESS_DESCRIPTORS, _PROCESS)} / {_sum(Metric.PROCESS_DESCRIPTORS_LIMIT, _PROCESS)}", f"{_COMPONENT} {{{{pid}}}}"),
            limits=Limits(0.5, 0.8),
            span=8,
        ),
    ]
