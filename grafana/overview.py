"""Every model and route of every Driftline, on one page."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.panels import HOLDS, Limits, Line, Panel, Unit, board, lines, now, number
from records.metrics import Metric

_REQUESTS = f'{Metric.HTTP_REQUESTS.metric_name}{{{HOLDS},role="served"}}'
_FAILED = f'{Metric.HTTP_REQUESTS.metric_name}{{{HOLDS},role="served",code=~"5.."}}'
_OF_MODELS = f'{Metric.MODEL_REQUESTS.metric_name}{{{HOLDS},role="served"'
"""Open for more matchers."""
_MODEL_URL = "/d/driftline-model?var-model=${__data.fields.model}&${__url_time_range}"
_ROUTE_URL = "/d/driftline-data-plane?var-route=${__data.fields.route}&${__url_time_range}"


def dashboard() -> Dashboard:
    """Return it."""
    return board(
        "overview",
        "Driftline: overview",
        "What is served, whether it drifts, and whether the watching works: every model and route of the chosen services.",
        [],
        {"Now": _now(), "Models": _models(), "Routes": _routes()},
    )


def _now() -> list[Panel]:
    """Return the numbers on top."""
    return [
        number("Requests", "Requests answered per second, by all routes.", Unit.PER_SECOND, f"sum(rate({_REQUESTS}[$__rate_interval]))"),
        number(
            "Failed",
            "Share of requests that were answered with a status from 500 on.",
            Unit.SHARE,
            f"(sum(rate({_FAILED}[$__rate_interval])) or vector(0)) / sum(rate({_REQUESTS}[$__rate_interval]))",
            limits=Limits(0.001, 0.01),
        ),
        number(
            "Models that drift",
            "Models whose drift alert fires.",
            Unit.NUMBER,
            f"count(max by (job, model) ({Metric.DRIFT_FIRING.metric_name}{{{HOLDS}}}) == 1) or vector(0)",
            limits=Limits(1, 2),
        ),
        number(
            "Models watched",
            "Models with a baseline or one that is being learned.",
            Unit.NUMBER,
            f"count(count by (job, model) ({Metric.DRIFT_EVIDENCE.metric_name}{{{HOLDS}}}))",
        ),
        number(
            "Records lost",
            "Exchange records lost within the chosen time, for any reason.",
            Unit.NUMBER,
            f"sum(increase({Metric.DROPPED.metric_name}{{{HOLDS}}}[$__range]))",
            limits=Limits(1, 1000),
        ),
        number(
            "Stores that take records",
            "Share of monitors whose last insert into ClickHouse succeeded.",
            Unit.SHARE,
            f"avg({Metric.STORE_UP.metric_name}{{{HOLDS}}})",
            limits=Limits(1, 0.5, falling=True),
        ),
    ]


def _models() -> list[Panel]:
    """Return the table of models, and their evidence."""
    return [
        now(
            "Models",
            "Evidence is relative to what the budget of false alerts asks for: at 1 the model's alert may fire. Click on a model for its page.",
            Line(f"max by (job, model) ({Metric.DRIFT_EVIDENCE.metric_name}{{{HOLDS}}})", "evidence"),
            Line(f"max by (job, model) ({Metric.DRIFT_FIRING.metric_name}{{{HOLDS}}})", "fires"),
            Line(f"sum by (job, model) (increase({Metric.DRIFT_WINDOWS.metric_name}{{{HOLDS}}}[$__range]))", "windows"),
            Line(f"sum by (job, model) (increase({Metric.ROWS_WATCHED.metric_name}{{{HOLDS}}}[$__range]))", "rows"),
            Line(f"sum by (job, model) (rate({_OF_MODELS}}}[$__rate_interval]))", "requests"),
            Line(f'sum by (job, model) (rate({_OF_MODELS},code=~"0|5.."}}[$__rate_interval]))', "failed"),
            units={"requests": Unit.PER_SECOND, "failed": Unit.PER_SECOND},
            links={"model": _MODEL_URL},
        ),
        lines(
            "Evidence of drift",
            "Relative to what the budget asks for. It rises where windows differ from the baseline and falls where they do not; above 1, with an effect above the floor, the alert fires.",
            Unit.NUMBER,
            Line(f"max by (job, model) ({Metric.DRIFT_EVIDENCE.metric_name}{{{HOLDS}}})", "{{model}} · {{job}}"),
            limits=Limits(0.5, 1),
            span=24,
        ),
    ]


def _routes() -> list[Panel]:
    """Return the table of routes, and what they promise."""
    return [
        now(
            "Routes",
            "Per second, over the last minutes. Click on a route for the data plane.",
            Line(f"sum by (job, route) (rate({_REQUESTS}[$__rate_interval]))", "requests"),
            Line(f"sum by (job, route) (rate({_FAILED}[$__rate_interval]))", "failed"),
            Line(
                f'histogram_quantile(0.99, sum by (job, route, le) (rate({Metric.HTTP_REQUEST_DURATION.metric_name}_bucket{{{HOLDS},role="served"}}[$__rate_interval])))',
                "p99",
            ),
            units={"requests": Unit.PER_SECOND, "failed": Unit.PER_SECOND, "p99": Unit.SECONDS},
            links={"route": _ROUTE_URL},
        ),
        lines(
            "Requests",
            "Answered per second.",
            Unit.PER_SECOND,
            Line(f"sum by (job, route) (rate({_REQUESTS}[$__rate_interval]))", "{{route}} · {{job}}"),
        ),
        lines(
            "Error budget left",
            "Of 30 days, by the rules that `driftline alerts rules` makes. Empty without them.",
            Unit.SHARE,
            Line(f"slo:period_error_budget_remaining:ratio{{{HOLDS}}}", "{{route}} · {{slo}}"),
        ),
    ]
