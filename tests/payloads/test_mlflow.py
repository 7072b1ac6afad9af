import csv
import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.payload import Failed, Tensor, Undecodable

PATH = "/invocations"
TABLE = [Tensor("age", "INT64", (2,), [41, 23]), Tensor("city", "BYTES", (2,), ["Bonn", None])]


def as_csv(body, text, content_type="text/csv"):
    return body(text if isinstance(text, bytes) else text.encode(), content_type=content_type)


@pytest.mark.parametrize(
    "document",
    [
        {"dataframe_split": {"index": [0, 1], "columns": ["age", "city"], "data": [[41, "Bonn"], [23, None]]}},
        {"dataframe_records": [{"age": 41, "city": "Bonn"}, {"age": 23, "city": None}], "params": {"threshold": 0.5}},
        {"dataframe_records": [{"age": 41, "city": "Bonn"}, {"age": 23}]},
        {"instances": [{"age": 41, "city": "Bonn"}, {"age": 23, "city": None}]},
        {"inputs": {"age": [41, 23], "city": ["Bonn", None]}},
    ],
)
def test_one_table_is_the_same_tensors_in_every_form(decode_request, document):
    assert decode_request(PATH, document).tensors == TABLE


def test_a_frame_without_column_names_is_one_tensor(decode_request):
    assert decode_request(PATH, {"dataframe_split": {"data": [[1.5, 2.5]]}}).tensors == [Tensor("inputs", "FP64", (1, 2), [1.5, 2.5])]
    assert decode_request(PATH, {"inputs": [[1.5, 2.5]]}).tensors == [Tensor("inputs", "FP64", (1, 2), [1.5, 2.5])]


def test_column_names_that_are_numbers_become_text(decode_request):
    assert decode_request(PATH, {"dataframe_split": {"columns": [0], "data": [[1]]}}).tensors == [Tensor("0", "INT64", (1,), [1])]


def test_an_empty_frame_has_no_rows(decode_request):
    assert [tensor.shape for tensor in decode_request(PATH, {"dataframe_split": {"columns": ["a", "b"], "data": []}}).tensors] == [(0,), (0,)]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=5)


@given(
    numbers=st.lists(st.floats(allow_nan=False), min_size=1, max_size=5),
    text=CELLS.filter(lambda cell: cell not in {"NA", "N/A", "NaN", "nan", "null", "NULL", "None"}),
)
def test_csv_arrives_as_it_was_written(decode_request, body, numbers, text):
    written = io.StringIO()
    csv.writer(written).writerows([["number", "text"], *([number, "x" + text] for number in numbers)])
    assert decode_request(PATH, as_csv(body, written.getvalue(), "text/csv; charset=utf-8")).tensors == [
        Tensor("number", "FP64", (len(numbers),), numbers),
        Tensor("text", "BYTES", (len(numbers),), ["x" + text] * len(numbers)),
    ]


def test_empty_and_na_cells_are_missing(decode_request, body):
    tensors = decode_request(PATH, as_csv(body, "\ufeffage,city\r\n41,\r\nNaN,Bonn\r\n\r\n")).tensors
    assert tensors == [Tensor("age", "FP64", (2,), [41.0, None]), Tensor("city", "BYTES", (2,), [None, "Bonn"])]


def test_one_word_makes_a_column_text(decode_request, body):
    assert decode_request(PATH, as_csv(body, "zip\n53111\nunknown\n")).tensors == [Tensor("zip", "BYTES", (2,), ["53111", "unknown"])]


@pytest.mark.parametrize(
    ("predictions", "tensors"),
    [
        ([1, 0], [Tensor("predictions", "INT64", (2,), [1, 0])]),
        ([[0.25, 0.75]], [Tensor("predictions", "FP64", (1, 2), [0.25, 0.75])]),
        ([{"label": "a", "score": 0.5}], [Tensor("label", "BYTES", (1,), ["a"]), Tensor("score", "FP64", (1,), [0.5])]),
        ({"label": ["a"], "score": [0.5]}, [Tensor("label", "BYTES", (1,), ["a"]), Tensor("score", "FP64", (1,), [0.5])]),
        (0.5, [Tensor("predictions", "FP64", (1,), [0.5])]),
    ],
)
def test_predictions_are_rows_records_or_columns(decode_reply, predictions, tensors):
    assert decode_reply(PATH, {"predictions": predictions}).tensors == tensors


def test_a_reply_is_json_even_to_csv(decode_bodies, body):
    request, reply = decode_bodies(PATH, as_csv(body, "a\n1\n"), b'{"predictions": [NaN]}')
    assert request.tensors == [Tensor("a", "FP64", (1,), [1.0])]
    assert math.isnan(reply.tensors[0].values[0])


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [3]]}}, Undecodable.RAGGED),
        ({"dataframe_split": {"columns": ["a"], "data": [1]}}, Undecodable.MALFORMED),
        ({"dataframe_split": {"columns": "a", "data": [[1]]}}, Undecodable.MALFORMED),
        ({"dataframe_split": [1]}, Undecodable.MALFORMED),
        ({"dataframe_records": [{}], "inputs": [1]}, Undecodable.MALFORMED),
        ({"messages": "hello"}, Undecodable.MALFORMED),
        ({"params": {}}, Undecodable.UNKNOWN_FORMAT),
    ],
)
def test_other_requests_are_refused_with_their_reason(decode_request, document, reason):
    assert decode_request(PATH, document) == Failed("mlflow", reason)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a,b\n1\n", Undecodable.RAGGED),
        ("\r\n", Undecodable.EMPTY),
        (b"a\n\xff\n", Undecodable.MALFORMED),
        ('a\n"' + "x" * 200_000 + '"\n', Undecodable.MALFORMED),
    ],
    ids=["ragged", "blank", "not UTF-8", "a cell without end"],
)
def test_other_csv_is_refused_with_its_reason(decode_request, body, text, reason):
    assert decode_request(PATH, as_csv(body, text)).reason is reason


def test_a_language_models_bodies_are_those_of_openais_api(decode_bodies, body):
    request, reply = decode_bodies(
        PATH,
        {"messages": [{"role": "user", "content": "hello"}], "temperature": 0.5},
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]},
    )
    assert (request.format, reply.format) == ("mlflow", "mlflow")
    assert request.tensors[0].values == ["hello"]
    assert reply.tensors[0].values == ["hi"]
    stream = body(b'data: {"choices": [{"index": 0, "delta": {"content": "hi"}}]}\n\n', content_type="text/event-stream")
    assert decode_bodies(PATH, b"", stream)[1].tensors[0].values == ["hi"]
