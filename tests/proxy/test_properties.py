"""Arbitrary messages through a worker between strict readers: valid ones arrive equal, broken ones never as something else."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from . import messages
from .between import Between, cut
from .strict import IncompleteError, MalformedError, Reply, Request, end_to_end, passed_trailers, read_answer, read_requests

SOME = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
MANY = settings(SOME, max_examples=800)
AFTER = b"GET /after HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def between():
    worker = Between()
    yield worker
    worker.close()


def assert_equal_request(arrived: Request, sent: Request) -> None:
    """Equal up to the fields that end at a hop, those that the proxy adds, and the form of the target."""
    authority, path = absolute(sent.target)
    assert (arrived.method, arrived.target) == (sent.method, path or sent.target)
    assert (arrived.minor, arrived.named("host")) == (1, [authority or "".join(sent.named("host"))])
    assert end_to_end(arrived.fields) == end_to_end(sent.fields)
    assert arrived.body == sent.body
    assert arrived.trailers == passed_trailers(sent.trailers)
    assert arrived.named("via")[-1].endswith("driftline")
    assert arrived.named("x-forwarded-for")[-1].endswith("127.0.0.1")
    assert len(arrived.named("x-request-id")) == 1


def absolute(target: str) -> tuple[str, str]:
    """Return authority and path of a target in absolute form (RFC 9112 §3.2.2)."""
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() not in {"http", "https"}:
        return "", ""
    end = min((rest.index(mark) for mark in "/?" if mark in rest), default=len(rest))
    path = rest[end:]
    return rest[:end], path if path.startswith("/") else "/" + path


def assert_equal_reply(arrived: Reply, sent: Reply, *, chunked: bool = True) -> None:
    assert (arrived.status, arrived.reason) == (sent.status, sent.reason)
    passed = [field for field in end_to_end(sent.fields) if not (field[0] == "content-length" and never_has_content(sent.status))]
    added = {"x-request-id", "via"}
    assert [field for field in end_to_end(arrived.fields) if field[0] not in added] == [field for field in passed if field[0] not in added]
    assert arrived.body == sent.body
    assert arrived.trailers == (passed_trailers(sent.trailers) if chunked else ())


def never_has_content(status: int) -> bool:
    """Whether Content-Length must not be sent with it (RFC 9110 §8.6)."""
    return status < 200 or status == 204


def answers(received: bytes, methods: list[str]) -> list[list[Reply]]:
    """Read the replies to these requests; what was received must be these and nothing else."""
    found, at = [], 0
    for method in methods:
        replies, at = read_answer(received, at, method, ended=True)
        found.append(replies)
    assert received[at:] == b""
    return found


@SOME
@given(sent=st.lists(messages.requests(), min_size=1, max_size=3), cuts=messages.cuts)
def test_pipelined_requests_arrive_equal_and_in_order_wherever_they_are_cut(between, sent, cuts):
    between.recorder.begin()
    data = b"".join(sent)
    client = between.send(cut(data, cuts))
    expected = read_requests(data)
    assert len(expected) == len(sent)
    assert not between.recorder.faults
    assert len(between.recorder.requests) == len(expected)
    for arrived, request in zip(between.recorder.requests, expected, strict=True):
        assert_equal_request(arrived, request)
    replied = answers(client.received, [request.method for request in expected])
    assert [reply.body for (reply,) in replied] == [b"%d" % number for number in range(len(sent))]


@SOME
@given(sent=messages.requests(minor=0), cuts=messages.cuts)
def test_a_request_of_http_1_0_arrives_equal_and_ends_its_connection_unless_it_says_otherwise(between, sent, cuts):
    between.recorder.begin()
    client = between.send(cut(sent, cuts))
    (expected,), (arrived,) = read_requests(sent), between.recorder.requests
    assert_equal_request(arrived, expected)
    ((reply,),) = answers(client.received, [expected.method])
    assert reply.body == b"0"
    options = {option.strip().lower() for value in expected.named("connection") for option in value.split(",")}
    assert client.ended_by_proxy == ("keep-alive" not in options)


@MANY
@given(sent=st.lists(messages.requests(), min_size=1, max_size=2), changes=messages.mutations, cuts=messages.cuts, after=st.booleans())
def test_a_mutated_request_is_refused_or_arrives_as_exactly_what_it_says(between, sent, changes, cuts, after):
    between.recorder.begin()
    data = messages.mutated(b"".join(sent), changes) + after * AFTER
    client = between.send(cut(data, cuts))
    said = read_requests(data)
    arrived = between.recorder.requests
    assert not between.recorder.faults
    assert len(arrived) <= len(said)
    for request, meant in zip(arrived, said, strict=False):
        assert_equal_request(request, meant)
    assert not between.recorder.unread()
    assert_answered(client.received, [request.method for request in arrived])
    if len(arrived) < len(said):
        assert client.ended_by_proxy


def assert_answered(received: bytes, methods: list[str]) -> None:
    """Each request that arrived has its own reply, in order; behind them there is at most one refusal."""
    at = 0
    for number, method in enumerate(methods):
        (reply,), at = read_answer(received, at, method, ended=True)
        assert (reply.status, reply.body) == (200, b"" if method == "HEAD" else b"%d" % number)
    if received[at:]:
        for method in ("GET", "HEAD"):  # the refusal of a HEAD request has no body
            with suppress(MalformedError, IncompleteError):
                (reply,), end = read_answer(received, at, method, ended=False)
                if end == len(received):
                    break
        assert end == len(received)
        assert 400 <= reply.status < 600
        assert reply.named("server") == ["driftline"]


@SOME
@given(reply=messages.replies(), cuts=messages.cuts)
def test_replies_reach_the_client_equal_wherever_they_are_cut(between, reply, cuts):
    data, closes = reply
    between.recorder.begin(cut(data, cuts), closes=closes)
    client = between.send_in_turn([b"GET /scripted HTTP/1.1\r\nHost: a\r\n\r\n"], [AFTER])
    arrived, after = answers(client.received, ["GET", "GET"])
    expected, _ = read_answer(data, 0, "GET", ended=True)
    assert [one.status for one in arrived] == [one.status for one in expected]
    for one, sent in zip(arrived, expected, strict=True):
        assert_equal_reply(one, sent)
    assert [one.body for one in after] == [b"1"]


@SOME
@given(reply=messages.replies(bodiless=True), cuts=messages.cuts)
def test_replies_to_head_reach_the_client_equal_and_without_a_body(between, reply, cuts):
    data, closes = reply
    between.recorder.begin(cut(data, cuts), closes=closes)
    client = between.send_in_turn([b"HEAD /scripted HTTP/1.1\r\nHost: a\r\n\r\n"], [AFTER])
    arrived, after = answers(client.received, ["HEAD", "GET"])
    expected, _ = read_answer(data, 0, "HEAD", ended=True)
    for one, sent in zip(arrived, expected, strict=True):
        assert_equal_reply(one, sent)
    assert [one.body for one in after] == [b"1"]


@SOME
@given(reply=messages.replies(), cuts=messages.cuts)
def test_a_client_of_http_1_0_gets_replies_equal_and_never_chunked(between, reply, cuts):
    data, closes = reply
    between.recorder.begin(cut(data, cuts), closes=closes)
    client = between.send([b"GET /scripted HTTP/1.0\r\n\r\n"])
    ((arrived,),) = answers(client.received, ["GET"])
    *_, expected = read_answer(data, 0, "GET", ended=True)[0]
    assert not arrived.named("transfer-encoding")
    assert_equal_reply(arrived, expected, chunked=False)
    assert client.ended_by_proxy


@MANY
@given(reply=messages.replies(), changes=messages.mutations, cuts=messages.cuts, method=st.sampled_from(["GET", "GET", "HEAD"]))
def test_a_mutated_reply_is_a_502_cut_off_or_exactly_what_it_says_and_the_next_one_is_untouched(between, reply, changes, cuts, method):
    data, closes = messages.mutated(reply[0], changes), reply[1]
    said: list[Reply] = []
    try:
        said, _ = read_answer(data, 0, method, ended=closes)
    except (IncompleteError, MalformedError):
        closes = True  # who waits for more would wait long
        with suppress(IncompleteError, MalformedError):
            said, _ = read_answer(data, 0, method, ended=True)
    between.recorder.begin(cut(data, cuts), closes=closes)
    client = between.send_in_turn([f"{method} /scripted HTTP/1.1\r\nHost: a\r\n\r\n".encode()], [AFTER])
    try:
        arrived, at = read_answer(client.received, 0, method, ended=False)
    except IncompleteError:
        assert client.ended_by_proxy
        return
    if arrived[-1].status != 502 or arrived[-1].named("server") != ["driftline"]:
        assert len(said) == len(arrived)
        for one, sent in zip(arrived, said, strict=True):
            assert_equal_reply(one, sent)
    if client.received[at:]:
        ((after,),) = answers(client.received[at:], ["GET"])
        assert after.body == b"%d" % (len(between.recorder.requests) - 1)  # the first may have been sent twice
    else:
        assert client.ended_by_proxy
