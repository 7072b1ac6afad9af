"""Connections, endpoints, errors, budgets."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.panels import HOLDS, Limits, Line, Panel, Unit, board, lines, number, query_variable, rows
from records.metrics import Metric

_ROUTE = f'{HOLDS},route=~"$route"'
_SERVED = f'{_ROUTE},role="served"'
_BUCKET = f"{Metric.HTTP_REQUEST_DURATION.metric_name}_bucket{{{_SERVED}}}"


def _rate(metric: Metric, matchers: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric.metric_name}{{{matchers}}}[$__rate_interval]))"


def dashboard() -> Dashboard:
    """Return it."""
    return board(
        "data-plane",
        "Driftline: data plane",
        "How requests pass: rates, errors, durations, endpoints, connections, limits, and what routes promise.",
        [query_variable("route", "Route", f"label_values({Metric.HTTP_REQUESTS.metric_name}, route)")],
        {"Requests": _requests(), "What routes promise": _promises(), "Upstreams": _upstreams(), "Clients": _clients()},
    )


def _requests() -> list[Panel]:
    """Return rates, durations and errors."""
    quantiles = [
        Line(f"histogram_quantile({share}, sum by (le) (rate({_BUCKET}[$__rate_interval])))", name)
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    ]
    return [
        lines("Answers", "Per second, by status.", Unit.PER_SECOND, Line(_rate(Metric.HTTP_REQUESTS, _SERVED, "code"), "{{code}}"), stack=True),
        lines("Time to the whole reply", "From the request's head until the reply was whole.", Unit.SECONDS, *quantiles),
        lines(
            "Errors",
            "Exchanges per second that did not end in an ordinary reply, by kind. A status alone is not such an error.",
            Unit.PER_SECOND,
            Line(f"{_rate(Metric.EXCHANGE_ERRORS, _SERVED, 'kind')} or vector(0)", "{{kind}}"),
            stack=True,
        ),
        lines(
            "Retries and replies cut short",
            "Requests sent again because a kept connection closed without a word, and replies that began well and were cut short by the upstream's fault, per second.",
            Unit.PER_SECOND,
            Line(f"{_rate(Metric.RETRIES, _ROUTE, 'route')} or vector(0)", "sent again: {{route}}"),
            Line(f"{_rate(Metric.REPLIES_CUT, _SERVED, 'route')} or vector(0)", "cut short: {{route}}"),
        ),
    ]


def _promises() -> list[Panel]:
    """Return error budgets."""
    return [
        lines(
            "Errors against the budget",
            "Share of requests that broke the promise, over the last hour; the dashed lines are where it burns 1 and 14.4 times too fast at a promise of 99.9 %. By the rules that `driftline alerts rules` makes.",
            Unit.SHARE,
            Line(f"slo:sli_error:ratio_rate1h{{{_ROUTE}}}", "{{route}} · {{slo}}"),
            limits=Limits(0.001, 0.0144),
        ),
        lines(
            "Error budget left",
            "Of 30 days. Empty without those rules.",
            Unit.SHARE,
            Line(f"slo:period_error_budget_remaining:ratio{{{_ROUTE}}}", "{{route}} · {{slo}}"),
        ),
    ]


def _upstreams() -> list[Panel]:
    """Return endpoints and certificates."""
    return [
        lines(
            "Endpoints in service",
            "Share of an upstream's endpoints that get requests, as the workers see it.",
            Unit.SHARE,
            Line(
                f"sum by (route, arm) ({Metric.ENDPOINTS_IN_SERVICE.metric_name}{{{_ROUTE}}}) / sum by (route, arm) ({Metric.ENDPOINTS.metric_name}{{{_ROUTE}}})",
                "{{arm}} of {{route}}",
            ),
        ),
        lines(
            "Requests at endpoints",
            "Requests that each endpoint has now, and connections being made to it.",
            Unit.NUMBER,
            Line(f"sum by (endpoint) ({Metric.ENDPOINT_REQUESTS_IN_FLIGHT.metric_name}{{{_ROUTE}}})", "{{endpoint}}"),
            stack=True,
        ),
        lines(
            "Ejections and failed checks",
            "Per second: endpoints left out for a while, by reason, and health checks that were not passed.",
            Unit.PER_SECOND,
            Line(f"{_rate(Metric.ENDPOINT_EJECTIONS, _ROUTE, 'endpoint, reason')} or vector(0)", "{{endpoint}}: {{reason}}"),
            Line(f"{_rate(Metric.ENDPOINT_CHECKS_FAILED, _ROUTE, 'endpoint')} or vector(0)", "{{endpoint}}: check"),
        ),
        lines(
            "Certificates",
            "Time until the first certificate of each file ends. Empty where no certificate is set.",
            Unit.SECONDS,
            Line(f"min by (file) ({Metric.CERTIFICATE_EXPIRY.metric_name}{{{HOLDS}}}) - time()", "{{file}}"),
        ),
    ]


def _clients() -> list[Panel]:
    """Return connections, limits and failures."""
    return [
        number("Connections", "Client connections open now.", Unit.NUMBER, f"sum({Metric.CLIENT_CONNECTIONS.metric_name}{{{HOLDS}}})", span=8),
        number("In flight", "Requests being forwarded now.", Unit.NUMBER, f"sum({Metric.REQUESTS_IN_FLIGHT.metric_name}{{{HOLDS}}})", span=8),
        number(
            "Refused",
            "Client connections answered 503 because a worker had as many as it may, within the chosen time.",
            Unit.NUMBER,
            f"sum(increase({Metric.CLIENT_CONNECTIONS_REFUSED.metric_name}{{{HOLDS}}}[$__range])) or vector(0)",
            limits=Limits(1, 100),
            span=8,
        ),
        rows(
            "Failed exchanges",
            "The latest requests that failed: a status from 500 on, or an error on the way.",
            "SELECT started_at, toString(exchange_id) AS exchange, route, method, path, status, error, total_ns FROM exchanges "
            "WHERE match(route, '^(${route:regex})$') AND $__timeFilter(started_at) AND role = 'served' AND (status >= 500 OR error != '') ORDER BY started_at DESC LIMIT 100",
            units={"total_ns": Unit.NANOSECONDS},
            links={"exchange": "${console}/api/v1/exchanges/${__value.raw}"},
        ),
    ]
