import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.session import Session
from runtime.signature import Signature, TensorSpec
from runtime.tools.errors import ToolError
from runtime.tools.rows import inputs_of, made_up_inputs


def signature(*inputs):
    return Signature(tuple(TensorSpec(name, datatype, ("n", *shape)) for name, datatype, shape in inputs), ())


NUMBERS = signature(("x", "FP32", (3,)))


def test_columns_are_put_side_by_side_in_their_order():
    (x,) = inputs_of(NUMBERS, {"b": np.array([1, 2]), "a": np.array([3.5, np.nan]), "c": np.array([True, False])})
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, np.array([[1, 3.5, 1], [2, np.nan, 0]], np.float32))


def test_an_input_takes_the_column_of_its_name_in_its_shape_and_the_others_are_left_alone():
    wanted = signature(("image", "FP32", (2, 3)), ("age", "INT64", (1,)))
    image, age = inputs_of(wanted, {"id": np.array(["a", "b"], object), "age": np.array([1.0, 2.0]), "image": np.arange(12.0).reshape(2, 6)})
    assert image.shape == (2, 2, 3)
    assert age.dtype == np.int64
    np.testing.assert_array_equal(age, [[1], [2]])


def test_a_length_that_is_not_fixed_is_what_the_rows_give():
    (x,) = inputs_of(signature(("x", "INT64", ("length",))), {"x": np.arange(8).reshape(2, 4)})
    assert x.shape == (2, 4)


def test_texts_are_texts_and_missing_ones_empty():
    (x,) = inputs_of(signature(("x", "BYTES", (1,))), {"x": np.array(["é", None, b"c"], object)})
    assert x.tolist() == [["é"], [""], ["c"]]


@pytest.mark.parametrize(
    ("wanted", "columns", "complaint"),
    [
        (NUMBERS, {"a": np.zeros(2), "b": np.zeros(2)}, "takes 3 columns, but there are 2: a, b; leave out those that are no features with --exclude"),
        (NUMBERS, {}, "the columns are none"),
        (NUMBERS, {"x": np.array(["a", "b"], object)}, "the rows hold text, such as 'a'"),
        (NUMBERS, {"x": np.zeros((2, 4))}, r"the rows give \[2, 4\]"),
        (signature(("x", "INT64", (1,))), {"x": np.array([1, np.nan])}, "integers cannot be"),
        (signature(("x", "FP32", (1,)), ("y", "FP32", (1,))), {"x": np.zeros(2)}, "must be a column for each, but the columns are x"),
    ],
)
def test_columns_that_do_not_fit_are_refused_with_what_was_expected(wanted, columns, complaint):
    with pytest.raises(ToolError, match=complaint):
        inputs_of(wanted, columns)


@given(st.lists(st.sampled_from(["FP16", "FP32", "FP64", "INT8", "INT64", "UINT8", "BOOL"]), min_size=1, max_size=3), st.integers(1, 9))
def test_made_up_rows_fit_every_signature_and_are_the_same_each_time(datatypes, rows):
    wanted = signature(*((f"x{place}", datatype, (2, "free")) for place, datatype in enumerate(datatypes)))
    for array, again, spec in zip(made_up_inputs(wanted, rows), made_up_inputs(wanted, rows), wanted.inputs, strict=True):
        assert (array.dtype, len(array)) == (spec.dtype, rows)
        assert spec.admits(array.shape)
        np.testing.assert_array_equal(array, again)


def test_made_up_rows_are_answered_by_a_real_model(perceptron):
    session = Session(perceptron)
    label, _ = session.run(made_up_inputs(session.signature, 5))
    assert len(label) == 5


def test_texts_cannot_be_made_up():
    with pytest.raises(ToolError, match="give some with --from"):
        made_up_inputs(signature(("x", "BYTES", (1,))), 5)
