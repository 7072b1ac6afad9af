"""Language models: time to the first token, tokens, cost."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as boards
from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.panels import Panel, Unit, board, rows, sql_lines, sql_variable

_PATHS = "match(path, '/(chat/completions|completions|responses|embeddings)')"
_CALLS = f"exchanges WHERE model = ${{llm:sqlstring}} AND role = 'served' AND $__timeFilter(started_at) AND {_PATHS}"
_STREAMED = "startsWith(response_content_type, 'text/event-stream')"
# A streamed reply says its usage in its last event, if it was asked to.
_USAGE = f"if({_STREAMED}, extract(response_body, '\"usage\":(\\{{[^}}]*\\}})'), JSONExtractRaw(response_body, 'usage'))"
_TOKENS = f"SELECT started_at, JSONExtractUInt({_USAGE}, 'prompt_tokens') AS prompt, JSONExtractUInt({_USAGE}, 'completion_tokens') AS completion FROM {_CALLS}"
_COST = "(prompt * toFloat64OrZero(${prompt_price:sqlstring}) + completion * toFloat64OrZero(${completion_price:sqlstring})) / 1e6"


def dashboard() -> Dashboard:
    """Return it."""
    return board(
        "llm",
        "Driftline: language models",
        "Traffic of OpenAI-compatible services, from what is stored: time to the first token, tokens, and what they cost at the prices that you set.",
        [
            sql_variable("llm", "Model", f"SELECT DISTINCT model FROM exchanges WHERE {_PATHS} ORDER BY model"),
            boards.TextBoxVariable("prompt_price").label("$ per million prompt tokens").default_value("0"),
            boards.TextBoxVariable("completion_price").label("$ per million completion tokens").default_value("0"),
        ],
        {"Time": _time(), "Tokens": _tokens()},
    )


def _time() -> list[Panel]:
    """Return how long replies take."""
    return [
        sql_lines(
            "Time to the first token",
            "Of streamed replies: from the request's head to the first piece of the reply.",
            Unit.SECONDS,
            "SELECT $__timeInterval(started_at) AS time, quantile(0.5)(response_chunk_ns[1]) / 1e9 AS p50, quantile(0.95)(response_chunk_ns[1]) / 1e9 AS p95 "
            f"FROM {_CALLS} AND {_STREAMED} AND notEmpty(response_chunk_ns) GROUP BY time ORDER BY time",
        ),
        sql_lines(
            "Time between pieces",
            "Of streamed replies: the mean time from one piece to the next.",
            Unit.SECONDS,
            "SELECT $__timeInterval(started_at) AS time, quantile(0.5)(gap) AS p50, quantile(0.95)(gap) AS p95 FROM (SELECT started_at, "
            "(response_chunk_ns[-1] - response_chunk_ns[1]) / (length(response_chunk_ns) - 1) / 1e9 AS gap "
            f"FROM {_CALLS} AND length(response_chunk_ns) > 1) GROUP BY time ORDER BY time",
        ),
        sql_lines(
            "Time to the whole reply",
            "Streamed or not.",
            Unit.SECONDS,
            f"SELECT $__timeInterval(started_at) AS time, quantile(0.5)(total_ns) / 1e9 AS p50, quantile(0.95)(total_ns) / 1e9 AS p95 FROM {_CALLS} GROUP BY time ORDER BY time",
        ),
        sql_lines(
            "Answers",
            "Per interval, by status and error.",
            Unit.NUMBER,
            f"SELECT $__timeInterval(started_at) AS time, concat(toString(status), ' ', error) AS answer, count() AS answers FROM {_CALLS} GROUP BY time, answer ORDER BY time",
            bars=True,
        ),
    ]


def _tokens() -> list[Panel]:
    """Return tokens, and what they cost."""
    return [
        sql_lines(
            "Tokens",
            "Per interval, as replies say them in `usage`. A streamed reply says them only where the request asks with `stream_options`.",
            Unit.NUMBER,
            f"SELECT $__timeInterval(started_at) AS time, sum(prompt) AS prompt_tokens, sum(completion) AS completion_tokens FROM ({_TOKENS}) GROUP BY time ORDER BY time",
            bars=True,
        ),
        sql_lines(
            "Cost",
            "Per interval, at the prices above.",
            Unit.DOLLARS,
            f"SELECT $__timeInterval(started_at) AS time, sum({_COST}) AS cost FROM ({_TOKENS}) GROUP BY time ORDER BY time",
            bars=True,
        ),
        rows(
            "Longest answers",
            "By completion tokens, within the chosen time.",
            f"SELECT started_at, toString(exchange_id) AS exchange, JSONExtractUInt({_USAGE}, 'prompt_tokens') AS prompt, JSONExtractUInt({_USAGE}, 'completion_tokens') AS completion, total_ns, status "
            f"FROM {_CALLS} ORDER BY completion DESC LIMIT 50",
            units={"total_ns": Unit.NANOSECONDS},
            links={"exchange": "${console}/api/v1/exchanges/${__value.raw}"},
        ),
    ]
