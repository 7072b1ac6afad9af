"""CloudEvents in their three modes."""

import json
from base64 import b64encode
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.cloudevents import CloudEvent, NotAnEventError, read_events
from records.ports import UnreadableEventsError

STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}
BATCH = {"content-type": "application/cloudevents-batch+json"}
EVENT = {"specversion": "1.0", "id": "e-1", "type": "t", "source": "/s", "data": {"x": [1, 2]}}


def read(document, fields=STRUCTURED):
    return list(read_events(document if isinstance(document, bytes) else json.dumps(document).encode(), fields))


def test_in_binary_mode_attributes_are_header_fields():
    fields = {"ce-id": "e-1", "ce-type": "t", "ce-source": "/a%20b", "content-type": "text/csv", "host": "h"}
    assert read(b"1,2", fields) == [CloudEvent({"id": "e-1", "type": "t", "source": "/a b"}, b"1,2", "text/csv")]


def test_in_structured_mode_data_is_json_text_or_base64():
    attributes = {name: value for name, value in EVENT.items() if name != "data"}
    assert read(EVENT) == [CloudEvent(attributes, b'{"x":[1,2]}', "")]
    encoded = {**attributes, "datacontenttype": "text/csv"}
    assert read({**encoded, "data_base64": b64encode(b"\xff\x00").decode()}) == [CloudEvent(encoded, b"\xff\x00", "text/csv")]
    assert read({**encoded, "data": "1,2"}) == [CloudEvent(encoded, b"1,2", "text/csv")]
    assert read({**attributes, "data": "1,2"}) == [CloudEvent(attributes, b'"1,2"', "")]


def test_in_a_batch_each_event_stands_by_itself():
    first, wrong, last = read([EVENT, 7, {**EVENT, "id": "e-2"}], BATCH)
    assert (first.attributes["id"], last.attributes["id"]) == ("e-1", "e-2")
    assert isinstance(wrong, NotAnEventError)


def test_data_that_is_not_base64_is_one_bad_event():
    (wrong,) = read({**EVENT, "data_base64": "***"})
    assert "Base64" in str(wrong)


@pytest.mark.parametrize(
    ("content", "fields", "expected"),
    [(b"{", STRUCTURED, "JSON"), (b"{}", BATCH, "list"), (b"{}", {"content-type": "application/json"}, "Ce-Id"), (b"", {}, "Ce-Id")],
)
def test_what_holds_no_event_is_told_what_was_expected(content, fields, expected):
    with pytest.raises(UnreadableEventsError, match=expected):
        read(content, fields)


@settings(deadline=None)
@given(st.binary(max_size=100) | st.recursive(st.none() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c), max_leaves=5))
def test_no_body_does_more_than_be_refused(document):
    for fields in (STRUCTURED, BATCH):
        with suppress(UnreadableEventsError):
            assert all(isinstance(event, CloudEvent | NotAnEventError) for event in read(document, fields))
