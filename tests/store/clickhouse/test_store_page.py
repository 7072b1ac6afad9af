"""The questions in docs/store.md run, and read a small part of their table by an index."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from store.clickhouse.client import EmbeddedStore
from store.clickhouse.retention import Retention

PAGE = (Path(__file__).parents[3] / "docs" / "store.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE[: PAGE.index("## Features")], re.DOTALL)
FILL = (  # three days, five models, 60,000 rows a day, so that there is something to pass over
    """
    INSERT INTO exchanges (writer, sequence, exchange_id, request_id, label_key, role, model, started_at, request_body)
    SELECT 'w1', number, toUUID('00000000-0000-0000-0000-' || leftPad(toString(number), 12, '0')), 'request-' || toString(number), 'order-' || toString(number),
        'served', ['churn', 'fraud', 'price', 'risk', 'spam'][1 + number % 5],
        toDateTime64('2026-03-01 00:00:00', 9, 'UTC') + toIntervalMillisecond(number * 1440), 'body'
    FROM numbers(180000)
    """,
    """
    INSERT INTO features (model, exchange_id, started_at, numbers)
    SELECT model, exchange_id, started_at, map('amount', toFloat32(sequence), 'age', 41) FROM exchanges
    """,
    """
    INSERT INTO verdicts (model, version, baseline_id, window_index, closed_at)
    SELECT ['churn', 'fraud', 'price', 'risk', 'spam'][1 + number % 5], '1', 'b', number, toDateTime64('2026-03-01 00:00:00', 9, 'UTC') + number
    FROM numbers(180000)
    """,
)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    store = EmbeddedStore(tmp_path_factory.mktemp("page"), Retention(records=30_000, bodies=30_000, results=30_000))
    client = store.client()
    for statement in FILL:
        client.command(statement)
    for table in ("exchanges", "features", "verdicts"):
        client.command(f"OPTIMIZE TABLE {table} FINAL")
    yield client
    client.close()
    store.close()


def indexes(plan):
    """Yield the indexes that a plan uses, in order."""
    if isinstance(plan, dict):
        yield from plan.get("Indexes", [])
        for part in plan.values():
            yield from indexes(part)
    elif isinstance(plan, list):
        for part in plan:
            yield from indexes(part)


def test_the_page_has_the_questions():
    assert len(QUERIES) == 9


@pytest.mark.parametrize("query", QUERIES)
def test_a_question_runs_and_has_an_answer(query, client):
    assert client.query(query).row_count > 0


@pytest.mark.parametrize("query", QUERIES)
def test_a_question_reads_a_small_part_of_its_table(query, client):
    plan = json.loads(client.query(f"EXPLAIN json = 1, indexes = 1 {query}").first_row[0])
    used = list(indexes(plan))
    assert used[-1]["Selected Granules"] * 3 <= used[0]["Initial Granules"], used
