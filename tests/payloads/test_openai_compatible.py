import base64
import gzip
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payloads.openai_compatible import model_of
from records.payload import Failed, Tensor, Undecodable

CHAT = "/v1/chat/completions"
COMPLETIONS = "/openai/v1/completions"
EMBEDDINGS = "/v1/embeddings"
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12, "prompt_tokens_details": {"cached_tokens": 0}}


def columns(decoded):
    return {tensor.name: tensor.values if len(tensor.values) > 1 else tensor.values[0] for tensor in decoded.tensors}


def chunk(delta, finish_reason=None, **rest):
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "llama", "choices": [choice], **rest}


PIECES = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Hel"}),
    chunk({"content": "lo"}),
    chunk({"content": "!"}),
    chunk({}, "stop"),
    {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "llama", "choices": [], "usage": USAGE},
]


def events(pieces, ending="\n"):
    return [f"data: {json.dumps(piece)}{ending}{ending}".encode() for piece in pieces]


def test_a_chat_is_its_prompt_and_its_options(decode_request):
    decoded = decode_request(
        CHAT,
        {
            "model": "llama",
            "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image_url"}]}],
            "temperature": 0.5,
            "max_tokens": 20,
            "tools": [],
        },
    )
    assert (decoded.format, decoded.model) == ("openai", "llama")
    assert columns(decoded) == {"prompt": "Be kind.\nHi", "prompt_characters": 11, "messages": 2, "stream": False, "temperature": 0.5, "max_tokens": 20}
    assert decoded.tensors[0].datatype == "TEXT"


def test_an_answer_is_text_reason_and_tokens(decode_reply):
    reply = {"model": "llama-3", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello!"}, "finish_reason": "stop"}], "usage": USAGE}
    decoded = decode_reply(CHAT, reply)
    assert decoded.model == "llama-3"
    assert columns(decoded) == {
        "text": "Hello!",
        "text_characters": 6,
        "finish_reason": "stop",
        "tool_calls": 0,
        "prompt_tokens": 9,
        "completion_tokens": 3,
        "total_tokens": 12,
    }


def test_a_stream_says_what_the_same_answer_in_one_piece_says(decode_reply, body):
    content = b"".join(events(PIECES)) + b"data: [DONE]\n\n"
    reply = {"model": "llama", "choices": [{"index": 0, "message": {"content": "Hello!"}, "finish_reason": "stop"}], "usage": USAGE}
    assert decode_reply(CHAT, body(content, content_type="text/event-stream")) == decode_reply(CHAT, reply)


@given(cuts=st.sets(st.integers(1, 1_000), max_size=12), ending=st.sampled_from(["\n", "\r\n"]))
def test_the_first_token_came_with_the_piece_in_which_its_event_ended(decode_reply, body, cuts, ending):
    parts = events(PIECES, ending)
    content = b"".join(parts)
    ends = sorted({cut for cut in cuts if cut < len(content)} | {len(content)})
    times = [index * 1_000_000_000 for index in range(1, len(ends) + 1)]
    decoded = decode_reply(CHAT, body(content, content_type="text/event-stream", chunk_ends=tuple(ends), chunk_ns=tuple(times)))
    first = next(index for index, end in enumerate(ends, 1) if end >= len(b"".join(parts[:2])))
    last = next(index for index, end in enumerate(ends, 1) if end >= len(b"".join(parts[:4])))
    timing = columns(decoded)
    assert timing["time_to_first_token_seconds"] == first
    assert timing["time_per_output_token_seconds"] == (last - first) / 2


def test_times_of_a_compressed_stream_are_not_guessed(decode_reply, body):
    content = gzip.compress(b"".join(events(PIECES)))
    message = body(content, content_type="text/event-stream", content_encoding="gzip", chunk_ends=(len(content),), chunk_ns=(1,))
    assert columns(decode_reply(CHAT, message))["text"] == "Hello!"
    assert "time_to_first_token_seconds" not in columns(decode_reply(CHAT, message))


def test_calls_of_tools_are_counted_whole_and_streamed(decode_reply, body):
    calls = [{"id": "1", "function": {"name": "f", "arguments": "{}"}}, {"id": "2", "function": {"name": "g", "arguments": "{}"}}]
    reply = {"choices": [{"index": 0, "message": {"content": None, "tool_calls": calls}, "finish_reason": "tool_calls"}]}
    assert columns(decode_reply(CHAT, reply))["tool_calls"] == 2
    pieces = [chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}) for index in (0, 1) for piece in ("{", "}")]
    assert columns(decode_reply(CHAT, body(b"".join(events(pieces)), content_type="text/event-stream")))["tool_calls"] == 2


def test_choices_are_values_of_one_row_in_their_order(decode_reply):
    reply = {"choices": [{"index": 1, "text": "b", "finish_reason": "length"}, {"index": 0, "text": "a", "finish_reason": "stop"}]}
    text, characters, reason, _ = decode_reply(COMPLETIONS, reply).tensors
    assert (text.shape, text.values, reason.values) == ((1, 2), ["a", "b"], ["stop", "length"])
    assert characters == Tensor("text_characters", "INT64", (1, 2), [1, 1])


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Say hi", {"prompt": "Say hi", "prompt_characters": 6}),
        (["a", "b"], {"prompt": "a\nb", "prompt_characters": 3}),
        ([1, 2, 3], {"prompt": None, "prompt_characters": None, "prompt_tokens": 3}),
        ([[1, 2], [3]], {"prompt": None, "prompt_characters": None, "prompt_tokens": 3}),
    ],
)
def test_prompts_are_texts_or_tokens(decode_request, prompt, expected):
    assert columns(decode_request(COMPLETIONS, {"prompt": prompt, "stream": True})) == expected | {"stream": True}


def test_embeddings_are_a_vector_per_input(decode_bodies):
    packed = base64.b64encode(struct.pack("<2f", 0.5, -1.5)).decode()
    data = [{"object": "embedding", "index": 0, "embedding": packed}, {"object": "embedding", "index": 1, "embedding": [0.25, 1]}]
    request, reply = decode_bodies(EMBEDDINGS, {"model": "e", "input": ["a", "bc"]}, {"model": "e", "data": data, "usage": {"total_tokens": 4}})
    assert columns(request) == {"input": ["a", "bc"], "input_characters": [1, 2]}
    assert reply.tensors[0] == Tensor("embedding", "FP64", (2, 2), [0.5, -1.5, 0.25, 1.0])
    assert decode_bodies(EMBEDDINGS, {"input": [[1, 2], [3]]})[0].tensors == [Tensor("input_tokens", "INT64", (2,), [2, 1])]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"model": "m"}, Undecodable.UNKNOWN_FORMAT),
        ({"messages": [1]}, Undecodable.MALFORMED),
        ({"prompt": [1, "a"]}, Undecodable.MALFORMED),
        ({"prompt": [{"a": 1}]}, Undecodable.MALFORMED),
        ([1], Undecodable.MALFORMED),
    ],
)
def test_other_requests_are_refused_with_their_reason(decode_request, document, reason):
    assert decode_request(CHAT, document) == Failed("openai", reason)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"choices": []}, Undecodable.UNKNOWN_FORMAT),
        ({"data": [{"embedding": "!"}]}, Undecodable.MALFORMED),
        ({"data": [{"embedding": "AAAAAAA="}]}, Undecodable.MALFORMED),
        ({"data": [{"embedding": [1]}, {"embedding": [1, 2]}]}, Undecodable.RAGGED),
        ({"data": [{"embedding": [0.5] * 1_001}] * 100}, Undecodable.TOO_LARGE),
    ],
)
def test_other_replies_are_refused_with_their_reason(decode_reply, document, reason):
    assert decode_reply(CHAT, document) == Failed("openai", reason)


def test_an_error_in_a_stream_is_an_error(decode_reply, body):
    content = b"".join(events([*PIECES[:2], {"error": {"message": "out of memory"}}]))
    assert decode_reply(CHAT, body(content, content_type="text/event-stream")).reason is Undecodable.ERROR_REPLY


def test_an_event_may_span_lines_and_one_without_its_end_is_none(decode_reply, body):
    content = b': ping\n\nevent: x\ndata: {"choices": [{"index": 0,\ndata: "text": "a"}]}\n\ndata: {"choices": [{"index": 0, "text": "b"}]}\n'
    assert columns(decode_reply(COMPLETIONS, body(content, content_type="text/event-stream")))["text"] == "a"


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"model": 1}', b"\xff", b'{"x":' + b"[" * 5_000])
def test_a_request_that_names_no_model_names_none(content):
    assert model_of(content) == ""
    assert model_of(b'{"messages": [], "model": "llama"}') == "llama"
