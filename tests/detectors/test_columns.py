import math
from collections import Counter

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.arrays import FREE_TEXT
from detectors.columns import MAX_FREE_TEXT_LENGTH, MAX_TEXT_LENGTH, ColumnBuffer, LeftOut
from records.payload import TEXT, Decoded, Failed, Tensor, Undecodable

NOTHING = Failed("v2", Undecodable.ERROR_REPLY)


def said(*tensors):
    return Decoded("v2", list(tensors))


def numbers(name, shape, *values, datatype="FP64"):
    return Tensor(name, datatype, shape, list(values))


def texts(name, shape, *values):
    return Tensor(name, "BYTES", shape, list(values))


def is_missing(value):
    return value is None or (type(value) is float and math.isnan(value))


def taken(buffer):
    """Take the batch as plain lists, with None for what is missing."""
    columns, times_ns = buffer.take()
    assert all(len(column) == len(times_ns) for column in columns.values())
    return {name: [None if is_missing(value) else value for value in column.tolist()] for name, column in columns.items()}, times_ns.tolist()


def columns_of(*exchanges, **options):
    buffer = ColumnBuffer(**{"max_features": 100, **options})
    for time_ns, (request, response) in enumerate(exchanges):
        buffer.add(request, response, time_ns)
    return taken(buffer)[0]


@pytest.mark.parametrize(
    ("shape", "values", "columns"),
    [
        ((2,), [1, 2], {"x": [1, 2]}),
        ((2, 1), [1, 2], {"x": [1, 2]}),
        ((1, 3), [1, 2, 3], {"x[0]": [1], "x[1]": [2], "x[2]": [3]}),
        ((2, 2), [1, 2, 3, 4], {"x[0]": [1, 3], "x[1]": [2, 4]}),
        ((1, 2, 2), [1, 2, 3, 4], {"x[0,0]": [1], "x[0,1]": [2], "x[1,0]": [3], "x[1,1]": [4]}),
    ],
)
def test_a_tensors_shape_names_its_columns(shape, values, columns):
    assert columns_of((said(numbers("x", shape, *values)), NOTHING)) == columns


def test_outputs_are_columns_with_a_prefix():
    request, response = said(numbers("x", (1,), 1)), said(numbers("label", (1,), 0, datatype="INT64"), numbers("probabilities", (1, 2), 0.75, 0.25))
    assert columns_of((request, response)) == {"x": [1], "output.label": [0], "output.probabilities[0]": [0.75], "output.probabilities[1]": [0.25]}


def test_numbers_are_float64_with_nan_and_text_is_objects_with_none():
    buffer = ColumnBuffer(max_features=9)
    buffer.add(said(numbers("x", (3,), 1, None, True), texts("city", (3,), "Bonn", None, "Ulm")), NOTHING, 5)
    columns, times_ns = buffer.take()
    assert columns["x"].dtype == np.float64
    np.testing.assert_array_equal(columns["x"], [1.0, np.nan, 1.0])
    assert columns["city"].dtype == object
    assert columns["city"].tolist() == ["Bonn", None, "Ulm"]
    assert (times_ns.dtype, times_ns.tolist()) == (np.dtype(np.int64), [5, 5, 5])


def test_the_baselines_names_are_given_to_the_only_input_of_that_width():
    names = ("age", "income")
    one = (said(numbers("input", (1, 2), 41, 3.5)), NOTHING)
    assert columns_of(one, input_names=names) == {"age": [41], "income": [3.5]}
    wider = (said(numbers("input", (1, 3), 1, 2, 3)), NOTHING)
    assert list(columns_of(wider, input_names=names)) == ["input[0]", "input[1]", "input[2]"]
    two = (said(numbers("a", (1, 2), 1, 2), numbers("b", (1,), 3)), NOTHING)
    assert list(columns_of(two, input_names=names)) == ["a[0]", "a[1]", "b"]
    output = (NOTHING, said(numbers("y", (1, 2), 1, 2)))
    assert list(columns_of(output, input_names=names)) == ["output.y[0]", "output.y[1]"]


def test_a_batch_starts_anew_with_every_take():
    buffer = ColumnBuffer(max_features=9)
    buffer.add(said(numbers("x", (2,), 1, 2)), NOTHING, 7)
    assert len(buffer) == 2
    assert taken(buffer) == ({"x": [1, 2]}, [7, 7])
    assert len(buffer) == 0
    assert taken(buffer) == ({}, [])


def test_rows_of_different_layouts_keep_their_order_and_lack_what_they_did_not_have():
    columns = columns_of(
        (said(numbers("x", (1,), 1)), said(texts("y", (1,), "a"))),
        (said(numbers("x", (2,), 2, 3), texts("city", (2,), "Bonn", "Ulm")), NOTHING),
        (said(numbers("x", (1,), 4)), said(texts("y", (1,), "b"))),
    )
    assert columns == {"x": [1, 2, 3, 4], "output.y": ["a", None, None, "b"], "city": [None, "Bonn", "Ulm", None]}


def test_outputs_of_another_number_of_rows_are_left_out_and_counted():
    buffer = ColumnBuffer(max_features=9)
    for _ in range(2):
        buffer.add(said(numbers("x", (2,), 1, 2)), said(numbers("y", (1,), 3)), 0)
    assert taken(buffer)[0] == {"x": [1, 2, 1, 2]}
    assert buffer.left_out == Counter({LeftOut.ROWS_DIFFER: 2})


def test_what_could_not_be_decoded_adds_no_columns():
    assert columns_of((NOTHING, said(numbers("y", (1,), 3)))) == {"output.y": [3]}
    assert columns_of((NOTHING, NOTHING)) == {}


def test_an_exchange_without_rows_adds_none():
    buffer = ColumnBuffer(max_features=1)
    buffer.add(said(numbers("x", (0, 2))), said(numbers("y", (0,))), 0)
    assert taken(buffer) == ({}, [])
    assert buffer.left_out == Counter()


def test_columns_past_the_limit_are_left_out_and_counted():
    buffer = ColumnBuffer(max_features=3, vector_width=100_000)
    buffer.add(said(numbers("wide", (1, 50_000), *range(50_000))), NOTHING, 0)
    assert taken(buffer)[0] == {"wide[0]": [0], "wide[1]": [1], "wide[2]": [2]}
    assert buffer.left_out == Counter({LeftOut.MAX_FEATURES: 49_997})
    buffer.add(said(numbers("late", (1,), 1)), NOTHING, 0)
    assert taken(buffer) == ({}, [0])
    assert buffer.left_out == Counter({LeftOut.MAX_FEATURES: 49_998})


def test_a_full_buffer_leaves_exchanges_out_and_counts_them_until_it_is_taken():
    buffer = ColumnBuffer(max_features=9, max_values=10)
    while not buffer.is_full:
        buffer.add(said(numbers("x", (1,), 1)), NOTHING, 0)
    rows = len(buffer)
    assert 1 < rows <= 10
    buffer.add(said(numbers("other", (1,), 1)), NOTHING, 0)
    assert taken(buffer)[0] == {"x": [1] * rows}
    assert buffer.left_out == Counter({LeftOut.BUFFER_FULL: 1})
    assert not buffer.is_full


def test_rows_without_values_fill_the_buffer_too():
    buffer = ColumnBuffer(max_features=9, max_values=10)
    for index in range(100):
        buffer.add(said(numbers(f"x{index}", (1, 0))), NOTHING, 0)
    assert buffer.left_out[LeftOut.BUFFER_FULL] == 90


def test_text_in_a_column_of_numbers_stays_text():
    buffer = ColumnBuffer(max_features=9)
    buffer.add(said(numbers("x", (2,), 1, 2)), NOTHING, 0)
    buffer.add(said(Tensor("x", "JSON", (3,), ["n/a", 3, None])), NOTHING, 0)
    assert taken(buffer)[0] == {"x": [1, 2, "n/a", 3, None]}
    buffer.add(said(texts("x", (2,), "4", "5")), NOTHING, 0)
    assert taken(buffer)[0] == {"x": ["4", "5"]}


def test_numbers_in_a_column_of_text_stay_numbers():
    buffer = ColumnBuffer(max_features=9)
    buffer.add(said(texts("zip", (1,), "53111")), NOTHING, 0)
    assert taken(buffer)[0] == {"zip": ["53111"]}
    buffer.add(said(numbers("zip", (2,), 53111, None, datatype="INT64")), NOTHING, 0)
    columns, _ = buffer.take()
    assert columns["zip"].dtype == object
    assert columns["zip"].tolist() == [53111, None]


def test_one_odd_value_at_first_does_not_decide_what_a_column_holds():
    column = Tensor("x", "JSON", (4,), ["n/a", 1.5, 2.5, None])
    assert columns_of((said(column), NOTHING)) == {"x": ["n/a", 1.5, 2.5, None]}


def test_a_column_without_any_value_waits_until_one_tells_what_it_holds():
    buffer = ColumnBuffer(max_features=9)
    buffer.add(said(Tensor("city", "JSON", (1,), [None])), NOTHING, 0)
    assert taken(buffer) == ({}, [0])
    buffer.add(said(texts("city", (1,), "Bonn")), NOTHING, 0)
    assert taken(buffer)[0] == {"city": ["Bonn"]}
    buffer.add(said(Tensor("city", "JSON", (1,), [None])), NOTHING, 0)
    assert taken(buffer)[0] == {"city": [None]}


def test_long_text_is_cut():
    assert columns_of((said(texts("x", (1,), "a" * 10_000)), NOTHING)) == {"x": ["a" * MAX_TEXT_LENGTH]}


VALUES = {"x": st.none() | st.floats(allow_nan=False), "n": st.integers(-(2**63), 2**64 - 1), "city": st.none() | st.sampled_from(["Bonn", "Ulm"])}
ROWS = st.fixed_dictionaries({"x": VALUES["x"]}, optional={"n": VALUES["n"], "city": VALUES["city"]})


@given(rows=st.lists(ROWS, max_size=30), batches=st.lists(st.integers(1, 5), min_size=30, max_size=30))
def test_columns_hold_what_the_exchanges_held_however_the_batches_are_cut(rows, batches):
    buffer = ColumnBuffer(max_features=9)
    buffer.add(said(numbers("x", (1,), 0.0), numbers("n", (1,), 0), texts("city", (1,), "Bonn")), NOTHING, -1)  # tells what they hold
    buffer.take()
    given_rows, position = [], 0
    for size in batches:
        batch = rows[position : position + size]
        for time_ns, row in enumerate(batch, position):
            tensors = [texts(name, (1,), value) if name == "city" else numbers(name, (1,), value) for name, value in row.items()]
            buffer.add(said(*tensors), NOTHING, time_ns)
        columns, times_ns = taken(buffer)
        assert times_ns == list(range(position, position + len(batch)))
        given_rows += [{name: column[index] for name, column in columns.items()} for index in range(len(batch))]
        position += size
    for sent, received in zip(rows, given_rows, strict=True):
        for name in ("x", "n", "city"):
            value = sent.get(name)
            assert received.get(name) == (float(value) if isinstance(value, int) else value)


def test_infinite_numbers_are_kept():
    assert columns_of((said(numbers("x", (2,), math.inf, -math.inf)), NOTHING)) == {"x": [math.inf, -math.inf]}


def test_free_text_has_a_type_of_its_own_and_a_bound():
    buffer = ColumnBuffer(max_features=10)
    prompt = said(Tensor("prompt", TEXT, (1,), ["a long story" * 1_000]), numbers("prompt_characters", (1,), 12_000))
    buffer.add(prompt, said(Tensor("text", TEXT, (1, 2), ["short", "another choice"])), 0)
    buffer.add(said(Tensor("prompt", TEXT, (1,), [None])), NOTHING, 1)
    columns, _ = buffer.take()
    assert columns["prompt"].dtype == columns["output.text"].dtype == FREE_TEXT
    assert columns["prompt"]["text"].tolist() == [("a long story" * 1_000)[:MAX_FREE_TEXT_LENGTH], None]
    assert columns["output.text"]["text"].tolist() == ["short", None]
    assert not buffer.left_out.total()


def test_free_text_fills_the_buffer_as_many_numbers_would():
    buffer = ColumnBuffer(max_features=10, max_values=1_000)
    for _ in range(100):
        buffer.add(said(Tensor("prompt", TEXT, (1,), ["x" * 5_000])), NOTHING, 0)
    assert len(buffer) == 8
    assert buffer.left_out == Counter({LeftOut.BUFFER_FULL: 92})


def test_free_text_past_the_limit_is_left_out_and_counted():
    buffer = ColumnBuffer(max_features=1)
    buffer.add(said(numbers("x", (1,), 1), Tensor("prompt", TEXT, (1,), ["a"])), NOTHING, 0)
    assert list(buffer.take()[0]) == ["x"]
    assert buffer.left_out == Counter({LeftOut.MAX_FEATURES: 1})


def test_columns_that_have_names_keep_them_also_beside_those_of_the_baseline():
    request = said(Tensor("inputs", "JSON", (1, 2), [41, "Bonn"], ("age", "city")))
    reply = said(Tensor("predictions", "FP64", (1, 2), [0.25, 0.75], ("low", "high")))
    assert columns_of((request, reply), input_names=("x", "y")) == {"age": [41], "city": ["Bonn"], "output.low": [0.25], "output.high": [0.75]}


def test_tensors_of_one_shape_whose_columns_have_other_names_are_told_apart():
    one, other = (said(Tensor("inputs", "FP64", (1, 1), [1.0], (name,))) for name in "ab")
    assert columns_of((one, NOTHING), (other, NOTHING)) == {"a": [1.0, None], "b": [None, 1.0]}


def vectors_of(*exchanges, **options):
    buffer = ColumnBuffer(**{"max_features": 100, "vector_width": 4, **options})
    for time_ns, (request, response) in enumerate(exchanges):
        buffer.add(request, response, time_ns)
    return buffer.take()[0]


def test_a_wide_tensor_is_a_vector():
    columns = vectors_of((said(numbers("x", (2, 2, 2), *range(8))), said(numbers("y", (2, 4), *range(8)))), (said(numbers("x", (1, 2, 2), *range(4))), NOTHING))
    assert columns["x"].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [0, 1, 2, 3]]
    assert columns["x"].dtype == np.float32
    assert columns["x.dimension"].tolist() == [4, 4, 4]
    assert np.isnan(columns["output.y"][2]).all()
    assert math.isnan(columns["output.y.dimension"][2])


def test_a_wide_tensor_with_names_of_its_own_or_the_baselines_is_columns():
    names = ("a", "b", "c", "d")
    named = (said(msgspec.structs.replace(numbers("x", (1, 4), 1, 2, 3, 4), columns=names)), NOTHING)
    assert list(vectors_of(named)) == list(names)
    assert list(vectors_of((said(numbers("x", (1, 4), 1, 2, 3, 4)), NOTHING), input_names=names)) == list(names)
    assert list(vectors_of((said(texts("x", (1, 4), *"abcd")), NOTHING))) == ["x[0]", "x[1]", "x[2]", "x[3]"]


def test_a_vector_of_another_dimension_is_missing_and_its_dimension_is_told():
    columns = vectors_of(
        (said(numbers("x", (1, 4), 1, 2, 3, 4)), NOTHING), (said(numbers("x", (1, 6), *range(6))), NOTHING), (said(numbers("x", (1, 2), 1, 2)), NOTHING)
    )
    assert columns["x"][0].tolist() == [1, 2, 3, 4]
    assert np.isnan(columns["x"][1:]).all()
    assert columns["x.dimension"].tolist() == [4, 6, 2]
    alone = vectors_of((said(numbers("x", (1, 4), 1, 2, 3, 4)), NOTHING), vectors={"x": 6})
    assert alone["x"].shape == (1, 6)
    assert np.isnan(alone["x"]).all()


def test_text_in_the_place_of_a_vector_is_missing():
    columns = vectors_of((said(texts("x", (1, 4), *"abcd")), said(numbers("y", (1,), 1))), vectors={"x": 4})
    assert list(columns) == ["output.y"]


def test_a_vector_counts_as_one_feature():
    columns = vectors_of((said(numbers("x", (1, 5), *range(5)), numbers("y", (1, 5), *range(5))), NOTHING), max_features=1)
    assert list(columns) == ["x", "x.dimension"]


def test_missing_values_of_a_vector_are_nan():
    columns = vectors_of((said(numbers("x", (1, 4), 1, None, 3, True)), NOTHING))
    np.testing.assert_array_equal(columns["x"], [[1, np.nan, 3, 1]])
