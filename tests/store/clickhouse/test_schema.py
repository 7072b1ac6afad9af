from __future__ import annotations

import pytest

GRANULES, NAMES = 10, 1_000


@pytest.mark.parametrize(("column", "index"), [("request_id", "request_ids"), ("label_key", "label_keys")])
def test_a_thousand_names_of_one_hour_do_not_make_the_store_look_through_all_the_others(column, index, client):
    client.command(
        f"INSERT INTO exchanges (writer, sequence, exchange_id, model, {column}, started_at)"
        f" SELECT 'w', number, generateUUIDv4(), 'm', hex(sipHash128(number)), toDateTime64('2026-01-01 00:00:00', 9) + number FROM numbers({GRANULES * 8_192})"
    )
    names = f"SELECT hex(sipHash128(number)) FROM numbers({NAMES})"
    found = client.query(f"SELECT groupArray(n) FROM ({names.replace('number))', 'number)) AS n')})").first_row[0]
    plan = client.query(f"EXPLAIN indexes = 1 SELECT exchange_id FROM exchanges WHERE {column} IN ({', '.join(map(repr, found))})").result_rows
    lines = [line.strip() for (line,) in plan]
    granules = next(line for line in lines[lines.index(f"Name: {index}") :] if line.startswith("Granules:"))
    looked_into, of_all = map(int, granules.removeprefix("Granules:").split("/"))
    assert (looked_into <= 3, of_all) == (True, GRANULES)  # with one false positive in a hundred it was all of them
