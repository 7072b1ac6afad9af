import math

import pytest

from detectors.agreement import Classes, Rule, compare
from records.payload import TEXT, Decoded, Tensor


def said(*tensors):
    return Decoded("v2", list(tensors))


def label(*values, datatype="INT64"):
    return Tensor("label", datatype, (len(values),), list(values))


def scores(*values, shape=None, datatype="FP32", name="scores"):
    return Tensor(name, datatype, shape or (len(values),), list(values))


def told(served, shadow):
    """Return by which rule they were compared, whether they agreed, and the largest difference."""
    return compare(served, shadow)[:3]


@pytest.mark.parametrize(("served", "other", "agreed"), [(label(1, 0), label(1, 0), True), (label(1, 0), label(1, 1), False)])
def test_labels_agree_where_all_are_equal(served, other, agreed):
    assert told(said(served), said(other)) == (Rule.LABELS, agreed, 0.0)


def test_a_label_decides_and_scores_beside_it_show_as_a_difference():
    served, other = scores(0.9, 0.1, shape=(1, 2)), scores(0.25, 0.75, shape=(1, 2))
    assert told(said(label(1), served), said(other, label(1))) == (Rule.LABELS, True, pytest.approx(0.65))


@pytest.mark.parametrize("datatype", ["BYTES", "BOOL", "INT8", "UINT64", "JSON"])
def test_text_booleans_and_integers_are_labels(datatype):
    assert told(said(label(1, datatype=datatype)), said(label(2, datatype=datatype))) == (Rule.LABELS, False, 0.0)


@pytest.mark.parametrize(
    ("served", "other", "agreed"),
    [([0.6, 0.4, 0.2, 0.8], [0.9, 0.1, 0.4, 0.6], True), ([0.6, 0.4, 0.2, 0.8], [0.9, 0.1, 0.6, 0.4], False), ([0.6, 0.3995, 0, 1], [0.5004, 0.5, 0, 1], True)],
)
def test_probabilities_agree_where_every_row_peaks_at_the_same_place(served, other, agreed):
    comparison = compare(said(scores(*served, shape=(2, 2))), said(scores(*other, shape=(2, 2))))
    assert comparison is not None
    assert (comparison.rule, comparison.agreed) == (Rule.ARGMAX, agreed)


@pytest.mark.parametrize(
    ("served", "other", "agreed", "difference"),
    [
        ([1000.0], [1000.0005], True, 0.0005),
        ([1000.0], [1000.005], False, 0.005),
        ([0.0], [1e-13], True, 1e-13),
        ([-2.0, 3.0], [-2.0, -3.0], False, 6.0),
        ([math.nan, None], [None, math.nan], True, 0.0),
        ([math.nan, 1.0], [1.0, 1.5], False, 0.5),
        ([math.inf], [math.inf], True, 0.0),
        ([math.inf, 1.0], [-math.inf, 1.0], False, 0.0),
    ],
)
def test_numbers_agree_within_a_millionth(served, other, agreed, difference):
    assert told(said(scores(*served)), said(scores(*other))) == (Rule.NUMBERS, agreed, pytest.approx(difference))


@pytest.mark.parametrize("values", [[0.5, 0.2], [1.5, -0.5], [2.0, 3.0]], ids=["another sum", "negative", "large"])
def test_vectors_that_are_no_probabilities_are_numbers(values):
    comparison = compare(said(scores(*values, shape=(1, 2))), said(scores(0.5, 0.5, shape=(1, 2))))
    assert comparison is not None
    assert comparison.rule is Rule.NUMBERS


def test_whole_numbers_in_json_beside_floats_are_scores():
    assert told(said(scores(2, datatype="INT64")), said(scores(2.0, datatype="FP64"))) == (Rule.NUMBERS, True, 0.0)


def test_text_and_a_number_are_labels_that_differ():
    text, number = said(label("spam", datatype="BYTES")), said(label(0.5, datatype="FP32"))
    assert told(text, number) == told(number, text) == (Rule.LABELS, False, 0.0)


@pytest.mark.parametrize("other", [said(), said(scores(1, name="other")), said(scores(1, 2))], ids=["no output", "another name", "another shape"])
def test_replies_without_a_common_output_are_incomparable(other):
    assert compare(said(scores(1)), other) is None


def test_free_text_agrees_where_it_is_equal():
    hello = Tensor("text", TEXT, (1, 1), ["Hello!"])
    assert told(said(hello), said(hello)) == (Rule.LABELS, True, 0.0)
    assert told(said(hello), said(Tensor("text", TEXT, (1, 1), ["Hi!"]))) == (Rule.LABELS, False, 0.0)


def test_classes_are_labels_else_peaks():
    named = scores(0.9, 0.1, shape=(1, 2)), scores(0.25, 0.75, shape=(1, 2))
    assert compare(said(label(1), named[0]), said(label(0), named[1])).classes == [Classes("label", [1], [0])]
    assert compare(said(named[0]), said(named[1])).classes == [Classes("scores", [0], [1])]
    assert compare(said(scores(1.0)), said(scores(2.0))).classes == ()
