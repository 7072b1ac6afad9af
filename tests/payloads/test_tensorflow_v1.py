import base64
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.payload import Failed, Tensor, Undecodable

PREDICT = "/v1/models/fraud:predict"
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(rows=st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(NUMBERS, min_size=width, max_size=width), min_size=1, max_size=4)))
def test_rows_and_columns_of_one_input_are_the_same_tensor(decode_request, rows):
    expected = Tensor("inputs", "FP64", (len(rows), len(rows[0])), [value for row in rows for value in row])
    assert decode_request(PREDICT, {"signature_name": "serving_default", "instances": rows}).tensors == [expected]
    assert decode_request(PREDICT, {"inputs": rows}).tensors == [expected]


NAMES = st.text(max_size=3).filter(lambda name: name != "b64")  # an object with nothing else is a base64 text


@given(columns=st.integers(1, 4).flatmap(lambda rows: st.dictionaries(NAMES, st.lists(NUMBERS, min_size=rows, max_size=rows), min_size=1)))
def test_named_inputs_by_row_and_by_column_are_the_same_tensors(decode_request, columns):
    expected = [Tensor(name, "FP64", (len(values),), values) for name, values in columns.items()]
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    assert decode_request(PREDICT, {"instances": rows}).tensors == expected
    assert decode_request(PREDICT, {"inputs": columns}).tensors == expected


@pytest.mark.parametrize(
    ("values", "datatype"),
    [
        ([1, 2], "INT64"),
        ([1, 2.5], "FP64"),
        ([1.5, None], "FP64"),
        ([True, False], "BOOL"),
        (["a", None], "BYTES"),
        (["a", 1], "JSON"),
        ([None], "JSON"),
    ],
)
def test_the_datatype_follows_from_the_values(decode_request, values, datatype):
    assert decode_request(PREDICT, {"instances": values}).tensors == [Tensor("inputs", datatype, (len(values),), values)]


def test_base64_objects_are_text_wherever_they_stand(decode_request):
    encoded = {"b64": base64.b64encode("größe".encode()).decode()}
    assert decode_request(PREDICT, {"instances": [encoded]}).tensors[0].values == ["größe"]
    assert decode_request(PREDICT, {"instances": [{"image": encoded, "size": [1, 2]}]}).tensors == [
        Tensor("image", "BYTES", (1,), ["größe"]),
        Tensor("size", "INT64", (1, 2), [1, 2]),
    ]
    assert decode_request(PREDICT, {"inputs": {"b64": base64.b64encode(b"\xff").decode()}}).tensors[0].values == ["\\xff"]


def test_a_row_that_lacks_a_name_has_it_missing(decode_request):
    tensors = decode_request(PREDICT, {"instances": [{"a": 1, "b": "x"}, {"a": 2}]}).tensors
    assert tensors == [Tensor("a", "INT64", (2,), [1, 2]), Tensor("b", "BYTES", (2,), ["x", None])]


def test_bare_nan_and_infinity_are_numbers_and_huge_integers_are_floats(decode_reply):
    tensor = decode_reply(PREDICT, b'{"predictions": [[NaN, -Infinity], [1.5, 100000000000000000000]]}').tensors[0]
    assert math.isnan(tensor.values[0])
    assert tensor.values[1:] == [-math.inf, 1.5, 1e20]
    assert tensor.datatype == "FP64"


def test_nan_does_not_let_text_through_that_cannot_be_written(decode_reply):
    assert decode_reply(PREDICT, b'{"predictions": [NaN, "\\ud83d\\ude00"]}').tensors[0].values[1] == "\U0001f600"
    assert decode_reply(PREDICT, b'{"predictions": [NaN, "\\ud800"]}').reason is Undecodable.MALFORMED


def test_predictions_by_row_and_outputs_by_column_are_understood(decode_reply):
    expected = [Tensor("predictions", "FP64", (1, 2), [0.25, 0.75])]
    assert decode_reply(PREDICT, {"predictions": [[0.25, 0.75]]}).tensors == expected
    assert decode_reply(PREDICT, {"outputs": [[0.25, 0.75]]}).tensors == expected
    assert decode_reply(PREDICT, {"outputs": {"label": ["spam"], "score": [0.75]}}).tensors == [
        Tensor("label", "BYTES", (1,), ["spam"]),
        Tensor("score", "FP64", (1,), [0.75]),
    ]


def test_examples_are_rows_that_share_their_context(decode_request):
    tensors = decode_request("/v1/models/m:regress", {"context": {"day": 3}, "examples": [{"sku": "a"}, {"sku": "b", "day": 4}]}).tensors
    assert tensors == [Tensor("day", "INT64", (2,), [3, 4]), Tensor("sku", "BYTES", (2,), ["a", "b"])]


@pytest.mark.parametrize("key", ["results", "result"])
def test_classifications_are_classes_and_scores(decode_reply, key):
    results = [[["spam", 0.75], ["ham", 0.25]], [["spam", 0.5], ["ham", 0.5]]]
    assert decode_reply("/v1/models/m:classify", {key: results}).tensors == [
        Tensor("classes", "BYTES", (2, 2), ["spam", "ham", "spam", "ham"]),
        Tensor("scores", "FP64", (2, 2), [0.75, 0.25, 0.5, 0.5]),
    ]


@pytest.mark.parametrize("results", [[[["spam", [0.5, 0.5]]]], [[["spam", 0.75]], [["spam", 0.5], ["ham", 0.5]]], [[["spam", 0.75], 1]]])
def test_ragged_classifications_are_refused(decode_reply, results):
    assert decode_reply("/v1/models/m:classify", {"results": results}).reason is Undecodable.RAGGED


def test_regressions_are_predictions(decode_reply):
    assert decode_reply("/v1/models/m:regress", {"results": [1.5, 2.5]}).tensors == [Tensor("predictions", "FP64", (2,), [1.5, 2.5])]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"instances": [1], "inputs": [1]}, Undecodable.MALFORMED),
        ({"instances": [{"a": 1}, 2]}, Undecodable.MALFORMED),
        ({"instances": [1, {"a": {"b": 1}}]}, Undecodable.MALFORMED),
        ({"instances": [{"b64": 7}]}, Undecodable.MALFORMED),
        ({"instances": [{"b64": "ä"}]}, Undecodable.MALFORMED),
        ({"examples": None}, Undecodable.MALFORMED),
        ({"context": 1, "examples": [{}]}, Undecodable.MALFORMED),
        ({"context": {}}, Undecodable.UNKNOWN_FORMAT),
        ({"instances": [[1, 2], [3]]}, Undecodable.RAGGED),
        ({"instances": [1, [2]]}, Undecodable.RAGGED),
        ({"instances": [{"a": [1]}, {}]}, Undecodable.RAGGED),
        ({"prompt": "hello"}, Undecodable.UNKNOWN_FORMAT),
        ([1], Undecodable.MALFORMED),
    ],
)
def test_other_requests_are_refused_with_their_reason(decode_request, document, reason):
    assert decode_request(PREDICT, document) == Failed("v1", reason, "fraud")


def test_explanations_are_read_where_they_are_values(decode_bodies):
    request, reply = decode_bodies("/v1/models/fraud:explain", {"instances": [[1.5, 2.5]]}, {"explanations": [[0.25, 0.5]]})
    assert request.tensors == [Tensor("inputs", "FP64", (1, 2), [1.5, 2.5])]
    assert reply.tensors == [Tensor("explanations", "FP64", (1, 2), [0.25, 0.5])]
