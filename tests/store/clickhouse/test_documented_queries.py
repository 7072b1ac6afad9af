"""The queries in docs/sql.md may be asked and run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from store.clickhouse.client import EmbeddedStore
from store.clickhouse.readonly import LIMITS, ReadOnlyQueries
from store.clickhouse.schema import TABLES

PAGE = (Path(__file__).parents[3] / "docs" / "sql.md").read_text(encoding="utf-8")
QUERIES = [*re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL), *re.findall(r'\$ driftline sql "(.*?)"', PAGE)]


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    store = EmbeddedStore(tmp_path_factory.mktemp("documented"))
    yield ReadOnlyQueries(store)
    store.close()


def test_the_page_has_queries():
    assert len(QUERIES) >= 6


@pytest.mark.parametrize("query", QUERIES)
def test_a_documented_query_runs(query, ask):
    ask(query, "JSONEachRow")


def test_every_table_is_documented():
    assert [table for table in sorted(TABLES - {"schema_version"}) if f"| `{table}` |" not in PAGE] == []


def test_the_limits_are_those_that_the_page_states():
    assert "30 s, 2 GiB of memory and a million rows" in PAGE
    assert (LIMITS["max_execution_time"], LIMITS["max_memory_usage"], LIMITS["max_result_rows"]) == (30, 2 * 1024**3, 1_000_000)
