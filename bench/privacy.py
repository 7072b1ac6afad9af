"""CPU of redaction per exchange, by kind of rule and size of body: `python -m bench.privacy`.

Each figure is the best of several rounds over the same records, in CPU time of this process: what the rule adds to making a record. The request has
a body of the size given, most of it numbers, and the reply has none.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bench.report import machine_sentence, markdown_table, write_json
from config.redaction import Action, Capture, Place
from config.settings import RedactionSettings, RouteSettings
from config.units import Share
from privacy.keys import Hasher
from privacy.policy import Policy
from records.exchange import Body, Exchange, Role

ROUNDS = 15
ROUND_SECONDS = 0.02
SIZES_BYTES = (1_000, 64_000)

_HASHER = Hasher("2026", b"0123456789abcdef")
_BYTES_PER_NUMBER = 9
_random = random.Random(1)


class Case(NamedTuple):
    name: str
    settings: dict[str, Any]
    binary: bool = False
    nan: bool = False


def _rule(place: str, action: Action) -> dict[str, Any]:
    return {"redact": (RedactionSettings(at=Place.parse(place), do=action),)}


CASES = (
    Case("`?token`, mask", _rule("?token", Action.MASK)),
    Case("`header:X-Request-Id`, hash", _rule("header:X-Request-Id", Action.HASH)),
    Case("`$.parameters.customer`, drop", _rule("$.parameters.customer", Action.DROP)),
    Case("`$.parameters.customer`, hash", _rule("$.parameters.customer", Action.HASH)),
    Case("`$..customer`, hash", _rule("$..customer", Action.HASH)),
    Case("`$.parameters.customer`, hash, where a NaN is in the body", _rule("$.parameters.customer", Action.HASH), nan=True),
    Case("`tensor:ssn`, hash", _rule("tensor:ssn", Action.HASH)),
    Case("`tensor:ssn`, hash, binary data", _rule("tensor:ssn", Action.HASH), binary=True),
    Case("`tensor:x`, mask: all of the numbers", _rule("tensor:x", Action.MASK)),
    Case("`subject: $.parameters.customer`", {"subject": Place.parse("$.parameters.customer")}),
    Case("`capture: heads`", {"capture": Capture.HEADS}),
    Case("`sample: 10%`, an exchange that is left out", {"sample": Share(0.1)}),
)


class Figure(msgspec.Struct):
    rule: str
    microseconds: dict[str, float]
    """By the body's size in bytes."""


def record(case: Case, size_bytes: int) -> Exchange:
    """Return an exchange whose request has a body of about this size."""
    fields: dict[str, str] = {}
    numbers = [round(_random.random(), 6) for _ in range((size_bytes - 300) // _BYTES_PER_NUMBER)]
    entries: list[dict[str, Any]] = [
        {"name": "ssn", "shape": [1], "datatype": "INT64", "data": [123456789]},
        {"name": "x", "shape": [1, len(numbers)], "datatype": "FP32", "data": numbers},
    ]
    if case.nan:
        numbers[0] = float("nan")
    data = b""
    if case.binary:
        data = bytes(8) + bytes(4 * len(numbers))
        for entry, length in zip(entries, (8, len(data) - 8), strict=True):
            del entry["data"]
            entry["parameters"] = {"binary_data_size": length}
    document = json.dumps({"id": "1", "parameters": {"customer": "ada@example.org"}, "inputs": entries}).encode()
    if case.binary:
        fields["inference-header-content-length"] = str(len(document))
    body = Body(document + data, len(document) + len(data), content_type="application/json", fields=fields)
    target = "/v2/models/m/infer?token=abc&v=1"
    return Exchange(b"\xff" * 16, "request-1", Role.SERVED, "default", "upstream", 1, "POST", target, request=body)


def microseconds(case: Case, size_bytes: int) -> float:
    """CPU of one policy on one record."""
    policy = Policy(RouteSettings(upstream=(), **case.settings), _HASHER)
    made = record(case, size_bytes)
    times, best = 1, float("inf")
    rounds = 0
    while rounds < ROUNDS:
        started_ns = time.process_time_ns()
        for _ in range(times):
            if policy.samples(made.exchange_id):
                policy.kept(made)
        taken_ns = time.process_time_ns() - started_ns
        if taken_ns < ROUND_SECONDS * 1e9:
            times *= 2
            continue
        best = min(best, taken_ns / times)
        rounds += 1
    return best / 1_000


def measure() -> list[Figure]:
    return [Figure(case.name, {str(size): round(microseconds(case, size), 2) for size in SIZES_BYTES}) for case in CASES]


def report(figures: list[Figure]) -> str:
    heads = ["rule", *(f"{size // 1_000} KB (µs)" for size in SIZES_BYTES)]
    return markdown_table(heads, [(figure.rule, *(f"{figure.microseconds[str(size)]:.1f}" for size in SIZES_BYTES)) for figure in figures])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    arguments = parser.parse_args()
    figures = measure()
    print(machine_sentence() + "\n")
    print(report(figures))
    if arguments.json:
        write_json(arguments.json, {"figures": msgspec.to_builtins(figures)})


if __name__ == "__main__":
    main()
