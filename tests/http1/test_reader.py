"""Requests and replies from bytes, however they are cut."""

from __future__ import annotations

import time
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from http1.reader import END, NEED_DATA, REMEMBERED_HEADS, WireError
from http1.reply import ReplyHead, ReplyReader
from http1.request import RequestHead, RequestReader, _parser

POST = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"


def messages(reader, pieces, *, short=False):
    """Feed the pieces, by the short way if wanted, and return [(head, body, trailers)] of the whole messages."""
    found, head, body = [], None, b""
    for piece in pieces:
        whole = reader.receive_whole(piece) if short else reader.receive(piece)
        if whole is not None:
            found.append((*whole, b""))
            continue
        while (event := reader.next_event()) is not NEED_DATA:
            if event is END:
                found.append((head, body, reader.trailers))
                head, body = None, b""
                reader.start_next()
            elif isinstance(event, bytes):
                body += event
            else:
                head = event
                if isinstance(head, ReplyHead) and head.interim:
                    found.append((head, b"", b""))
    return found


def cut(data, positions):
    edges = [0, *sorted({position % (len(data) + 1) for position in positions}), len(data)]
    return [data[first:last] for first, last in pairwise(edges) if first < last]


token = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_!#$%&'*+.^`|~", min_size=1, max_size=12)
value = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30)
reserved = {"host", "content-length", "transfer-encoding", "connection"}


@st.composite
def requests(draw):
    fields = draw(st.lists(st.tuples(token.filter(lambda name: name.lower() not in reserved), value), max_size=6))
    body = draw(st.binary(max_size=300))
    chunked = draw(st.booleans())
    target = "/" + draw(st.text("abc/?=&%20-._~", max_size=20))
    method = draw(token)
    if method == "CONNECT":
        method = "POST"
    lines = [f"{method} {target} HTTP/1.1", "Host: example.com:80", *[f"{name}: {text}" for name, text in fields]]
    if chunked:
        sizes = draw(st.lists(st.integers(1, 100), max_size=5))
        chunks, rest = [], body
        for size in sizes:
            chunks.append(rest[:size])
            rest = rest[size:]
        chunks.append(rest)
        coded = b"".join(b"%x;note=1\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks if chunk) + b"0\r\n\r\n"
        lines.append("Transfer-Encoding: chunked")
    else:
        coded = body
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + coded, method, target, fields, body


@given(st.lists(requests(), min_size=1, max_size=3), st.lists(st.integers(0, 5_000), max_size=20), st.booleans())
def test_pipelined_requests_are_read_alike_wherever_the_bytes_are_cut_and_whichever_way_they_take(sent, positions, short):
    data = b"".join(request[0] for request in sent)
    found = messages(RequestReader(65536), cut(data, positions), short=short)
    assert len(found) == len(sent)
    for (head, body, _), (_, method, target, fields, expected) in zip(found, sent, strict=True):
        assert isinstance(head, RequestHead)
        assert (head.method.decode(), head.target.decode(), body) == (method, target, expected)
        assert [(name.decode(), text.decode()) for name, text in head.fields if name.decode().lower() not in reserved] == fields


@given(st.binary(max_size=400), st.lists(st.integers(0, 500), max_size=8), st.booleans())
def test_arbitrary_bytes_are_refused_or_wait_for_more_and_raise_nothing_else(data, positions, short):
    for reader in (RequestReader(1024), ReplyReader(1024)):
        with suppress(WireError):
            messages(reader, cut(data, positions), short=short)


@given(st.lists(st.sampled_from([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 204 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"])), st.data())
def test_replies_are_read_alike_whichever_way_they_take(sent, data):
    pieces = cut(b"".join(sent), data.draw(st.lists(st.integers(0, 300), max_size=8)))
    said = [[(head.status, body) for head, body, _ in messages(ReplyReader(1024), pieces, short=short)] for short in (False, True)]
    assert said[0] == said[1]
    assert len(said[0]) == len(sent)


@given(requests())
def test_one_read_of_one_message_says_the_same_the_short_way(sent):
    data, method, _, _, body = sent
    whole = RequestReader(65536).receive_whole(data)
    if whole is None:
        assert b"chunked" in data
    else:
        assert (whole[0].method.decode(), whole[1]) == (method, body)


def test_the_short_way_leaves_a_partial_message_to_the_long_way():
    reader = RequestReader(65536)
    assert reader.receive_whole(POST[:-1]) is None
    assert isinstance(reader.next_event(), RequestHead)
    assert reader.next_event() == b"hell"
    assert reader.next_event() is NEED_DATA


def test_what_follows_a_message_waits_until_it_is_asked_for():
    reader = RequestReader(65536)
    reader.receive(POST + POST)
    events = [reader.next_event() for _ in range(4)]
    assert events[1:] == [b"hello", END, END]
    assert reader.buffered_bytes == len(POST)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /#f HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70_000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;\r\nhello\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\r\nhello\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b;\r\nhello\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", 400),
    ],
)
def test_a_request_that_two_parsers_could_read_in_two_ways_is_refused(request_bytes, status):
    with pytest.raises(WireError) as refused:
        messages(RequestReader(65536), [request_bytes])
    assert refused.value.status == status


def test_an_absolute_target_gives_host_and_path():
    ((head, _, _),) = messages(RequestReader(65536), [b"GET http://b:8/x?y HTTP/1.1\r\nHost: a\r\n\r\n"])
    assert (head.host, head.target) == (b"b:8", b"/x?y")


def test_a_reply_to_head_has_no_body_whatever_it_announces():
    reader = ReplyReader(65536)
    reader.bodiless = True
    ((head, body, _),) = messages(reader, [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"])
    assert (head.status, body) == (200, b"")


def test_a_reply_without_length_ends_with_the_connection():
    reader = ReplyReader(65536)
    assert messages(reader, [b"HTTP/1.1 200 OK\r\n\r\nab", b"cd"]) == []
    assert reader.receive_eof() is END


def test_a_reply_that_is_cut_short_is_not_whole():
    reader = ReplyReader(65536)
    messages(reader, [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab"])
    with pytest.raises(WireError):
        reader.receive_eof()


def test_interim_replies_come_before_the_final_one():
    found = messages(ReplyReader(65536), [b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"])
    assert [head.status for head, _, _ in found] == [103, 204]


def test_trailers_are_kept_apart_from_the_fields():
    data = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n"
    ((_, body, trailers),) = messages(RequestReader(65536), cut(data, range(len(data))))
    assert (body, trailers) == (b"x", b"X-Sum: 1\r\n")


def test_long_heads_are_not_remembered():
    before = list(_parser.remembered)
    messages(RequestReader(65536), [b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 2000 + b"\r\n\r\n"])
    assert list(_parser.remembered) == before


def test_heads_that_never_repeat_take_the_places_of_the_oldest():
    reader = RequestReader(65536)
    for number in range(3 * REMEMBERED_HEADS):
        messages(reader, [b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number], short=True)
    assert len(_parser.remembered) == REMEMBERED_HEADS
    assert b"GET /%d HTTP/1.1\r\nHost: a" % number in _parser.remembered


def test_a_head_that_drips_is_not_looked_through_again_with_every_byte():
    reader = RequestReader(65536)
    began = time.process_time()
    reader.receive(b"GET / HTTP/1.1\r\nHost: a\r\n")
    for _ in range(6_000):
        reader.receive(b"X: 34567\r\n")
        assert reader.next_event() is NEED_DATA
    assert time.process_time() - began < 1.0  # seconds; many times that where all of it is


@pytest.mark.parametrize("stray", [b"\rX", b"X\n", b"X\x00"])
def test_a_stray_control_character_is_found_wherever_the_head_was_cut(stray):
    begin = b"GET / HTTP/1.1\r\nHost: a\r\nX: y"
    for at in range(1, len(begin + stray) + 1):
        reader = RequestReader(65536)
        with pytest.raises(WireError):  # noqa: PT012 - by either of the two pieces
            for piece in ((begin + stray)[:at], (begin + stray)[at:]):
                reader.receive(piece)
                reader.next_event()
