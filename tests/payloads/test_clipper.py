import pytest

from records.payload import Failed, Tensor, Undecodable

PATH = "/fraud/predict"


def test_an_input_is_a_row_and_a_batch_is_rows(decode_request):
    assert decode_request(PATH, {"input": [1.5, 2.5]}).tensors == [Tensor("inputs", "FP64", (1, 2), [1.5, 2.5])]
    assert decode_request(PATH, {"input": "a text"}).tensors == [Tensor("inputs", "BYTES", (1,), ["a text"])]
    assert decode_request(PATH, {"input_batch": [[1, 2], [3, 4]]}).tensors == [Tensor("inputs", "INT64", (2, 2), [1, 2, 3, 4])]
    assert decode_request(PATH, {"input": [1]}).model == "fraud"


def test_a_reply_says_whether_it_is_only_the_default(decode_reply):
    expected = [Tensor("output", "FP64", (1,), [0.5]), Tensor("default", "BOOL", (1,), [False])]
    assert decode_reply(PATH, {"query_id": 7, "output": 0.5, "default": False}).tensors == expected
    batch = {"batch_predictions": [{"query_id": 7, "output": 0.5, "default": False}, {"query_id": 8, "output": 0.0, "default": True}]}
    assert decode_reply(PATH, batch).tensors == [Tensor("output", "FP64", (2,), [0.5, 0.0]), Tensor("default", "BOOL", (2,), [False, True])]


def test_another_service_at_such_a_path_is_not_taken_for_it(decode_bodies):
    assert decode_bodies(PATH, {"features": [1]}, {"output": 1}) == (Failed("", Undecodable.UNKNOWN_FORMAT),) * 2


@pytest.mark.parametrize("reply", [{"query_id": 1}, {"query_id": 1, "batch_predictions": 1}, {"batch_predictions": [{"query_id": 1}]}])
def test_replies_of_another_form_are_of_no_known_form(decode_reply, reply):
    assert decode_reply(PATH, reply) == Failed("clipper", Undecodable.UNKNOWN_FORMAT, "fraud")
