"""One model: its service, its drift, how often it is right."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.panels import HOLDS, Limits, Line, Panel, Unit, board, heat, lines, number, query_variable, rows, sql_lines
from records.metrics import Metric

_MODEL = f'{HOLDS},model=~"$model"'
_OF_MODEL = "match(model, '^(${model:regex})$')"
_SERVED = f'{_MODEL},role="served"'
_BUCKET = f"{Metric.MODEL_REQUEST_DURATION.metric_name}_bucket{{{_SERVED}}}"
_WINDOWS = f"{_OF_MODEL} AND $__timeFilter(closed_at)"


def dashboard() -> Dashboard:
    """Return it."""
    return board(
        "model",
        "Driftline: model",
        "One model: how it is served, whether its data drift and which features carry the evidence, and how often it turned out to be right.",
        [query_variable("model", "Model", f"label_values({Metric.DRIFT_EVIDENCE.metric_name}, model)")],
        {"Now": _now(), "Drift": _drift(), "Service": _service(), "Runtime": _runtime(), "How often it is right": _right()},
    )


def _now() -> list[Panel]:
    """Return the numbers on top."""
    return [
        number(
            "Evidence of drift",
            "Relative to what the budget of false alerts asks for: 1 is the line.",
            Unit.NUMBER,
            f"max({Metric.DRIFT_EVIDENCE.metric_name}{{{_MODEL}}})",
            limits=Limits(0.5, 1),
        ),
        number(
            "Alert fires",
            "1 while the model's drift alert fires.",
            Unit.NUMBER,
            f"max({Metric.DRIFT_FIRING.metric_name}{{{_MODEL}}})",
            limits=Limits(0.5, 1),
        ),
        number("Windows tested", "Within the chosen time.", Unit.NUMBER, f"sum(increase({Metric.DRIFT_WINDOWS.metric_name}{{{_MODEL}}}[$__range]))"),
        number(
            "Rows watched",
            "Rows of features that entered a window, per second.",
            Unit.NUMBER,
            f"sum(rate({Metric.ROWS_WATCHED.metric_name}{{{_MODEL}}}[$__rate_interval]))",
        ),
        number("Baseline", "Rows in the baseline; while one is learned, rows so far.", Unit.NUMBER, f"max({Metric.BASELINE_ROWS.metric_name}{{{_MODEL}}})"),
        number(
            "Right",
            "Share of labelled predictions that said the same as their label, within the chosen time. Empty without labels.",
            Unit.SHARE,
            f'sum(increase({Metric.LABELLED_CORRECT.metric_name}{{{_MODEL},arm="upstream"}}[$__range])) / sum(increase({Metric.LABELLED_ROWS.metric_name}{{{_MODEL},arm="upstream"}}[$__range]))',
        ),
    ]


def _drift() -> list[Panel]:
    """Return the evidence, and the features and windows that it is from."""
    return [
        lines(
            "Evidence against the budget",
            "Relative to what the budget asks for; 1 is the line. Gathered over windows, so that a small change that stays is found later, and a large one at once.",
            Unit.NUMBER,
            Line(f"max by (model) ({Metric.DRIFT_EVIDENCE.metric_name}{{{_MODEL}}})", "{{model}}"),
            limits=Limits(0.5, 1),
        ),
        lines(
            "Who carries it",
            "The features with the largest part of the evidence. Click on a feature below for its distribution.",
            Unit.SHARE,
            Line(f"topk(8, max by (model, feature) ({Metric.FEATURE_SHARE.metric_name}{{{_MODEL}}}))", "{{feature}}"),
            stack=True,
        ),
        lines(
            "Data quality",
            "Features with which something is wrong in the latest window, by what it is: missing, of another type, out of range.",
            Unit.NUMBER,
            Line(f"max by (job, model, problem) ({Metric.QUALITY.metric_name}{{{_MODEL}}})", "{{model}}: {{problem}}"),
            stack=True,
            span=24,
        ),
        heat(
            "Features over time",
            "Each feature's largest effect in each window: standard deviations for means, distances of distributions, points of rates. Red is above what practice would mind.",
            Unit.NUMBER,
            "SELECT closed_at AS time, f.feature AS feature, arrayMax(mapValues(mapApply((k, v) -> (k, tupleElement(v, 'effect')), f.tests))) AS effect "
            f"FROM verdicts FINAL ARRAY JOIN features AS f WHERE {_WINDOWS} ORDER BY time, feature LIMIT 20000",
            Limits(0.05, 0.1),
        ),
        rows(
            "Windows",
            "The latest windows with the features that carried most of the evidence, baseline against now.",
            "SELECT closed_at, model, state, rows, evidence / nullIf(threshold, 0) AS evidence_ratio, f.feature AS feature, f.share AS share, f.summary AS summary "
            f"FROM verdicts FINAL ARRAY JOIN features AS f WHERE {_WINDOWS} AND f.share > 0.05 ORDER BY closed_at DESC, share DESC LIMIT 200",
            units={"share": Unit.SHARE},
            links={"feature": "/d/driftline-feature?var-feature_model=${__data.fields.model}&var-feature=${__value.raw}&${__url_time_range}"},
        ),
    ]


def _service() -> list[Panel]:
    """Return requests, errors and durations, by version."""
    return [
        lines(
            "Answers",
            "Replies per second, by status.",
            Unit.PER_SECOND,
            Line(f"sum by (code) (rate({Metric.MODEL_REQUESTS.metric_name}{{{_SERVED}}}[$__rate_interval]))", "{{code}}"),
            stack=True,
        ),
        lines(
            "Time to the whole reply",
            "Half, 95 % and 99 % of the replies were whole within this time.",
            Unit.SECONDS,
            *(Line(f"histogram_quantile({share}, sum by (le) (rate({_BUCKET}[$__rate_interval])))", f"p{100 * share:g}") for share in (0.5, 0.95, 0.99)),
        ),
        lines(
            "Versions",
            "Replies per second, by the version that gave them.",
            Unit.PER_SECOND,
            Line(f"sum by (job, model, version) (rate({Metric.MODEL_REQUESTS.metric_name}{{{_SERVED}}}[$__rate_interval]))", "{{model}} {{version}}"),
            stack=True,
        ),
        lines(
            "Errors",
            "Exchanges per second that did not end in an ordinary reply, by version and kind.",
            Unit.PER_SECOND,
            Line(
                f"sum by (job, model, version, kind) (rate({Metric.MODEL_REQUEST_ERRORS.metric_name}{{{_SERVED}}}[$__rate_interval])) or vector(0)",
                "{{model}} {{version}}: {{kind}}",
            ),
            stack=True,
        ),
    ]


def _runtime() -> list[Panel]:
    """Return how Driftline's own runtime computes it."""
    return [
        lines(
            "Computed",
            "Requests per second that the runtime took, and those that it did not answer with outputs, by reason. Zero where something else serves the model.",
            Unit.PER_SECOND,
            Line(f"{_computed(Metric.RUNTIME_REQUESTS, 'version')} or vector(0)", "taken: {{version}}"),
            Line(f"{_computed(Metric.RUNTIME_ERRORS, 'version, reason')} or vector(0)", "{{reason}}: {{version}}"),
        ),
        lines(
            "Batches",
            "Mean rows of a batch, and requests that wait for one.",
            Unit.NUMBER,
            Line(f"{_computed(Metric.RUNTIME_ROWS, 'version')} / {_computed(Metric.RUNTIME_BATCHES, 'version')} or vector(0)", "rows: {{version}}"),
            Line(f"sum by (version) ({Metric.RUNTIME_WAITING.metric_name}{{{_MODEL}}}) or vector(0)", "waiting: {{version}}"),
        ),
        lines(
            "Time in the runtime",
            "99 % of the requests waited, and of the batches were computed, within this time.",
            Unit.SECONDS,
            *(
                Line(f"histogram_quantile(0.99, {_computed(metric, 'version, le', '_bucket')}) or vector(0)", f"{what}: {{{{version}}}}")
                for what, metric in (("waited", Metric.RUNTIME_QUEUE_DURATION), ("computed", Metric.RUNTIME_COMPUTE_DURATION))
            ),
        ),
        lines(
            "Instances",
            "How many batches of a version may be computed at a time, and how long requests wait relative to `instances.queue_delay`: above 1 it wants more.",
            Unit.NUMBER,
            Line(f"sum by (version) ({Metric.RUNTIME_INSTANCES.metric_name}{{{_MODEL}}}) or vector(0)", "instances: {{version}}"),
            Line(f"max by (version) ({Metric.RUNTIME_QUEUE_DELAY.metric_name}{{{_MODEL}}}) or vector(0)", "delay: {{version}}"),
        ),
    ]


def _computed(metric: Metric, by: str, suffix: str = "") -> str:
    return f"sum by ({by}) (rate({metric.metric_name}{suffix}{{{_MODEL}}}[$__rate_interval]))"


def _right() -> list[Panel]:
    """Return what labels said."""
    return [
        lines(
            "Loss",
            "Mean loss of the latest window of labelled rows (of classes, the error rate), and that of the baseline it is compared with.",
            Unit.SHARE,
            Line(f"max by (job, model) ({Metric.RISK.metric_name}{{{_MODEL}}})", "{{model}}"),
            Line(f"max by (job, model) ({Metric.RISK_BASELINE.metric_name}{{{_MODEL}}})", "{{model}}, usually"),
        ),
        lines(
            "Evidence of a risen loss",
            "Relative to what the budget of false alerts asks for: 1 is the line.",
            Unit.NUMBER,
            Line(f"max by (job, model) ({Metric.RISK_EVIDENCE.metric_name}{{{_MODEL}}})", "{{model}}"),
            limits=Limits(0.5, 1),
        ),
        sql_lines(
            "Right, by when it was asked",
            "Share of predictions that said the same as their label. Labels come late: the last hours are few, and may change.",
            Unit.SHARE,
            "SELECT $__timeInterval(started_at) AS time, concat(model, ' ', arm) AS arm_of, avg(correct) AS right FROM labelled FINAL "
            f"WHERE {_OF_MODEL} AND $__timeFilter(started_at) GROUP BY time, arm_of ORDER BY time",
        ),
        sql_lines(
            "Labelled predictions",
            "How many there are per interval: shares of few say little.",
            Unit.NUMBER,
            "SELECT $__timeInterval(started_at) AS time, concat(model, ' ', arm) AS arm_of, count() AS labelled FROM labelled FINAL "
            f"WHERE {_OF_MODEL} AND $__timeFilter(started_at) GROUP BY time, arm_of ORDER BY time",
            bars=True,
        ),
    ]
