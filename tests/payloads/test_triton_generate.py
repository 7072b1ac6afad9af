import json
from itertools import accumulate

import pytest

from records.payload import Tensor, Undecodable

PATH = "/v2/models/llama/generate"
STREAM = PATH + "_stream"


def stream(*documents):
    return b"".join(b"data: " + json.dumps(document).encode() + b"\n\n" for document in documents)


def test_the_prompt_is_text_and_parameters_are_numbers(decode_request):
    decoded = decode_request(PATH, {"id": "7", "text_input": "Say hi", "parameters": {"max_tokens": 5, "stream": False}})
    assert (decoded.format, decoded.model) == ("generate", "llama")
    assert decoded.tensors == [
        Tensor("text_input", "TEXT", (1, 1), ["Say hi"]),
        Tensor("text_input_characters", "INT64", (1, 1), [6]),
        Tensor("parameters.max_tokens", "INT64", (1,), [5]),
        Tensor("parameters.stream", "BOOL", (1,), [False]),
    ]


def test_a_reply_names_its_model_and_several_texts_are_one_row(decode_reply):
    decoded = decode_reply(PATH, {"model_name": "llama", "model_version": "3", "text_output": ["hi", "hello"], "score": 0.5})
    assert (decoded.model, decoded.version) == ("llama", "3")
    assert decoded.tensors[1:] == [Tensor("text_output_characters", "INT64", (1, 2), [2, 5]), Tensor("score", "FP64", (1,), [0.5])]


def test_a_models_own_outputs_are_read_where_there_is_no_text(decode_reply):
    assert decode_reply(PATH, {"model_name": "llama", "label": "spam"}).tensors == [Tensor("label", "BYTES", (1,), ["spam"])]


def test_the_pieces_of_a_stream_are_one_text_with_its_times(decode_reply, body):
    pieces = [stream({"model_name": "llama", "model_version": "1", "text_output": piece}) for piece in ("he", "ll", "o")]
    ends = tuple(accumulate(map(len, pieces)))
    message = body(b"".join(pieces), content_type="text/event-stream", chunk_ends=ends, chunk_ns=(200_000_000, 300_000_000, 400_000_000))
    assert decode_reply(STREAM, message).tensors == [
        Tensor("text_output", "TEXT", (1, 1), ["hello"]),
        Tensor("text_output_characters", "INT64", (1, 1), [5]),
        Tensor("time_to_first_token_seconds", "FP64", (1,), [0.2]),
        Tensor("time_per_output_token_seconds", "FP64", (1,), [pytest.approx(0.1)]),
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (stream({"text_output": "he"}, {"error": "out of memory"}), Undecodable.ERROR_REPLY),
        (b"data: {\n\n", Undecodable.MALFORMED),
        (b"data: [1]\n\n", Undecodable.MALFORMED),
        (b": only a comment\n\n", Undecodable.NO_DATA),
        (b"data: {}\n\n" * 100_001, Undecodable.TOO_LARGE),
    ],
)
def test_other_streams_are_refused_with_their_reason(decode_reply, body, content, reason):
    assert decode_reply(STREAM, body(content, content_type="text/event-stream; charset=utf-8")).reason is reason


@pytest.mark.parametrize("document", [{"text_input": 7}, {"text_input": ["a", 1]}, {}])
def test_other_requests_are_of_no_known_form(decode_request, document):
    assert decode_request(PATH, document).reason is Undecodable.UNKNOWN_FORMAT
