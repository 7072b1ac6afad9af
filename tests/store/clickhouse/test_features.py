from __future__ import annotations

import uuid

import numpy as np
import pytest

from store.clickhouse.features import FeatureRows
from store.clickhouse.results import ResultWriter
from tests.store.clickhouse.parts import STARTED_AT_NS

IDS = [uuid.UUID(int=number) for number in (1, 1, 2)]


def make_rows(model="fraud", **columns):
    times_ns = np.array([STARTED_AT_NS, STARTED_AT_NS, STARTED_AT_NS + 1])
    return FeatureRows(
        model, ["1", "1", "2"], [exchange_id.bytes for exchange_id in IDS], [0, 1, 0], times_ns, {name: np.array(column) for name, column in columns.items()}
    )


@pytest.fixture
def write(store):
    return ResultWriter(store).write_features


def test_rows_are_stored_with_their_numbers_and_texts_by_name(write, client):
    write([make_rows(amount=[1.5, np.nan, -np.inf], count=[1.0, 2.0, 1e300], country=np.array(["de", None, "wörld"], dtype=object))])
    rows = client.query(
        "SELECT version, exchange_id, row, toUnixTimestamp64Nano(started_at), numbers, texts FROM features ORDER BY exchange_id, row"
    ).result_rows
    assert [row[:4] for row in rows] == [("1", IDS[0], 0, STARTED_AT_NS), ("1", IDS[1], 1, STARTED_AT_NS), ("2", IDS[2], 0, STARTED_AT_NS + 1)]
    assert [row[5] for row in rows] == [{"country": "de"}, {}, {"country": "wörld"}]
    assert rows[0][4] == {"amount": 1.5, "count": 1.0}
    assert np.isnan(rows[1][4]["amount"])
    assert rows[2][4] == {"amount": -np.inf, "count": np.inf}


def test_values_of_two_types_are_stored_each_as_what_it_is(write, client):
    write([make_rows(age=np.array([41.0, "n/a", None], dtype=object))])
    rows = client.query("SELECT numbers, texts FROM features ORDER BY exchange_id, row").result_rows
    assert [texts for _, texts in rows] == [{}, {"age": "n/a"}, {}]
    assert rows[0][0] == {"age": 41.0}
    assert all(np.isnan(numbers["age"]) for numbers, _ in rows[1:])


def test_models_with_other_columns_are_stored_together(write, client):
    write([make_rows("one", a=[1.0, 2.0, 3.0]), make_rows("two", b=np.array(["x", "y", None], dtype=object)), make_rows("three")])
    assert client.query("SELECT model, numbers, texts FROM features WHERE row = 1 ORDER BY model").result_rows == [
        ("one", {"a": 2.0}, {}),
        ("three", {}, {}),
        ("two", {}, {"b": "y"}),
    ]
    assert client.command("SELECT count() FROM features") == 9


def test_text_that_is_no_unicode_is_stored_as_far_as_it_is(write, client):
    write([make_rows(**{"half \ud800": np.array(["a\udfffb", None, "ö"], dtype=object)})])
    assert [texts for (texts,) in client.query("SELECT texts FROM features ORDER BY exchange_id, row").result_rows] == [{"half ?": "a?b"}, {}, {"half ?": "ö"}]


def test_the_same_rows_written_twice_are_the_same_rows(write, client):
    for _ in range(2):
        write([make_rows(a=[1.0, 2.0, 3.0])])
    assert client.command("SELECT count() FROM features FINAL") == 3


def test_nothing_is_no_insert(write, tmp_path):
    write([])
    assert not (tmp_path / "data" / "store").exists()
