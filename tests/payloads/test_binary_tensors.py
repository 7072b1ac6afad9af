import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payloads.binary_tensors import unpack
from payloads.refusal import Refused


def encoded(texts):
    return b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in texts)


@given(texts=st.lists(st.text(max_size=4), min_size=1, max_size=4), data=st.data())
def test_texts_that_are_cut_anywhere_are_refused(texts, data):
    content = encoded(texts)
    cut = content[: data.draw(st.integers(0, len(content) - 1))]
    assert unpack("BYTES", len(texts), content) == texts
    with pytest.raises(Refused):
        unpack("BYTES", len(texts), cut)


@pytest.mark.parametrize(("datatype", "width"), [("BOOL", 1), ("INT16", 2), ("BF16", 2), ("FP32", 4), ("UINT64", 8), ("FP64", 8)])
def test_numbers_of_another_length_than_the_shape_says_are_refused(datatype, width):
    assert unpack(datatype, 3, bytes(3 * width)) == [0, 0, 0]
    for length in (0, 2 * width, 3 * width + 1, 4 * width, 3 * width - 1):
        with pytest.raises(Refused):
            unpack(datatype, 3, bytes(length))


def test_bfloat16_is_the_upper_half_of_float32():
    assert unpack("BF16", 4, bytes.fromhex("803f 00c0 807f 0000")) == [1.0, -2.0, math.inf, 0.0]


def test_half_precision_is_read():
    assert unpack("FP16", 2, bytes.fromhex("003c 00c0")) == [1.0, -2.0]
