import json

import pytest

from records.payload import Failed, Tensor, Undecodable

PATH = "/score"
TABLE = [Tensor("age", "INT64", (2,), [41, 23]), Tensor("city", "BYTES", (2,), ["Bonn", "Ulm"])]
RECORDS = [{"age": 41, "city": "Bonn"}, {"age": 23, "city": "Ulm"}]


@pytest.mark.parametrize(
    "document",
    [
        {"input_data": {"columns": ["age", "city"], "index": [0, 1], "data": [[41, "Bonn"], [23, "Ulm"]]}, "params": {}},
        {"input_data": RECORDS},
        {"input_data": {"age": [41, 23], "city": ["Bonn", "Ulm"]}},
        {"data": RECORDS},
        {"Inputs": {"data": RECORDS}, "GlobalParameters": {"method": "predict"}},
        {"Inputs": {"WebServiceInput0": RECORDS}},
    ],
)
def test_one_table_is_the_same_tensors_in_every_form(decode_request, document):
    assert decode_request(PATH, document).tensors == TABLE


@pytest.mark.parametrize("reply", [[1.5, 2.5], {"result": [1.5, 2.5]}, {"Results": [1.5, 2.5]}, {"Results": {"WebServiceOutput0": [1.5, 2.5]}}])
def test_predictions_are_read_in_every_form_also_as_json_within_json(decode_reply, reply):
    expected = [Tensor("predictions", "FP64", (2,), [1.5, 2.5])]
    assert decode_reply(PATH, reply).tensors == expected
    assert decode_reply(PATH, json.dumps(reply)).tensors == expected


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"question": "?"}, Undecodable.UNKNOWN_FORMAT),
        ({"data": [1], "input_data": [1]}, Undecodable.MALFORMED),
        ([1], Undecodable.MALFORMED),
        ({"data": [[1], [2, 3]]}, Undecodable.RAGGED),
    ],
)
def test_other_requests_are_refused_with_their_reason(decode_request, document, reason):
    assert decode_request(PATH, document) == Failed("azureml", reason)


def test_an_error_under_a_good_status_is_an_error(decode_reply):
    assert decode_reply(PATH, {"error": "no such column"}).reason is Undecodable.ERROR_REPLY
    assert decode_reply(PATH, "not JSON").reason is Undecodable.MALFORMED
