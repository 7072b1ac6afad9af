import struct

import pytest

from payloads.decoding import decode, wire_format
from records.exchange import Exchange, Role
from records.payload import Tensor, Undecodable

PATH = "/invocations"
ROWS = [Tensor("inputs", "FP64", (2, 2), [1.5, 2.0, None, 4.0])]


@pytest.fixture
def decode_as_sagemaker(body):
    def decode_as_sagemaker(request, response=b""):
        exchange = Exchange(bytes(16), "r", Role.SERVED, "default", "upstream", 1, "POST", PATH, status=200, request=request, response=response or body(b""))
        return decode(exchange, wire_format("sagemaker"))

    return decode_as_sagemaker


@pytest.mark.parametrize("ending", ["\n", "\r\n", ""])
def test_csv_without_a_header_is_one_tensor(decode_request, body, ending):
    decoded = decode_request(PATH, body(f"1.5,2\n,4{ending}".encode(), content_type="text/csv"))
    assert (decoded.format, decoded.tensors) == ("sagemaker", ROWS)


def test_csv_with_text_and_numbers_is_mixed(decode_request, body):
    assert decode_request(PATH, body(b"41,Bonn\n", content_type="text/csv")).tensors == [Tensor("inputs", "JSON", (1, 2), [41.0, "Bonn"])]


@pytest.mark.parametrize("header", [b"age,city", b"0,1"])
def test_csv_with_a_header_is_mlflows(decode_request, body, header):
    decoded = decode_request(PATH, body(header + b"\n41,23\n", content_type="text/csv"))
    assert decoded.format == "mlflow"
    assert [tensor.name for tensor in decoded.tensors] == header.decode().split(",")


def test_a_header_is_read_where_sagemaker_is_set_or_meant(decode_request, body):
    message = body(b"age,city\n41,Bonn\n", content_type="text/csv", fields={"x-amzn-sagemaker-target-model": "a.tar.gz"})
    decoded = decode_request(PATH, message)
    assert decoded.format == "sagemaker"
    assert decoded.tensors == [Tensor("age", "FP64", (1,), [41.0]), Tensor("city", "BYTES", (1,), ["Bonn"])]


@pytest.mark.parametrize("content_type", ["application/jsonlines", "application/x-ndjson"])
def test_json_lines_are_rows(decode_request, decode_reply, body, content_type):
    lines = b'{"age": 41, "city": "Bonn"}\n\n{"age": 23, "city": "Ulm"}\n'
    decoded = decode_request(PATH, body(lines, content_type=content_type))
    assert decoded.tensors == [Tensor("age", "INT64", (2,), [41, 23]), Tensor("city", "BYTES", (2,), ["Bonn", "Ulm"])]
    assert decode_reply(PATH, body(b"0.5\n0.25\n", content_type=content_type)).tensors == [Tensor("predictions", "FP64", (2,), [0.5, 0.25])]


def test_a_reply_in_csv_tells_that_the_service_is_sagemakers(decode_reply, body):
    decoded = decode_reply(PATH, body(b"0.5\n0.25\n", content_type="text/csv; charset=utf-8"))
    assert (decoded.format, decoded.tensors) == ("sagemaker", [Tensor("predictions", "FP64", (2, 1), [0.5, 0.25])])


def test_json_is_read_by_its_members_or_as_it_is(decode_as_sagemaker, body):
    request, reply = decode_as_sagemaker(body({"instances": [{"features": [1.5, 2.5]}]}), body({"predictions": [{"score": 0.25, "predicted_label": 0}]}))
    assert request.tensors == [Tensor("features", "FP64", (1, 2), [1.5, 2.5])]
    assert reply.tensors == [Tensor("score", "FP64", (1,), [0.25]), Tensor("predicted_label", "INT64", (1,), [0])]
    request, reply = decode_as_sagemaker(body({"inputs": "I like it"}), body([{"label": "POSITIVE", "score": 0.5}]))
    assert request.tensors == [Tensor("inputs", "BYTES", (1,), ["I like it"])]
    assert [tensor.name for tensor in reply.tensors] == ["label", "score"]
    assert decode_as_sagemaker(body({"age": 41}))[0].tensors == [Tensor("age", "INT64", (1,), [41])]


def test_tritons_content_type_is_open_inference_with_its_length_there(decode_bodies, body):
    head = b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":8}}]}'
    content_type = f"application/vnd.sagemaker-triton.binary+json;json-header-size={len(head)}"
    message = body(head + struct.pack("<2f", 1.5, 2.5), content_type=content_type)
    reply = body({"outputs": [{"name": "y", "shape": [1], "datatype": "INT64", "data": [1]}]}, content_type="application/vnd.sagemaker-triton.binary+json")
    request, answer = decode_bodies(PATH, message, reply)
    assert (request.format, request.tensors) == ("sagemaker", [Tensor("x", "FP32", (1, 2), [1.5, 2.5])])
    assert answer.tensors == [Tensor("y", "INT64", (1,), [1])]


@pytest.mark.parametrize("content_type", ["application/x-npy", "text/libsvm"])
def test_encodings_that_are_not_read_are_no_data(decode_as_sagemaker, body, content_type):
    assert decode_as_sagemaker(body(b"1", content_type=content_type))[0].reason is Undecodable.NO_DATA


@pytest.mark.parametrize(
    ("content", "content_type", "reason"),
    [
        (b"1,2\n3\n", "text/csv", Undecodable.RAGGED),
        (b"\n \n"[:1], "text/csv", Undecodable.EMPTY),
        (b"\xff,1\n", "text/csv", Undecodable.MALFORMED),
        (b"1" + b",1" * 100_001, "text/csv", Undecodable.TOO_LARGE),
        (b"1\n" * 100_001, "application/jsonlines", Undecodable.TOO_LARGE),
        (b"\n\n", "application/jsonlines", Undecodable.EMPTY),
        (b"1\n{\n", "application/jsonlines", Undecodable.MALFORMED),
    ],
)
def test_other_bodies_are_refused_with_their_reason(decode_as_sagemaker, body, content, content_type, reason):
    assert decode_as_sagemaker(body(content, content_type=content_type))[0].reason is reason
