import pytest

from payloads.decoding import decode, wire_format
from payloads.json_services import JsonService
from records.exchange import Exchange, Role
from records.payload import Failed, Tensor, Undecodable


@pytest.fixture
def decode_by(body):
    def decode_by(features, predictions, request=b"", response=b""):
        exchange = Exchange(
            bytes(16), "r", Role.SERVED, "default", "upstream", 1, "POST", "/ask?now", status=200, request=body(request), response=body(response)
        )
        return decode(exchange, wire_format("json", features=features, predictions=predictions))

    return decode_by


def test_expressions_pick_and_name_what_is_watched(decode_by):
    request, reply = decode_by(
        "customers[].{age: age, city: address.city}",
        "result.scores",
        {"customers": [{"age": 41, "address": {"city": "Bonn"}, "id": 7}, {"age": 23, "address": {}, "id": 8}]},
        {"result": {"scores": [0.25, 0.75]}},
    )
    assert request.tensors == [Tensor("age", "INT64", (2,), [41, 23]), Tensor("city", "BYTES", (2,), ["Bonn", None])]
    assert reply.tensors == [Tensor("predictions", "FP64", (2,), [0.25, 0.75])]


@pytest.mark.parametrize(
    ("features", "tensors"),
    [
        ("", [Tensor("x", "INT64", (1, 3), [1, 2, 3]), Tensor("y", "INT64", (1,), [4])]),
        ("x", [Tensor("inputs", "INT64", (3,), [1, 2, 3])]),
        ("[x]", [Tensor("inputs", "INT64", (1, 3), [1, 2, 3])]),
        ("y", [Tensor("inputs", "INT64", (1,), [4])]),
        ("{first: x[0]}", [Tensor("first", "INT64", (1,), [1])]),
    ],
)
def test_a_list_is_rows_and_anything_else_is_one(decode_by, features, tensors):
    assert decode_by(features, "", {"x": [1, 2, 3], "y": 4})[0].tensors == tensors


@pytest.mark.parametrize(
    ("features", "document", "reason"),
    [
        ("absent", {"x": 1}, Undecodable.NO_DATA),
        ("sum(x)", {"x": "text"}, Undecodable.MALFORMED),
        ("ceil(x)", b'{"x": Infinity}', Undecodable.MALFORMED),
        ("to_number(x)", {"x": "9" * 400}, Undecodable.MALFORMED),
        ("&x", {"x": 1}, Undecodable.MALFORMED),
        ("x", [], Undecodable.NO_DATA),
        ("x", b"text", Undecodable.MALFORMED),
    ],
)
def test_what_an_expression_does_not_find_has_its_reason(decode_by, features, document, reason):
    assert decode_by(features, "", document)[0] == Failed("json", reason)


@pytest.mark.parametrize("expression", ["a[", "unknown(@)", "a b", "(" * 5_000])
def test_an_expression_that_is_none_is_refused_in_one_line(expression):
    with pytest.raises(ValueError, match="expected a JMESPath expression, found") as error:
        JsonService("", expression)
    assert "\n" not in str(error.value)
