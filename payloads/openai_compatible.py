"""OpenAI's HTTP API, as vLLM, KServe, LiteLLM and others serve it: chat completions, completions and embeddings.

Source: OpenAI's published OpenAPI description, and what vLLM's server sends beyond it. An exchange is one row, or for
embeddings a row per input. Text is kept as text, and watched by its length, the tokens that the service counted and the reasons for which it
ended; of a stream also by the time until its first token, and per token after that.
"""

from __future__ import annotations

import binascii
import re
import struct
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from payloads.event_streams import events, is_stream, timing_tensors
from payloads.json_documents import convert, load_object
from payloads.nested_lists import tensor_of
from payloads.refusal import Refused
from payloads.texts import text_tensors
from records.exchange import Body
from records.payload import Decoded, Tensor, Undecodable

NAME: Final = "openai"
PATH: Final = re.compile(r".*/(?:v1|deployments/(?P<model>[^/]+))/(?:chat/completions|completions|embeddings)/?")

_OPTIONS: Final = ("temperature", "top_p", "max_tokens", "max_completion_tokens", "n")
_NUMBERS: Final = frozenset({int, float})
_ONE_ROW: Final = (1,)


class _Part(msgspec.Struct, gc=False):
    text: str | None = None


class _Call(msgspec.Struct, gc=False):
    index: int | None = None


class _Message(msgspec.Struct, gc=False):
    """A message, or what a piece of a stream adds to it."""

    content: str | list[_Part] | None = None
    tool_calls: list[_Call] | None = None

    def text(self) -> str:
        if isinstance(self.content, list):
            return "".join(part.text or "" for part in self.content)
        return self.content or ""


class _Request(msgspec.Struct, gc=False):
    messages: list[_Message] | None = None
    prompt: str | list[Any] | None = None
    input: str | list[Any] | None = None
    model: str | None = None
    stream: bool | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    message: _Message | None = None
    delta: _Message | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None


class _Embedding(msgspec.Struct, gc=False):
    embedding: list[float] | str


class _Reply(msgspec.Struct, gc=False):
    """A reply, or a piece of one that is streamed."""

    model: str | None = None
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    data: list[_Embedding] | None = None


def decode_request(content: bytes, body: Body, model: str, version: str) -> Decoded:  # noqa: ARG001 - every format reads alike
    """Return the prompt and the options that are numbers, or the inputs of embeddings."""
    document = load_object(content)
    request = convert(document, _Request)
    if request.input is not None:
        tensors = _listed_texts("input", request.input)
    elif request.messages is not None or request.prompt is not None:
        tensors = _prompt_tensors(request) + [tensor_of(name, document[name]) for name in _OPTIONS if type(document.get(name)) in _NUMBERS]
    else:
        raise Refused(Undecodable.UNKNOWN_FORMAT)
    return Decoded(NAME, tensors, model or request.model or "", version)


def decode_reply(content: bytes, body: Body, model: str, version: str) -> Decoded:
    """Return what was answered, why it ended and how many tokens it took, or the embeddings."""
    if is_stream(body):
        answer = _Answer((convert(event.document, _Reply), event.end_bytes) for event in events(content))
        return Decoded(NAME, answer.tensors() + answer.timing(body), answer.model or model, version)
    reply = convert(load_object(content), _Reply)
    tensors = _Answer([(reply, 0)]).tensors() if reply.data is None else [_embeddings(reply.data), *_usage_tensors(reply.usage)]
    return Decoded(NAME, tensors, reply.model or model, version)


class _Named(msgspec.Struct, gc=False):
    model: str = ""


def model_of(content: bytes) -> str:
    """Return the model that a request names, for who wants to know no more; empty where it names none."""
    try:
        return msgspec.json.decode(content, type=_Named).model
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return ""


class _Answer:
    """What a reply says, or what the pieces of a streamed one add up to. `texts` and `finish_reasons` are by the index of the choice."""

    def __init__(self, pieces: Iterable[tuple[_Reply, int]]) -> None:
        """Take each piece with the stream's length in bytes at its end."""
        self.model = ""
        self._texts: dict[int, list[str]] = {}
        self._finish_reasons: dict[int, str | None] = {}
        self._calls: set[tuple[int, int]] = set()
        self._usage: _Usage | None = None
        self._ends_bytes: list[int] = []  # of pieces that said something
        for piece, end_bytes in pieces:
            self.model = self.model or piece.model or ""
            self._usage = piece.usage or self._usage
            for choice in piece.choices or ():
                self._add(choice, end_bytes)
        if not self._texts:
            raise Refused(Undecodable.UNKNOWN_FORMAT)

    def tensors(self) -> list[Tensor]:
        """Return text, reasons, calls of tools and tokens; one row, and in it a value for each choice."""
        choices = sorted(self._texts)
        shape = (1, len(choices))
        return [
            *text_tensors("text", ["".join(self._texts[choice]) for choice in choices], shape),
            Tensor("finish_reason", "BYTES", shape, [self._finish_reasons[choice] for choice in choices]),
            Tensor("tool_calls", "INT64", _ONE_ROW, [len(self._calls)]),
            *_usage_tensors(self._usage),
        ]

    def timing(self, body: Body) -> list[Tensor]:
        """Return the time until the first token, and per token after it; without a count of tokens every piece counts as one."""
        if not self._ends_bytes:
            return []
        tokens = (self._usage and self._usage.completion_tokens) or len(self._ends_bytes)
        return timing_tensors(self._ends_bytes[0], self._ends_bytes[-1], tokens, body)

    def _add(self, choice: _Choice, end_bytes: int) -> None:
        message = choice.message or choice.delta or _Message(choice.text)
        text = message.text()
        calls = message.tool_calls or ()
        self._texts.setdefault(choice.index, []).append(text)
        self._finish_reasons[choice.index] = choice.finish_reason or self._finish_reasons.get(choice.index)
        self._calls.update((choice.index, position if call.index is None else call.index) for position, call in enumerate(calls))
        if text or calls:
            self._ends_bytes.append(end_bytes)


def _prompt_tensors(request: _Request) -> list[Tensor]:
    """Return the prompt as one text, whatever it is made of."""
    stream = Tensor("stream", "BOOL", _ONE_ROW, [bool(request.stream)])
    if request.messages is not None:
        text = "\n".join(message.text() for message in request.messages)
        return [*text_tensors("prompt", [text], _ONE_ROW), Tensor("messages", "INT64", _ONE_ROW, [len(request.messages)]), stream]
    texts, tokens = _texts_and_tokens(request.prompt)
    counted = [] if texts else [Tensor("prompt_tokens", "INT64", _ONE_ROW, [sum(tokens)])]
    return [*text_tensors("prompt", ["\n".join(texts)] if texts else [None], _ONE_ROW), *counted, stream]


def _listed_texts(name: str, listed: str | list[Any]) -> list[Tensor]:
    """Return texts, or the numbers of tokens that stand in their place, a row each."""
    texts, tokens = _texts_and_tokens(listed)
    return text_tensors(name, texts, (len(texts),)) if texts else [Tensor(f"{name}_tokens", "INT64", (len(tokens),), list(tokens))]


def _texts_and_tokens(listed: str | list[Any] | None) -> tuple[list[str], list[int]]:
    """Return texts (one, or a list), or the lengths of lists of tokens (one, or a list of lists)."""
    if isinstance(listed, str):
        return [listed], []
    kinds = set(map(type, listed or ()))
    if kinds == {str}:
        return list(listed or ()), []
    if kinds == {list}:
        return [], list(map(len, listed or ()))
    if kinds <= {int}:
        return [], [len(listed or ())]
    raise Refused(Undecodable.MALFORMED)


def _usage_tensors(usage: _Usage | None) -> list[Tensor]:
    counts = msgspec.structs.asdict(usage) if usage else {}
    return [Tensor(name, "INT64", _ONE_ROW, [count]) for name, count in counts.items() if count is not None]


def _embeddings(data: list[_Embedding]) -> Tensor:
    return tensor_of("embedding", [_unpacked(each.embedding) if isinstance(each.embedding, str) else each.embedding for each in data])


def _unpacked(text: str) -> list[float]:
    """Read little-endian 32-bit floats in base64, which `encoding_format: base64` asks for."""
    try:
        content = binascii.a2b_base64(text, strict_mode=True)
        return list(struct.unpack(f"<{len(content) // 4}f", content))
    except (ValueError, struct.error):
        raise Refused(Undecodable.MALFORMED) from None
