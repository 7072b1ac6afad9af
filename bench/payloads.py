"""CPU of decoding, columns and agreement per exchange: `python -m bench.payloads`.

Each figure is the best of several rounds over the same bodies, in CPU time of this process: what the work costs, without what
else the machine did. An exchange has one row of 30 numbers and a reply with a label and two probabilities.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from functools import partial

import msgspec

from bench.report import machine_sentence, markdown_table
from detectors.agreement import Agreement
from detectors.columns import ColumnBuffer
from payloads.decoding import decode
from records.exchange import Body, Exchange, Role
from records.payload import DecodeResult

EXCHANGES = 2_000
ROUNDS = 15
NAMES = tuple(f"measurement {index}" for index in range(30))

_random = random.Random(1)
_row = [round(_random.gauss(10, 20), 4) for _ in NAMES]
_v2_reply = {
    "model_name": "m",
    "model_version": "1",
    "outputs": [
        {"name": "label", "shape": [1], "datatype": "INT64", "data": [1]},
        {"name": "probabilities", "shape": [1, 2], "datatype": "FP32", "data": [0.123456, 0.876544]},
    ],
}
BODIES = {
    "Open Inference V2, JSON": ("/v2/models/m/infer", {"inputs": [{"name": "input", "shape": [1, 30], "datatype": "FP32", "data": _row}]}, _v2_reply),
    "V1, instances": ("/v1/models/m:predict", {"instances": [_row]}, {"predictions": [[0.123456, 0.876544]]}),
    "MLflow, dataframe_split": ("/invocations", {"dataframe_split": {"columns": NAMES, "data": [_row]}}, {"predictions": [1]}),
}


def body(content: object) -> Body:
    encoded = json.dumps(content).encode()
    return Body(encoded, len(encoded), content_type="application/json")


def exchanges(path: str, request: object, response: object) -> list[Exchange]:
    first = Exchange(exchange_id=b"", request_id="r", role=Role.SERVED, route="default", arm="upstream", started_at_ns=1, method="POST", path=path, status=200)
    return [
        msgspec.structs.replace(first, exchange_id=number.to_bytes(16, "big"), request=body(request), response=body(response)) for number in range(EXCHANGES)
    ]


def microseconds(work: Callable[[], object]) -> float:
    """CPU per exchange of `work`, which handles `EXCHANGES` of them."""
    best = float("inf")
    for _ in range(ROUNDS):
        started_ns = time.process_time_ns()
        work()
        best = min(best, time.process_time_ns() - started_ns)
    return best / EXCHANGES / 1_000


def decode_all(batch: list[Exchange]) -> None:
    for exchange in batch:
        decode(exchange)


def fill_columns(decoded: list[tuple[DecodeResult, DecodeResult]]) -> None:
    buffer = ColumnBuffer(max_features=1_000, input_names=NAMES)
    for request, response in decoded:
        buffer.add(request, response, 1)
    buffer.take()


def pair_all(served: list[tuple[Exchange, DecodeResult]], shadow: list[tuple[Exchange, DecodeResult]]) -> None:
    agreement = Agreement()
    for ours, theirs in zip(served, shadow, strict=True):
        agreement.add(*ours)
        agreement.add(*theirs)


def main() -> None:
    rows: list[tuple[str, float]] = []
    for name, bodies in BODIES.items():
        batch = exchanges(*bodies)
        decoded = [decode(exchange) for exchange in batch]
        replies = [(exchange, response) for exchange, (_, response) in zip(batch, decoded, strict=True)]
        shadows = [(msgspec.structs.replace(exchange, role=Role.SHADOW, arm="shadow"), response) for exchange, response in replies]
        rows += [
            (f"{name}: decode both bodies", microseconds(partial(decode_all, batch))),
            (f"{name}: columns, in a batch of {EXCHANGES:,}", microseconds(partial(fill_columns, decoded))),
            (f"{name}: agreement of a pair", microseconds(partial(pair_all, replies, shadows))),
        ]
    print(machine_sentence() + "\n")
    print(markdown_table(["stage", "CPU per exchange (µs)"], [(stage, f"{figure:.2f}") for stage, figure in rows]))


if __name__ == "__main__":
    main()
