"""CPU of decoding, columns and agreement per exchange: `python -m bench.payloads`.

Each figure is the best of several rounds over the same bodies, in CPU time of this process: what the work costs, without what
else the machine did. An exchange has one row of 30 numbers and a reply with a label or two probabilities; those of language models have a
prompt of 40 words and an answer of 50 pieces.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import struct
import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bench.report import machine_sentence, markdown_table, write_json
from detectors.columns import ColumnBuffer
from detectors.pairing import Pairing
from detectors.shadow import ShadowDetector
from payloads.decoding import WireFormat, decode, wire_format
from records.exchange import Body, Exchange, Role
from records.payload import Decoded, DecodeResult

EXCHANGES = 2_000
ROUNDS = 15
NAMES = tuple(f"measurement {index}" for index in range(30))

_random = random.Random(1)
_row = [round(_random.gauss(10, 20), 4) for _ in NAMES]
_record = dict(zip(NAMES, _row, strict=True))
_words = [f"word{index}" for index in range(50)]
_scores = {"predictions": [[0.123456, 0.876544]]}
_usage = {"prompt_tokens": 60, "completion_tokens": 50, "total_tokens": 110}
_v2_reply = {
    "model_name": "m",
    "model_version": "1",
    "outputs": [
        {"name": "label", "shape": [1], "datatype": "INT64", "data": [1]},
        {"name": "probabilities", "shape": [1, 2], "datatype": "FP32", "data": [0.123456, 0.876544]},
    ],
}
_chat = {"model": "m", "messages": [{"role": "user", "content": " ".join(_words[:40])}], "temperature": 0.5}


class Example(NamedTuple):
    """One exchange of a format."""

    path: str
    request: Body
    response: Body
    chosen: WireFormat | None = None


class Figure(msgspec.Struct):
    """CPU per exchange in µs."""

    format: str
    request_bytes: int
    response_bytes: int
    decode_us: float
    columns_us: float
    agreement_us: float


def body(content: object, content_type: str = "application/json", **properties: Any) -> Body:
    encoded = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Body(encoded, len(encoded), content_type=content_type, **properties)


def _binary_body() -> Body:
    tensor = {"name": "input", "shape": [1, 30], "datatype": "FP32", "parameters": {"binary_data_size": 120}}
    head = json.dumps({"inputs": [tensor]}).encode()
    return body(head + struct.pack("<30f", *_row), "application/octet-stream", fields={"inference-header-content-length": str(len(head))})


def _stream_body() -> Body:
    pieces = [{"model": "m", "choices": [{"index": 0, "delta": {"content": word + " "}, "finish_reason": None}]} for word in _words]
    lines = [b"data: " + json.dumps(piece).encode() + b"\n\n" for piece in [*pieces, {"model": "m", "choices": [], "usage": _usage}]]
    lines.append(b"data: [DONE]\n\n")
    ends = tuple(accumulate(map(len, lines)))
    return body(b"".join(lines), "text/event-stream", chunk_ends=ends, chunk_ns=tuple(range(len(ends))))


def _gzipped_body() -> Body:
    content = gzip.compress(json.dumps({"instances": [_row]}).encode())
    return Body(content, len(content), content_type="application/json", content_encoding="gzip")


def _csv(header: bool) -> Body:
    rows = [",".join(map(str, _row))]
    return body("\n".join([",".join(NAMES), *rows] if header else rows).encode(), "text/csv")


EXAMPLES: Mapping[str, Example] = {
    "Open Inference V2, JSON": Example(
        "/v2/models/m/infer", body({"inputs": [{"name": "input", "shape": [1, 30], "datatype": "FP32", "data": _row}]}), body(_v2_reply)
    ),
    "Open Inference V2, binary request": Example("/v2/models/m/infer", _binary_body(), body(_v2_reply)),
    "V1, instances": Example("/v1/models/m:predict", body({"instances": [_row]}), body(_scores)),
    "V1, instances, gzip": Example("/v1/models/m:predict", _gzipped_body(), body(_scores)),
    "V1, instances by name": Example("/v1/models/m:predict", body({"instances": [_record]}), body(_scores)),
    "TorchServe": Example("/predictions/m", body([_row]), body({"spam": 0.876544, "ham": 0.123456})),
    "Seldon V1, ndarray": Example(
        "/api/v1.0/predictions", body({"data": {"names": NAMES, "ndarray": [_row]}}), body({"data": {"ndarray": _scores["predictions"]}})
    ),
    "MLflow, dataframe_split": Example("/invocations", body({"dataframe_split": {"columns": NAMES, "data": [_row]}}), body({"predictions": [1]})),
    "MLflow, CSV": Example("/invocations", _csv(header=True), body({"predictions": [1]})),
    "SageMaker, CSV": Example("/invocations", _csv(header=False), body(b"0.876544\n", "text/csv")),
    "Azure ML": Example("/score", body({"input_data": {"columns": NAMES, "data": [_row]}}), body([1])),
    "Clipper": Example("/m/predict", body({"input": _row}), body({"query_id": 1, "output": 1, "default": False})),
    "JSON by JMESPath": Example(
        "/ask", body({"rows": [_record]}), body({"result": _scores}), wire_format("json", features="rows[]", predictions="result.predictions")
    ),
    "Triton generate": Example(
        "/v2/models/m/generate", body({"text_input": " ".join(_words[:40])}), body({"model_name": "m", "text_output": " ".join(_words)})
    ),
    "OpenAI, chat": Example(
        "/v1/chat/completions",
        body(_chat),
        body({"model": "m", "choices": [{"index": 0, "message": {"content": " ".join(_words)}, "finish_reason": "stop"}], "usage": _usage}),
    ),
    "OpenAI, chat, streamed": Example("/v1/chat/completions", body(_chat | {"stream": True}), _stream_body()),
}


def exchanges(example: Example) -> list[Exchange]:
    first = Exchange(b"", "r", Role.SERVED, "default", "upstream", 1, "POST", example.path, status=200, request=example.request, response=example.response)
    return [msgspec.structs.replace(first, exchange_id=number.to_bytes(16, "big")) for number in range(EXCHANGES)]


def microseconds(work: Callable[[], object]) -> float:
    """CPU per exchange of `work`, which handles `EXCHANGES` of them."""
    best = float("inf")
    for _ in range(ROUNDS):
        started_ns = time.process_time_ns()
        work()
        best = min(best, time.process_time_ns() - started_ns)
    return best / EXCHANGES / 1_000


def decode_all(batch: list[Exchange], chosen: WireFormat | None) -> None:
    for exchange in batch:
        decode(exchange, chosen)


def fill_columns(decoded: list[tuple[DecodeResult, DecodeResult]]) -> None:
    buffer = ColumnBuffer(max_features=1_000, input_names=NAMES)
    for request, response in decoded:
        buffer.add(request, response, 1)
    buffer.take()


def pair_all(served: list[tuple[Exchange, DecodeResult]], shadow: list[tuple[Exchange, DecodeResult]]) -> None:
    pairing, detector = Pairing(), ShadowDetector("model", "shadow", threshold=4_320.0, tolerance=0.005)
    for ours, theirs in zip(served, shadow, strict=True):
        for pair in (*pairing.add(*ours), *pairing.add(*theirs)):
            detector.add(pair, 1)


def measured(name: str, example: Example) -> Figure:
    batch = exchanges(example)
    decoded = [decode(exchange, example.chosen) for exchange in batch]
    assert all(isinstance(result, Decoded) for result in decoded[0]), f"{name}: {decoded[0]}"
    replies = [(exchange, response) for exchange, (_, response) in zip(batch, decoded, strict=True)]
    shadows = [(msgspec.structs.replace(exchange, role=Role.SHADOW, arm="shadow"), response) for exchange, response in replies]
    return Figure(
        format=name,
        request_bytes=example.request.size_bytes,
        response_bytes=example.response.size_bytes,
        decode_us=microseconds(partial(decode_all, batch, example.chosen)),
        columns_us=microseconds(partial(fill_columns, decoded)),
        agreement_us=microseconds(partial(pair_all, replies, shadows)),
    )


def report(figures: list[Figure]) -> str:
    """Return the figures as a table."""
    heads = ["format", "bytes in, out", "decode both bodies µs", f"columns, in a batch of {EXCHANGES:,} µs", "agreement of a pair µs"]
    rows = [
        (each.format, f"{each.request_bytes:,}, {each.response_bytes:,}", f"{each.decode_us:.1f}", f"{each.columns_us:.1f}", f"{each.agreement_us:.1f}")
        for each in figures
    ]
    return markdown_table(heads, rows)


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench.payloads", description="CPU per exchange of decoding, columns and agreement, by wire format.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    arguments = parser.parse_args(words)
    figures = [measured(name, example) for name, example in EXAMPLES.items()]
    print(machine_sentence() + "\n")
    print(report(figures))
    if arguments.json:
        write_json(arguments.json, {"figures": msgspec.to_builtins(figures)})


if __name__ == "__main__":
    main()
