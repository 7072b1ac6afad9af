import msgspec
from hypothesis import given
from hypothesis import strategies as st

from records.exchange import Body, Exchange, Role
from store.spool.encoding import encode_large

sizes = st.sampled_from([0, 1, 255, 256, 8_191, 8_192, 65_535, 65_536, 70_000])
bodies = st.builds(
    lambda size, truncated, kind, fields, ends: Body(bytes(size), size + 1, truncated, kind, "gzip", fields, tuple(ends), tuple(ends)),
    sizes,
    st.booleans(),
    st.text(max_size=40),
    st.dictionaries(st.text(max_size=5), st.text(max_size=300), max_size=3),
    st.lists(st.integers(0, 2**60), max_size=20),
)


@given(bodies, bodies, st.text(max_size=300), st.lists(st.text(max_size=40), max_size=3))
def test_the_pieces_of_a_record_are_what_msgspec_makes_of_it(request, response, path, subjects):
    exchange = Exchange(bytes(16), "id", Role.SERVED, "route", "arm", 1, "POST", path, request=request, response=response, subjects=tuple(subjects))
    assert b"".join(encode_large(exchange)) == msgspec.msgpack.encode(exchange)


def test_large_bodies_are_not_copied():
    content = bytes(100_000)
    exchange = Exchange(bytes(16), "id", Role.SERVED, "route", "arm", 1, "POST", "/", request=Body(content, len(content)))
    assert any(piece is content for piece in encode_large(exchange))
