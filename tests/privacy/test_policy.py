import gzip

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.redaction import Capture, Place
from config.units import Share
from privacy.policy import SUBJECTS_AT_MOST, bare
from records.exchange import Body, Exchange, Redaction, Role
from records.metrics import BodyNotKept

from .making import HASHER, body, exchange, policy

SECRET = b"s3cr3t"
JSON = body(b'{"a":"%b","b":1}' % SECRET)


bodies = st.builds(
    lambda content, content_type, length: body(content, content_type, **({} if length is None else {"inference_header_content_length": length})),
    st.binary(max_size=40) | st.text('{}[]":,a1 \n\\', max_size=40).map(str.encode),
    st.sampled_from(["", "application/json", "application/x-www-form-urlencoded"]),
    st.none() | st.sampled_from(["0", "3", "-1", "x", "999"]),
)


@given(bodies, st.sampled_from(["$.a", "$..a", "$[*]", "tensor:a", "form:a"]), st.sampled_from(["$.a", "$..a", "form:a"]))
def test_any_bytes_are_kept_changed_or_not_kept_and_nothing_raises(sent: Body, rule: str, subject: str) -> None:
    kept = policy((rule, "mask"), subject=subject).kept(exchange(sent, sent)).exchange
    for each in (kept.request, kept.response):
        assert each.redaction is not Redaction.NONE or not each.content
        assert each.size_bytes == len(sent.content)


def test_a_body_without_rules_for_it_stays_as_it_is() -> None:
    record = exchange(body(b"\xff raw", "image/png"), path="/x?token=s")
    assert policy(("?token", "drop"), ("header:x", "mask")).kept(record).exchange.request is record.request


@pytest.mark.parametrize(
    ("request_body", "reason"),
    [
        (body(JSON.content, truncated=True), BodyNotKept.TRUNCATED),
        (body(b"", truncated=True), BodyNotKept.TRUNCATED),
        (body(gzip.compress(JSON.content), encoding="gzip"), BodyNotKept.ENCODED),
        (body(JSON.content, encoding="br"), BodyNotKept.ENCODED),
        (body(JSON.content + b"}"), BodyNotKept.UNREADABLE),
        (body(b"data: " + JSON.content + b"\n\n", "text/event-stream"), BodyNotKept.UNREADABLE),
        (body(b'{"a":"s3cr3t",}', "application/x-www-form-urlencoded"), BodyNotKept.UNREADABLE),
        (body(b"--x\r\n\r\ns3cr3t\r\n--x--", "multipart/form-data; boundary=x"), BodyNotKept.UNREADABLE),
        (body(JSON.content.decode().encode("utf-16")), BodyNotKept.UNREADABLE),
        (body(JSON.content, inference_header_content_length="x"), BodyNotKept.UNREADABLE),
    ],
)
def test_what_the_rules_cannot_see_into_is_not_kept_and_the_record_says_so(request_body: Body, reason: BodyNotKept) -> None:
    for rule in ("$.a", "tensor:a", "form:a", "$..a"):
        kept = policy((rule, "drop")).kept(exchange(request_body, JSON))
        request = kept.exchange.request
        assert (request.content, request.truncated, request.redaction) == (b"", False, Redaction.NOT_KEPT)
        assert (request.size_bytes, request.content_type) == (request_body.size_bytes, request_body.content_type)
        assert kept.not_kept == [reason]
        assert kept.exchange.response.redaction is Redaction.REDACTED


def test_json_is_read_as_json_whatever_it_says_that_it_is() -> None:
    for content_type in ("", "text/plain", "application/x-www-form-urlencoded", "application/octet-stream"):
        assert policy(("$.a", "drop")).kept(exchange(body(JSON.content, content_type))).exchange.request.content == b'{"b":1}'


def test_a_form_is_changed_by_its_fields() -> None:
    form = body(b"user=ada&password=s3cr3t", "application/x-www-form-urlencoded; charset=utf-8")
    assert policy(("form:password", "mask"), ("$.a", "drop")).kept(exchange(form)).exchange.request.content == b"user=ada&password=***"


def test_header_fields_the_request_id_and_the_query_are_changed() -> None:
    record = exchange(body(b"x", "text/plain", seldon_model="s3cr3t"), path="/p?token=s3cr3t&a=1", request_id="s3cr3t")
    kept = policy(("header:Seldon-Model", "drop"), ("header:X-Request-Id", "hash"), ("?token", "drop")).kept(record).exchange
    assert (kept.request.fields, kept.request_id, kept.path) == ({}, HASHER(SECRET), "/p?a=1")
    assert policy(("header:X-Request-Id", "drop"), ("?token", "mask"), ("header:seldon-model", "mask")).kept(record).exchange.request.fields == {
        "seldon-model": "***"
    }


def test_who_asked_is_changed() -> None:
    record = exchange(client="203.0.113.7", principal="ada")
    kept = policy(("client", "hash"), ("principal", "drop"), subject="client").kept(record).exchange
    assert (kept.client, kept.principal, kept.subjects) == (HASHER(b"203.0.113.7"), "", (HASHER(b"203.0.113.7"),))
    assert policy(("client", "mask")).kept(exchange()).exchange.client == "", "there is nothing to mask"


@pytest.mark.parametrize(
    ("capture", "kept"), [(Capture.BOTH, (True, True)), (Capture.REQUEST, (True, False)), (Capture.RESPONSE, (False, True)), (Capture.HEADS, (False, False))]
)
def test_a_route_keeps_the_bodies_that_it_is_told_to(capture: Capture, kept: tuple[bool, bool]) -> None:
    record = policy(capture=capture).kept(exchange(JSON, JSON)).exchange
    assert tuple(bool(each.content) for each in (record.request, record.response)) == kept
    assert tuple(each.redaction is Redaction.NONE for each in (record.request, record.response)) == kept
    assert record.request.size_bytes == record.response.size_bytes == len(JSON.content)


def test_a_route_that_is_off_keeps_nothing() -> None:
    assert policy(capture=Capture.OFF).off


def test_a_sample_is_of_exchanges_with_their_shadows_and_carries_its_rate() -> None:
    tenth, half = policy(sample=Share(0.1)), policy(sample=Share(0.5))
    ids = [number.to_bytes(16, "big") for number in range(4_000)]
    in_tenth = {each for each in ids if tenth.samples(each)}
    assert 300 < len(in_tenth) < 500
    assert all(half.samples(each) for each in in_tenth), "a smaller sample is a part of a larger one"
    assert tenth.kept(exchange()).exchange.sampling_rate == 0.1


@pytest.mark.parametrize(
    ("subject", "record"),
    [
        ("$.customer.id", exchange(body(b'{"customer":{"id":"ada"}}'))),
        ("$.rows[*].id", exchange(body(b'{"rows":[{"id":"ada"},{"id":"ada"},{"id":null},{}]}'))),
        ("?customer", exchange(path="/p?customer=ada")),
        ("form:customer", exchange(body(b"customer=ada", "application/x-www-form-urlencoded"))),
        ("header:x-request-id", exchange(request_id="ada")),
        ("header:seldon-model", exchange(body(b"x", seldon_model="ada"))),
    ],
)
def test_a_subject_is_kept_hashed_though_its_place_is_redacted(subject: str, record: Exchange) -> None:
    kept = policy((subject, "drop"), subject=subject).kept(record).exchange
    assert kept.subjects == (HASHER(b"ada"),)
    assert b"ada" not in msgspec.msgpack.encode(kept)


def test_a_number_and_its_text_are_one_subject() -> None:
    for content in (b'{"id":7}', b'{"id":"7"}'):
        assert policy(subject="$.id").kept(exchange(body(content))).exchange.subjects == (HASHER(b"7"),)


def test_a_field_that_was_handed_over_for_its_hash_is_not_kept() -> None:
    kept = policy(subject="header:X-Customer").kept(exchange(body(b"x", x_customer="ada", seldon_model="m"))).exchange
    assert (kept.subjects, kept.request.fields) == ((HASHER(b"ada"),), {"seldon-model": "m"})


def test_a_field_that_labels_are_found_by_is_kept_though_it_is_the_subject() -> None:
    keeping = policy(subject="header:X-Customer", label_key=Place.parse("header:X-Customer"))
    assert keeping.kept(exchange(body(b"x", x_customer="ada"))).exchange.request.fields == {"x-customer": "ada"}


def test_shadows_and_exchanges_without_the_place_have_no_subject() -> None:
    assert policy(subject="$.id").kept(exchange(body(b"[1]"))).exchange.subjects == ()
    assert policy(subject="?id").kept(exchange(path="/p?id=7", role=Role.SHADOW)).exchange.subjects == ()


def test_where_nobody_can_tell_whose_data_it_is_no_body_is_kept() -> None:
    content, length = b'{"inputs":[]}raw', "13"
    for request, subject in [(body(b"raw"), "$.id"), (body(content, inference_header_content_length=length), "$.inputs[0].data")]:
        kept = policy(subject=subject).kept(exchange(request, JSON))
        assert kept.not_kept == [BodyNotKept.UNREADABLE]
        assert (kept.exchange.request.content, kept.exchange.response.content) == (b"", b"")


def test_an_exchange_about_too_many_keeps_no_body() -> None:
    many = msgspec.json.encode([{"id": number} for number in range(SUBJECTS_AT_MOST + 1)])
    kept = policy(subject="$[*].id").kept(exchange(body(many), JSON))
    assert kept.not_kept[0] is BodyNotKept.TOO_MANY_SUBJECTS
    assert (kept.exchange.request.content, kept.exchange.response.content, len(kept.exchange.subjects)) == (b"", b"", SUBJECTS_AT_MOST)


def test_a_bare_record_has_nothing_that_its_caller_wrote_but_the_path() -> None:
    record = exchange(body(SECRET, seldon_model="s3cr3t"), JSON, path="/p?x=s3cr3t", request_id="s3cr3t", client="s3cr3t", principal="s3cr3t")
    assert SECRET not in msgspec.msgpack.encode(bare(record))
