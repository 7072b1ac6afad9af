from __future__ import annotations

import pytest

from records.exchange import Body, ErrorKind
from store.clickhouse import columns
from store.clickhouse.columns import StoredExchange, exchange_columns, insert_columns
from tests.store.clickhouse.parts import make_exchange


def make_row(number, **changes):
    return StoredExchange("w1", number, make_exchange(number, **changes), "m", "")


def test_a_batch_is_stored_as_one_part_with_every_value_in_its_place_however_it_is_cut(client, monkeypatch):
    monkeypatch.setattr(columns, "_AT_ONCE", 3)
    arms = [f"arm {number // 4}" for number in range(20)]
    fields = [{"seldon-model": f"m{number}"} if number % 5 == 4 else {} for number in range(20)]
    subjects = [(f"key:{number}",) if number > 12 else () for number in range(20)]
    rows = [make_row(number, arm=arms[number], request=Body(content=b"%d" % number, fields=fields[number]), subjects=subjects[number]) for number in range(20)]
    insert_columns(client, "exchanges", exchange_columns(rows))
    stored = client.query("SELECT sequence, arm, request_body, request_fields, subjects FROM exchanges ORDER BY sequence").result_rows
    assert [tuple(row) for row in stored] == [(number, arms[number], str(number), fields[number], list(subjects[number])) for number in range(20)]
    assert client.command("SELECT count(DISTINCT _part) FROM exchanges") == 1


@pytest.mark.parametrize("alike", [True, False])
def test_a_level_that_is_no_unicode_fits_no_column_whether_its_neighbours_are_like_it_or_not(alike):
    rows = [make_row(number, arm="half \ud800" if alike or not number else "a") for number in range(3)]
    with pytest.raises(columns.UNFIT):
        exchange_columns(rows)


def test_columns_of_one_value_and_of_several_have_the_same_types():
    alike, different = (exchange_columns([make_row(number, error=error) for number, error in enumerate(errors)]) for errors in (
        (ErrorKind.NONE, ErrorKind.NONE), (ErrorKind.NONE, ErrorKind.SHUTDOWN)))  # fmt: skip
    assert alike.schema == different.schema
