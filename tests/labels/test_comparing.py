"""Predictions beside labels."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labels.comparing import absolute_error, number_of, prediction, same, text
from records.payload import Decoded, Failed, Tensor, Undecodable


def reply(*tensors):
    return Decoded("v2", [Tensor(name, "FP32", shape, values) for name, shape, values in tensors])


def test_the_first_output_with_one_value_per_row_is_the_prediction():
    answer = reply(("probabilities", (2, 2), [0.1, 0.9, 0.8, 0.2]), ("label", (2, 1), [1, 0]))
    assert (prediction(answer, 0), prediction(answer, 1)) == ("1", "0")


def test_of_scores_the_largest_one_s_index_is_the_prediction():
    assert prediction(reply(("scores", (2, 3), [0.1, 0.9, 0.0, 0.5, 0.2, 0.3])), 1) == "0"


@pytest.mark.parametrize(
    "answer",
    [
        Failed("v2", Undecodable.ERROR_REPLY),
        reply(("y", (1,), [None])),
        reply(("y", (1,), [math.nan])),
        reply(("y", (1, 2), [0.5, None])),
        reply(("y", (1, 0), [])),
        reply(("y", (), [1])),
        reply(),
    ],
)
def test_a_reply_that_does_not_say_has_no_prediction(answer):
    assert prediction(answer, 0) is None


def test_a_row_that_the_reply_does_not_have_has_no_prediction():
    assert prediction(reply(("y", (1,), [1])), 1) is None


def test_numbers_have_a_distance_and_words_have_none():
    assert absolute_error("1.5", "2") == 0.5
    assert absolute_error("true", "0") == 1
    assert absolute_error("cat", "2") is None
    assert absolute_error("1_0", "10") is None
    assert absolute_error("inf", "2") is None


@settings(deadline=None)
@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans())
def test_a_number_is_the_same_after_it_was_written(value):
    assert number_of(text(value)) == float(value)
    assert same(text(value), text(value))
