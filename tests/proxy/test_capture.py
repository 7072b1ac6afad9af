"""What is kept of a body, and what keeping it takes."""

from __future__ import annotations

import tracemalloc

from proxy.capture import BodyCapture

FIELDS = ("", "", {})


def test_pieces_of_any_size_are_kept_in_order_up_to_the_limit():
    capture = BodyCapture(10_000)
    pieces = [bytes([number % 256]) * (number * 37 % 2500) for number in range(40)]
    for piece in pieces:
        capture.add(piece)
    body = capture.body(FIELDS)
    assert (body.content, body.size_bytes, body.truncated) == (b"".join(pieces)[:10_000], sum(map(len, pieces)), True)


def test_many_small_pieces_take_little_more_than_what_they_hold():
    pieces = 50_000
    tracemalloc.start()
    try:
        capture = BodyCapture(1 << 20)
        for number in range(pieces):
            capture.add(b"%010d" % number)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * 10 * pieces
    assert capture.body(FIELDS).size_bytes == 10 * pieces
