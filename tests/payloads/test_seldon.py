import pytest

from records.payload import Failed, Tensor, Undecodable

PATH = "/seldon/models/iris/api/v1.0/predictions"


def test_the_names_of_an_array_name_the_features(decode_request):
    document = {"data": {"names": ["length", "kind"], "ndarray": [[5.1, "a"], [4.9, "b"]]}}
    assert decode_request(PATH, document).tensors == [Tensor("inputs", "JSON", (2, 2), [5.1, "a", 4.9, "b"], ("length", "kind"))]


@pytest.mark.parametrize(
    "data",
    [
        {"ndarray": [[1.5, 2.5]]},
        {"tensor": {"shape": [1, 2], "values": [1.5, 2.5]}},
        {"tftensor": {"dtype": "DT_FLOAT", "tensorShape": {"dim": [{"size": "1"}, {"size": "2"}]}, "floatVal": [1.5, 2.5]}},
        {"names": ["one name for two columns"], "ndarray": [[1.5, 2.5]]},
    ],
    ids=lambda data: next(reversed(data)),
)
def test_every_form_of_one_matrix_is_the_same_tensor(decode_request, data):
    assert decode_request(PATH, {"meta": {"puid": "p"}, "data": data}).tensors == [Tensor("inputs", "FP64", (1, 2), [1.5, 2.5])]


def test_a_dense_tensors_columns_have_their_names(decode_request):
    data = {"names": ["a", "b"], "tensor": {"shape": [2, 2], "values": [1, 2, 3, 4]}}
    assert decode_request(PATH, {"data": data}).tensors == [Tensor("inputs", "FP64", (2, 2), [1.0, 2.0, 3.0, 4.0], ("a", "b"))]


def test_a_reply_is_one_vector_with_named_columns(decode_reply):
    reply = {"meta": {"puid": "p", "requestPath": {"iris": "image:1"}}, "data": {"names": ["t:0", "t:1"], "ndarray": [[0.25, 0.75]]}}
    assert decode_reply(PATH, reply).tensors == [Tensor("predictions", "FP64", (1, 2), [0.25, 0.75], ("t:0", "t:1"))]


def test_tensorflows_integers_and_texts_are_read(decode_request):
    shape = {"dim": [{"size": 2}]}
    assert decode_request(PATH, {"data": {"tftensor": {"tensorShape": shape, "int64Val": ["7", "-1"]}}}).tensors[0].values == [7, -1]
    assert decode_request(PATH, {"data": {"tftensor": {"tensorShape": shape, "stringVal": ["aGk=", "eW8="]}}}).tensors[0].values == ["hi", "yo"]


def test_text_and_json_are_read(decode_request, decode_reply):
    assert decode_request(PATH, {"strData": "a film"}).tensors == [Tensor("inputs", "BYTES", (1,), ["a film"])]
    assert decode_reply(PATH, {"jsonData": {"label": "good", "scores": {"good": 0.9}}}).tensors == [
        Tensor("label", "BYTES", (1,), ["good"]),
        Tensor("scores.good", "FP64", (1,), [0.9]),
    ]


def test_the_deployment_is_the_model(decode_request):
    assert decode_request(PATH, {"strData": ""}).model == "iris"
    assert decode_request("/api/v0.1/predictions", {"strData": ""}).model == ""


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"binData": "AAAA"}, Undecodable.NO_DATA),
        ({"data": {"names": []}}, Undecodable.NO_DATA),
        ({"data": {"tftensor": {"tensorContent": "AAAA"}}}, Undecodable.NO_DATA),
        ({"meta": {}}, Undecodable.UNKNOWN_FORMAT),
        ({"data": {"ndarray": [[1, 2], [3]]}}, Undecodable.RAGGED),
        ({"data": {"tensor": {"shape": [2, 2], "values": [1]}}}, Undecodable.MALFORMED),
        ({"data": {"tensor": {"shape": [-1], "values": [1]}}}, Undecodable.MALFORMED),
        ({"data": {"tensor": {"shape": [9] * 5_000, "values": [1]}}}, Undecodable.MALFORMED),
        ({"data": {"tensor": {"shape": [10**9, 0], "values": []}}}, Undecodable.TOO_LARGE),
        ({"data": {"tftensor": {"tensorShape": {"dim": [{"size": "x"}]}, "floatVal": [1]}}}, Undecodable.MALFORMED),
        ({"data": {"tftensor": {"tensorShape": {"dim": [{"size": 1}]}, "int64Val": ["x"]}}}, Undecodable.MALFORMED),
        ({"data": 1}, Undecodable.MALFORMED),
        ({"status": {"status": "FAILURE", "code": 500}}, Undecodable.ERROR_REPLY),
    ],
)
def test_other_messages_are_refused_with_their_reason(decode_reply, document, reason):
    assert decode_reply(PATH, document) == Failed("seldon", reason, "iris")
