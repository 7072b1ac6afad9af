"""What a label costs: accepted into the journal, then settled, stored and joined with its prediction. `python -m bench.labels`."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from bench.report import markdown_table, write_json
from config.settings import LabelSettings
from driftline.labelling import Labelling
from payloads.decoding import decode
from records.exchange import Body, Exchange, Role
from records.ids import format_uuid, new_exchange_id
from store.clickhouse.client import EmbeddedStore
from store.clickhouse.columns import StoredExchange
from store.clickhouse.inserter import EXCHANGES, Inserter
from store.clickhouse.labels import LabelTable

BATCH = 5_000
INSERTED = 10_000


class Cost(msgspec.Struct, frozen=True):
    """Of one way to name an exchange; CPU of this process, the engine's threads included."""

    named_by: str
    labels: int
    accept_us: float
    """Microseconds of CPU per label until it is acknowledged, in bodies of 5,000."""
    join_us: float
    """Microseconds of CPU per label from there until it stands beside its prediction."""


def exchange(number: int, began_ns: int) -> Exchange:
    inputs = [{"name": "x", "shape": [1, 30], "datatype": "FP64", "data": [number + place / 7 for place in range(30)]}]
    request = msgspec.json.encode({"inputs": inputs})
    reply = msgspec.json.encode({"model_name": "m", "outputs": [{"name": "y", "shape": [1], "datatype": "FP64", "data": [number % 2]}]})
    at_ns = began_ns + number * 1_000_000
    return Exchange(
        exchange_id=new_exchange_id(at_ns),
        request_id=f"order-{number}",
        role=Role.SERVED,
        route="default",
        arm="upstream",
        started_at_ns=at_ns,
        method="POST",
        path="/v2/models/m/infer",
        status=200,
        request=Body(request, len(request), content_type="application/json"),
        response=Body(reply, len(reply), content_type="application/json"),
    )


def fill(store: EmbeddedStore, exchanges: int) -> list[bytes]:
    """Store the exchanges; return their ids."""
    began_ns = time.time_ns() - exchanges * 1_000_000
    ids = []
    with store.client() as client:
        for first in range(0, exchanges, INSERTED):
            rows = [StoredExchange("w", number + 1, exchange(number, began_ns), "m", "") for number in range(first, min(exchanges, first + INSERTED))]
            ids += [row.exchange.exchange_id for row in rows]
            Inserter(client).store(EXCHANGES, rows, {})
    return ids


def measure(labelling: Labelling, named_by: str, records: list[dict[str, Any]]) -> Cost:
    began = time.process_time()
    for first in range(0, len(records), BATCH):
        content = b"\n".join(map(msgspec.json.encode, records[first : first + BATCH]))
        labelling.accept_body(content, "application/x-ndjson", "api")
    accepted = time.process_time()
    while labelling.step(time.time_ns()):
        pass
    joined = time.process_time()
    status = labelling.status()
    assert status.unstored == status.waiting == 0
    return Cost(named_by, len(records), round((accepted - began) / len(records) * 1e6, 1), round((joined - accepted) / len(records) * 1e6, 1))


def run(exchanges: int, labels: int) -> list[Cost]:
    with tempfile.TemporaryDirectory() as directory:
        store = EmbeddedStore(Path(directory))
        ids = fill(store, exchanges)
        labelling = Labelling(Path(directory), LabelSettings(), LabelTable(store), lambda _: ("m", ""), decode, 600)
        by_request = [{"request_id": f"order-{number}", "label": number % 2} for number in range(labels)]
        by_exchange = [{"exchange_id": format_uuid(ids[number]), "label": number % 2} for number in range(labels)]
        costs = [measure(labelling, "request_id", by_request), measure(labelling, "exchange_id", by_exchange)]
        labelling.close()
        store.close()
    return costs


def report(costs: list[Cost]) -> str:
    """Return the costs as a table in Markdown."""
    heads = ("exchange named by", "labels", "accept, µs of CPU per label", "store and join, µs of CPU per label")
    return markdown_table(heads, [(f"`{cost.named_by}`", f"{cost.labels:,}", f"{cost.accept_us:.1f}", f"{cost.join_us:.1f}") for cost in costs])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exchanges", type=int, default=200_000)
    parser.add_argument("--labels", type=int, default=50_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    costs = run(arguments.exchanges, arguments.labels)
    print(report(costs))
    if arguments.json:
        write_json(arguments.json, {"exchanges": arguments.exchanges, "costs": msgspec.to_builtins(costs)})


if __name__ == "__main__":
    main()
