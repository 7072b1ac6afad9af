import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.packing import flatten, pack, packed_texts, texts_of
from runtime.refusal import Refused
from runtime.signature import DTYPES


@pytest.mark.parametrize("datatype", [name for name in DTYPES if name != "BYTES"])
@pytest.mark.parametrize("count", [0, 1, 5000])
def test_values_become_the_bytes_that_numpy_has(datatype: str, count: int) -> None:
    values = [bool(number % 2) if datatype == "BOOL" else number % 100 for number in range(count)]
    assert pack("x", datatype, values) == np.array(values, DTYPES[datatype]).tobytes()


@pytest.mark.parametrize(
    ("datatype", "values", "said"),
    [
        ("FP32", [1.0, "two"], "expected numbers of FP32, found 'two'"),
        ("FP32", [1.0, None], "found null"),
        ("FP32", [1e300], r"found 1e\+300"),
        ("INT8", [1, 300], "expected numbers of INT8, found 300"),
        ("UINT8", [-1], "found -1"),
        ("INT64", [1.5], "found 1.5"),
        ("INT64", [1.5] * 5000, "found 1.5"),
        ("BOOL", [True, 2], "expected true or false for BOOL, found 2"),
        ("BYTES", ["a", 1], "expected texts for BYTES, found 1"),
        ("FP64", [[1.0]], r"found \[1.0\]"),
    ],
)
def test_a_value_of_another_kind_is_shown(datatype: str, values: list[object], said: str) -> None:
    with pytest.raises(Refused, match=said):
        pack("x", datatype, values)


def test_null_is_nan_where_values_may_be_missing() -> None:
    content = pack("x", "FP32", [1.0, None], missing=True)
    assert isinstance(content, bytes)
    assert np.isnan(np.frombuffer(content, np.float32)).tolist() == [False, True]
    with pytest.raises(Refused, match="found null"):
        pack("x", "INT64", [None], missing=True)


def test_nested_lists_are_flattened_row_by_row() -> None:
    assert flatten("x", [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]) == [1, 2, 3, 4, 5, 6, 7, 8]
    for ragged in ([[1, 2], [3]], [[1], 2], [[[1]], [[2, 3]]]):
        with pytest.raises(Refused, match="rows of equal length"):
            flatten("x", ragged)


def test_depth_is_bounded() -> None:
    nested: list[object] = [1]
    for _ in range(40):
        nested = [nested]
    with pytest.raises(Refused, match="at most 32 nested lists"):
        flatten("x", nested)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_texts_come_back_as_they_were(texts: list[str]) -> None:
    assert texts_of("x", packed_texts(texts)) == texts


@given(st.binary())
def test_any_bytes_are_texts_or_refused(content: bytes) -> None:
    try:
        texts = texts_of("x", content)
    except Refused:
        return
    assert packed_texts(texts)[: len(content)] == content or struct.calcsize("<I") > len(content) % 4
