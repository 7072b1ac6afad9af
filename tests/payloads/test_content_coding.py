import contextlib
import gzip
import sys
import tracemalloc
import zlib
from functools import partial

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payloads.content_coding import MAX_RATIO, MAX_SMALL_BYTES, decompress
from payloads.refusal import MAX_CONTENT_BYTES, Refused

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CODINGS = {"gzip": gzip.compress, "deflate": zlib.compress, "br": partial(brotli.compress, quality=4), "zstd": zstd.compress}


@given(coding=st.sampled_from(sorted(CODINGS)), content=st.binary(max_size=300))
def test_what_was_compressed_comes_back(coding, content):
    assert decompress(CODINGS[coding](content), coding) == content


@given(coding=st.sampled_from([*CODINGS, "x-gzip", "compress", "gzip, br"]), content=st.binary(max_size=80))
def test_arbitrary_bytes_are_refused_or_read_and_nothing_else(coding, content):
    with contextlib.suppress(Refused):
        assert len(decompress(content, coding)) <= MAX_SMALL_BYTES


@given(coding=st.sampled_from(sorted(CODINGS)), data=st.data())
def test_a_stream_that_is_cut_or_followed_by_more_is_refused(coding, data):
    whole = CODINGS[coding](b'{"instances": [1, 2, 3]}' * 20)
    other = data.draw(st.sampled_from([whole[: data.draw(st.integers(0, len(whole) - 1))], whole + b"more"]))
    with pytest.raises(Refused):
        decompress(other, coding)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_bomb_takes_no_more_memory_than_the_bound_allows(coding):
    bomb = CODINGS[coding](bytes(50_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(Refused):
            decompress(bomb, coding)
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_CONTENT_BYTES
    finally:
        tracemalloc.stop()


def test_a_body_may_grow_by_the_ratio_and_a_small_one_further():
    few = brotli.compress(bytes(MAX_SMALL_BYTES))
    assert len(few) * MAX_RATIO < MAX_SMALL_BYTES
    assert decompress(few, "br") == bytes(MAX_SMALL_BYTES)
    with pytest.raises(Refused):
        decompress(brotli.compress(bytes(MAX_SMALL_BYTES + 1)), "br")
    letters = bytes(range(256)) * 12_000  # compresses less well
    assert decompress(gzip.compress(letters), "gzip") == letters
    assert len(letters) < MAX_CONTENT_BYTES
