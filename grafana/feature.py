"""One feature: baseline against now."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.panels import Panel, Unit, board, rows, sql_lines, sql_variable

_ROWS = "model = ${feature_model:sqlstring} AND $__timeFilter(started_at)"
_TESTS = "verdicts FINAL ARRAY JOIN features AS f WHERE model = ${feature_model:sqlstring} AND f.feature = ${feature:sqlstring} AND $__timeFilter(closed_at)"


def dashboard() -> Dashboard:
    """Return it."""
    return board(
        "feature",
        "Driftline: feature",
        "One feature of one model: how its windows compare with the baseline, and what its values are now.",
        [
            sql_variable("feature_model", "Model", "SELECT DISTINCT model FROM verdicts ORDER BY model"),
            sql_variable(
                "feature",
                "Feature",
                "SELECT DISTINCT f.feature FROM verdicts ARRAY JOIN features AS f WHERE model = ${feature_model:sqlstring} ORDER BY f.feature",
            ),
        ],
        {"Against the baseline": _against_the_baseline(), "Its values": _values()},
    )


def _against_the_baseline() -> list[Panel]:
    """Return what each window's tests say."""
    return [
        sql_lines(
            "Effect",
            "How far each window is from the baseline, by test: standard deviations, distances of distributions, points of rates.",
            Unit.NUMBER,
            "SELECT closed_at AS time, test.1 AS test_name, tupleElement(test.2, 'effect') AS effect "
            f"FROM (SELECT closed_at, arrayJoin(CAST(f.tests, 'Array(Tuple(String, Tuple(statistic Float64, p_value Float64, effect Float64)))')) AS test FROM {_TESTS}) ORDER BY time",
        ),
        sql_lines(
            "p-values",
            "How rare such a window would be if nothing had changed, by test. Many small ones in a row are evidence; a small one now and then is not.",
            Unit.NUMBER,
            "SELECT closed_at AS time, test.1 AS test_name, tupleElement(test.2, 'p_value') AS p_value "
            f"FROM (SELECT closed_at, arrayJoin(CAST(f.tests, 'Array(Tuple(String, Tuple(statistic Float64, p_value Float64, effect Float64)))')) AS test FROM {_TESTS}) ORDER BY time",
        ),
        sql_lines(
            "Its part of the evidence",
            "Of the evidence that the model's data drift.",
            Unit.SHARE,
            f"SELECT closed_at AS time, f.share AS share FROM {_TESTS} ORDER BY time",
        ),
        rows(
            "In words",
            "The latest windows, baseline against now.",
            f"SELECT closed_at, rows, f.share AS share, f.effect_above_floor AS above_the_floor, f.summary AS summary FROM {_TESTS} ORDER BY closed_at DESC LIMIT 100",
            units={"share": Unit.SHARE},
            span=12,
        ),
    ]


def _values() -> list[Panel]:
    """Return what its values are."""
    return [
        sql_lines(
            "Quantiles",
            "Of the numbers, per interval; empty for a feature of text.",
            Unit.NUMBER,
            "SELECT $__timeInterval(started_at) AS time, quantile(0.05)(numbers[${feature:sqlstring}]) AS p05, quantile(0.25)(numbers[${feature:sqlstring}]) AS p25, "
            "quantile(0.5)(numbers[${feature:sqlstring}]) AS p50, quantile(0.75)(numbers[${feature:sqlstring}]) AS p75, quantile(0.95)(numbers[${feature:sqlstring}]) AS p95 "
            f"FROM features FINAL WHERE {_ROWS} AND mapContains(numbers, ${{feature:sqlstring}}) GROUP BY time ORDER BY time",
        ),
        sql_lines(
            "Most frequent values",
            "Of the texts, rows per interval; empty for a feature of numbers.",
            Unit.NUMBER,
            "SELECT $__timeInterval(started_at) AS time, texts[${feature:sqlstring}] AS value, count() AS rows FROM features FINAL "
            f"WHERE {_ROWS} AND texts[${{feature:sqlstring}}] IN (SELECT texts[${{feature:sqlstring}}] FROM features FINAL WHERE {_ROWS} AND mapContains(texts, ${{feature:sqlstring}}) "
            "GROUP BY 1 ORDER BY count() DESC LIMIT 12) AND mapContains(texts, ${feature:sqlstring}) GROUP BY time, value ORDER BY time",
            bars=True,
        ),
        sql_lines(
            "Missing",
            "Share of the model's rows without a value for this feature.",
            Unit.SHARE,
            "SELECT $__timeInterval(started_at) AS time, countIf(NOT mapContains(numbers, ${feature:sqlstring}) AND NOT mapContains(texts, ${feature:sqlstring})) / count() AS missing "
            f"FROM features FINAL WHERE {_ROWS} GROUP BY time ORDER BY time",
            span=24,
        ),
        rows(
            "Exchanges",
            "The latest rows, with the exchange that each is from.",
            "SELECT started_at, toString(exchange_id) AS exchange, row, numbers[${feature:sqlstring}] AS number, texts[${feature:sqlstring}] AS text "
            f"FROM features FINAL WHERE {_ROWS} ORDER BY started_at DESC LIMIT 100",
            links={"exchange": "${console}/api/v1/exchanges/${__value.raw}"},
        ),
    ]
