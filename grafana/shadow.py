"""Shadows beside what is served, and how new versions do."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.panels import HOLDS, Limits, Line, Panel, Unit, board, lines, number, query_variable, rows, sql_lines
from records.comparison import COMPARED_PATTERN, PairOutcome
from records.metrics import Metric

_ARM = f'{HOLDS},route=~"$route",arm=~"$arm"'
_COMPARED = f'{Metric.SHADOW_PAIRS.metric_name}{{{_ARM},outcome=~"{COMPARED_PATTERN}"}}'
_AGREED = f'{Metric.SHADOW_PAIRS.metric_name}{{{_ARM},outcome="{PairOutcome.AGREED}"}}'
_BY = "job, route, arm"
_NAME = "{{arm}} of {{route}}"
_BUCKET = f'{Metric.HTTP_REQUEST_DURATION.metric_name}_bucket{{{HOLDS},route=~"$route"}}'
_VERSION = "job, route, model, version, arm"
_VERSION_NAME = "{{model}} {{version}} ({{arm}})"
_REPLIES = f'{Metric.MODEL_REQUESTS.metric_name}{{{HOLDS},route=~"$route"'
"""Open for more matchers."""
_VERSIONS_BUCKET = f'{Metric.MODEL_REQUEST_DURATION.metric_name}_bucket{{{HOLDS},route=~"$route"}}'


def dashboard() -> Dashboard:
    """Return it."""
    return board(
        "shadow",
        "Driftline: shadow and rollout",
        "What shadows answer beside what is served: how often they agree, how fast they are, what they were not asked; and each version's share and errors.",
        [
            query_variable("route", "Route", f"label_values({Metric.MIRROR_DUE.metric_name}, route)"),
            query_variable("arm", "Shadow", f"label_values({Metric.MIRROR_DUE.metric_name}, arm)"),
        ],
        {"Now": _now(), "Answers": _answers(), "Versions": _versions()},
    )


def _now() -> list[Panel]:
    """Return the numbers on top."""
    compared, agreed = (f"sum by ({_BY}) (increase({pairs}[$__range]))" for pairs in (_COMPARED, _AGREED))
    return [
        number(
            "Agree",
            "Share of compared replies that say the same, within the chosen time.",
            Unit.SHARE,
            f"sum({agreed}) / sum({compared})",
            limits=Limits(0.99, 0.9, falling=True),
        ),
        number("Compared", "Pairs of served and shadow replies, within the chosen time.", Unit.NUMBER, f"sum({compared})"),
        number(
            "Got their copy",
            "Share of the requests due for a shadow that it was wholly sent.",
            Unit.SHARE,
            f"sum(increase({Metric.MIRRORED.metric_name}{{{_ARM}}}[$__range])) / sum(increase({Metric.MIRROR_DUE.metric_name}{{{_ARM}}}[$__range]))",
            limits=Limits(0.99, 0.9, falling=True),
        ),
        number(
            "Left alone",
            "Workers that leave a shadow alone now because it fails.",
            Unit.NUMBER,
            f"sum({Metric.MIRROR_CIRCUITS_OPEN.metric_name}{{{_ARM}}})",
            limits=Limits(1, 2),
        ),
    ]


def _answers() -> list[Panel]:
    """Return what shadows answered beside what was served."""
    return [
        lines(
            "Agreement",
            "Share of compared replies that say the same.",
            Unit.SHARE,
            Line(
                f"sum by ({_BY}) (rate({_AGREED}[$__rate_interval])) / sum by ({_BY}) (rate({_COMPARED}[$__rate_interval]))",
                _NAME,
            ),
        ),
        lines(
            "Evidence",
            "That more answers differ than may, relative to what an alert needs: 1 is the line.",
            Unit.NUMBER,
            Line(f"max by (job, route, model, arm) ({Metric.SHADOW_EVIDENCE.metric_name}{{{_ARM}}})", "{{arm}} of {{model}}"),
        ),
        lines(
            "Pairs not compared",
            "Pairs per second that could not be compared, by why.",
            Unit.PER_SECOND,
            Line(
                f'sum by ({_BY}, outcome) (rate({Metric.SHADOW_PAIRS.metric_name}{{{_ARM},outcome!~"{COMPARED_PATTERN}"}}[$__rate_interval])) or vector(0)',
                _NAME + ": {{outcome}}",
            ),
            stack=True,
        ),
        lines(
            "Time to the whole reply",
            "99 % of the replies were whole within this time, by arm.",
            Unit.SECONDS,
            Line(f"histogram_quantile(0.99, sum by ({_BY}, le) (rate({_BUCKET}[$__rate_interval])))", _NAME),
        ),
        lines(
            "Errors",
            "Exchanges per second that did not end in an ordinary reply, by arm and kind.",
            Unit.PER_SECOND,
            Line(
                f'sum by ({_BY}, kind) (rate({Metric.EXCHANGE_ERRORS.metric_name}{{{HOLDS},route=~"$route",role="shadow"}}[$__rate_interval])) or vector(0)',
                _NAME + ": {{kind}}",
            ),
            stack=True,
        ),
        lines(
            "Not sent",
            "Requests per second that were due for a shadow and not sent, or not wholly, by reason.",
            Unit.PER_SECOND,
            Line(f"sum by ({_BY}, reason) (rate({Metric.MIRROR_SKIPPED.metric_name}{{{_ARM}}}[$__rate_interval])) or vector(0)", _NAME + ": {{reason}}"),
            stack=True,
        ),
        rows(
            "Different statuses",
            "The latest requests to which a shadow answered with another status than what was served.",
            "SELECT s.started_at AS at, toString(s.exchange_id) AS exchange, s.route AS route, p.status AS served, s.arm AS shadow, s.status AS shadow_status, s.error AS shadow_error "
            "FROM (SELECT * FROM exchanges WHERE role = 'shadow' AND match(route, '^(${route:regex})$') AND $__timeFilter(started_at)) AS s "
            "INNER JOIN (SELECT exchange_id, status FROM exchanges WHERE role = 'served' AND match(route, '^(${route:regex})$') AND $__timeFilter(started_at)) AS p USING (exchange_id) "
            "WHERE s.status != p.status ORDER BY at DESC LIMIT 100",
            links={"exchange": "${console}/api/v1/exchanges/${__value.raw}"},
        ),
    ]


def _versions() -> list[Panel]:
    """Return how each version does."""
    return [
        lines(
            "Replies by version",
            "Per second, of every arm.",
            Unit.PER_SECOND,
            Line(f"sum by ({_VERSION}) (rate({_REPLIES}}}[$__rate_interval]))", _VERSION_NAME),
            stack=True,
        ),
        lines(
            "Errors by version",
            "Share of replies with a status from 500 on, or none.",
            Unit.SHARE,
            Line(
                f'(sum by ({_VERSION}) (rate({_REPLIES},code=~"0|5.."}}[$__rate_interval])) or 0 * sum by ({_VERSION}) (rate({_REPLIES}}}[$__rate_interval]))) '
                f"/ sum by ({_VERSION}) (rate({_REPLIES}}}[$__rate_interval]))",
                _VERSION_NAME,
            ),
        ),
        lines(
            "Time to the whole reply, by version",
            "99 % of the replies were whole within this time.",
            Unit.SECONDS,
            Line(f"histogram_quantile(0.99, sum by ({_VERSION}, le) (rate({_VERSIONS_BUCKET}[$__rate_interval])))", _VERSION_NAME),
        ),
        sql_lines(
            "Right, by arm",
            "Share of labelled predictions that said the same as their label. Empty without labels.",
            Unit.SHARE,
            "SELECT $__timeInterval(started_at) AS time, concat(model, ' ', version, ' (', arm, ')') AS version_of, avg(correct) AS right FROM labelled FINAL "
            "WHERE $__timeFilter(started_at) GROUP BY time, version_of ORDER BY time",
        ),
    ]
