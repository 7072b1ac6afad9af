"""Labels as callers write them."""

import csv
import io
import json
from contextlib import suppress
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labels.reading import json_lines, read_labels, records_of
from records.label import MAX_TEXT_CHARACTERS, NO_EXCHANGE, Label, Subject
from records.ports import UnreadableLabelsError
from records.receipt import Refusal

NOW_NS = 1_763_640_000_000_000_000
ID = "0190a1b2-0000-7000-8000-000000000001"


def read(content, content_type="application/json"):
    content = content if isinstance(content, bytes) else json.dumps(content).encode()
    return list(read_labels(records_of(content, content_type), received_at_ns=NOW_NS, source="api"))


def refusal(record):
    (refused,) = read(record)
    assert isinstance(refused, Refusal), refused
    return refused.error


def label(text, *, nth=0, labelled_at_ns=None, row=0, exchange_id=NO_EXCHANGE, request_id="", key=""):
    return Label(Subject(exchange_id, request_id, key, row), text, labelled_at_ns or NOW_NS + nth, NOW_NS + nth, "api")


def test_a_label_names_its_exchange_by_any_of_three_ids():
    assert read({"request_id": "r-1", "label": "cat"}) == [label("cat", request_id="r-1")]
    assert read({"key": "order-7", "label": "cat"}) == [label("cat", key="order-7")]
    assert read({"exchange_id": ID, "label": "cat"}) == [label("cat", exchange_id=UUID(ID).bytes)]


@pytest.mark.parametrize(("value", "text"), [(1, "1"), (1.0, "1"), (0.5, "0.5"), (True, "true"), ("1.0", "1.0"), (-3, "-3")])
def test_numbers_and_booleans_are_kept_as_text(value, text):
    assert read({"key": "k", "label": value}) == [label(text, key="k")]


def test_a_list_labels_the_rows_of_a_request_in_order():
    assert read({"key": "k", "label": [1, 0]}) == [label("1", key="k"), label("0", key="k", row=1, nth=1)]
    assert read({"key": "k", "label": 0, "row": 1}) == [label("0", key="k", row=1)]


def test_a_list_of_which_one_value_is_bad_is_refused_as_a_whole():
    assert "null" in refusal({"key": "k", "label": [1, None]}) or "None" in refusal({"key": "k", "label": [1, None]})


@pytest.mark.parametrize("written", ["2025-11-20T12:00:00Z", "2025-11-20T13:00:00+01:00", "2025-11-20T12:00:00", 1_763_640_000, 1_763_640_000.0, "1763640000"])
def test_times_are_rfc_3339_or_unix_seconds(written):
    assert read({"key": "k", "label": 1, "labelled_at": written}) == [label("1", key="k", labelled_at_ns=1_763_640_000_000_000_000)]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"label": 1}, "exactly one of exchange_id, request_id, key, found none"),
        ({"label": 1, "key": "k", "request_id": "r"}, "found request_id and key"),
        ({"key": "k"}, "expected a label"),
        ({"key": "k", "label": {}}, "finite number"),
        ({"key": "k", "label": ""}, "1 to 200 characters"),
        ({"key": "k", "label": "x" * (MAX_TEXT_CHARACTERS + 1)}, "1 to 200 characters"),
        ({"key": "", "label": 1}, "1 to 200 characters"),
        ({"key": 7, "label": 1}, "a text of"),
        ({"exchange_id": "r-1", "label": 1}, "a UUID"),
        ({"key": "k", "label": 1, "row": -1}, "whole number from 0"),
        ({"key": "k", "label": 1, "row": True}, "whole number from 0"),
        ({"key": "k", "label": [1], "row": 0}, "either a row or a list"),
        ({"key": "k", "label": []}, "found 0"),
        ({"key": "k", "label": 1, "labelled_at": "yesterday"}, "2026-01-31T12:00:00Z"),
        ({"key": "k", "label": 1, "labelled_at": 1e300}, "Unix seconds"),
        ({"key": "k", "label": 1, "lable": 1}, "no other fields"),
        (["k", 1], "an object"),
        (7, "an object"),
    ],
)
def test_what_is_no_label_is_told_what_was_expected(record, expected):
    assert expected in refusal([record])


def test_the_other_lines_of_a_body_count():
    content = b'{"key": "a", "label": 1}\n\nnonsense\n{"key": "b"}\n{"key": "c", "label": 3}\n'
    first, unread, none, last = read(content, "application/x-ndjson; charset=utf-8")
    assert (first, last) == (label("1", key="a"), label("3", key="c", nth=1))
    assert (unread.line, none.line) == (3, 4)


def test_csv_has_a_header_and_empty_cells_are_absent():
    content = b"request_id,key,label,row\nr-1,,cat,\n,k,1,2\n,,1,\nr-2,dog\n"
    first, second, nobody, short = read(content, "text/csv")
    assert (first, second) == (label("cat", request_id="r-1"), label("1", key="k", row=2, nth=1))
    assert (nobody.line, short.line) == (4, 5)
    assert "found none" in nobody.error
    assert "found 2" in short.error


@pytest.mark.parametrize(
    ("content", "content_type", "expected"),
    [
        (b"{", "application/json", "expected JSON"),
        (b"name,label\n", "text/csv", "expected a CSV header"),
        (b"", "text/csv", "expected a CSV header"),
        (b"key,label\n\xff,1\n", "text/csv", "UTF-8"),
        (b"x", "text/plain", "expected the content type"),
    ],
)
def test_a_body_without_lines_is_told_what_was_expected(content, content_type, expected):
    with pytest.raises(UnreadableLabelsError, match=expected):
        read(content, content_type)


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["application/json", "application/x-ndjson", "text/csv"]))
def test_no_body_does_more_than_be_refused(content, content_type):
    with suppress(UnreadableLabelsError):
        read(content, content_type)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["exchange_id", "request_id", "key", "row", "label", "labelled_at", "x"]), JSON, max_size=4))
def test_every_record_gives_labels_or_one_refusal(record):
    given_labels = list(read_labels([(1, record)], received_at_ns=NOW_NS, source="api"))
    assert given_labels
    assert len(given_labels) == sum(isinstance(each, Label) for each in given_labels) or isinstance(given_labels[0], Refusal)
    for each in given_labels:
        if isinstance(each, Label):
            assert 0 < len(each.label) <= MAX_TEXT_CHARACTERS
            assert 0 <= each.labelled_at_ns < 2**63


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=20)


@settings(deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5))
def test_the_three_forms_say_the_same(pairs):
    records = [{"key": key, "label": value} for key, value in pairs]
    table = io.StringIO()
    csv.writer(table).writerows([("key", "label"), *pairs])
    lines = "\n".join(json.dumps(record) for record in records).encode()
    assert read(records) == read(lines, "application/x-ndjson") == read(table.getvalue().encode(), "text/csv")


def test_lines_are_counted_from_1():
    assert [number for number, _ in json_lines([b"1", b"", b"2"])] == [1, 3]
