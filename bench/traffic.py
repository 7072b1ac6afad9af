"""Synthetic exchanges: Open Inference V2 as JSON, one row of 30 numbers in, two outputs back, bodies of about 400 and 200 bytes."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from itertools import cycle, islice

from records.exchange import Body, Exchange, Role
from records.ids import new_exchange_id

_DISTINCT_ROWS = 5_000
"""More bodies than one compressed block of ClickHouse holds, so that repeating them makes compression no easier."""
_DAY_NS = 86_400 * 10**9
_STARTED_NS = (time.time_ns() // _DAY_NS - 1) * _DAY_NS
"""Yesterday, midnight: the store keeps nothing that is older than it is told to."""
_STEP_NS = 1_000_000


def exchanges(count: int) -> Iterator[Exchange]:
    """Return `count` exchanges of the model `m`, one per millisecond, the same at every call but for their ids."""
    bodies = cycle(list(_bodies(_DISTINCT_ROWS)))
    ids = random.Random(0)
    for number, (request, response) in enumerate(islice(bodies, count)):
        started_at_ns = _STARTED_NS + number * _STEP_NS
        yield Exchange(
            exchange_id=new_exchange_id(started_at_ns),
            request_id=f"{ids.getrandbits(128):032x}",
            role=Role.SERVED,
            route="default",
            arm="upstream",
            started_at_ns=started_at_ns,
            queue_ns=20_000,
            connect_ns=0,
            first_byte_ns=400_000,
            total_ns=450_000,
            method="POST",
            path="/v2/models/m/infer",
            status=200,
            client="127.0.0.1",
            request=request,
            response=response,
        )


def _bodies(count: int) -> Iterator[tuple[Body, Body]]:
    normal = random.Random(0).gauss
    for _ in range(count):
        row = [round(normal(index, 1.0 + index), 6) for index in range(30)]
        score = min(max(round(normal(0.5, 0.15), 6), 0.0), 1.0)
        yield _body({"inputs": [_tensor("features", "FP32", row)]}), _body({"model_name": "m", "model_version": "1", "outputs": _outputs(score)})


def _outputs(score: float) -> list[dict[str, object]]:
    return [_tensor("label", "INT64", [int(score > 0.5)]), _tensor("probability", "FP32", [score])]


def _tensor(name: str, datatype: str, values: list[float]) -> dict[str, object]:
    return {"name": name, "datatype": datatype, "shape": [1, len(values)], "data": values}


def _body(document: dict[str, object]) -> Body:
    content = json.dumps(document, separators=(",", ":")).encode()
    return Body(content=content, size_bytes=len(content), content_type="application/json")
