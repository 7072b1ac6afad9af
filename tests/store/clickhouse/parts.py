"""What the tests of the store share: exchanges, a spool with a real writer, and a loader between the two."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from records.exchange import Body, ErrorKind, Exchange, Role
from records.ids import new_exchange_id
from records.outcome import Outcome
from store.clickhouse.batch import BatchLimits
from store.clickhouse.client import Store
from store.clickhouse.loader import Loader
from store.spool.ledger import LedgerWriter
from store.spool.writer import SpoolWriter

STARTED_AT_NS = 1_780_000_000_000_000_000


def make_exchange(number: int = 0, **changes) -> Exchange:
    request, response = b'{"inputs": [%d]}' % number, b'{"outputs": [%d]}' % (number % 2)
    exchange = Exchange(
        exchange_id=new_exchange_id(STARTED_AT_NS + number * 1_000_000),
        request_id=f"request-{number}",
        role=Role.SERVED,
        route="default",
        arm="upstream",
        started_at_ns=STARTED_AT_NS + number * 1_000_000,
        queue_ns=10,
        connect_ns=0,
        first_byte_ns=2_000,
        total_ns=3_000,
        method="POST",
        path="/v2/models/fraud/infer",
        status=200,
        client="127.0.0.1",
        request=Body(request, len(request), False, "application/json"),
        response=Body(response, len(response), False, "application/json"),
    )
    return msgspec.structs.replace(exchange, **changes)


class Worker:
    """A worker's end of the spool, that numbers its exchanges."""

    def __init__(self, spool: Path, name: str = "w1") -> None:
        self.name = name
        directory = spool / name
        directory.mkdir(parents=True)
        self.ledger = LedgerWriter(directory)
        self.writer = SpoolWriter(directory, self.ledger, segment_bytes=1 << 20, max_bytes=1 << 28)
        self.sequence = 0
        self.alive = True

    def append(self, exchange: Exchange | None = None) -> int:
        """Append a record, waiting for a segment where none is ready."""
        exchange = exchange or make_exchange(self.sequence + 1)
        for _ in range(1000):
            if sequence := self.writer.append(exchange):
                self.sequence = sequence
                return sequence
            time.sleep(0.01)
        raise AssertionError("no segment became ready")

    def append_junk(self) -> int:
        """Append a record whose payload is not an exchange."""
        encode, self.writer._encode = self.writer._encode, lambda _: b"\x93\x01\x02\x03"
        try:
            return self.append()
        finally:
            self.writer._encode = encode

    def fill(self, count: int) -> None:
        for _ in range(count):
            self.append()

    def amend(self, sequence: int) -> None:
        self.writer.amend(sequence, Outcome(bytes(16), ErrorKind.CLIENT_LEFT, 1_000_000 + sequence))

    def close(self) -> None:
        if self.alive:
            self.alive = False
            self.writer.close()
            self.ledger.close()


def name_of(exchange: Exchange, _reply: object = None) -> tuple[str, str]:
    return exchange.model or "fraud", exchange.version


def make_loader(directory: Path, store: Store, **limits) -> Loader:
    limits = {"rows": 1000, "wait_seconds": 0.0, **limits}
    return Loader(directory / "spool", directory / "loader.state", store, name_of, BatchLimits(**limits))


def positions(client, table: str = "exchanges", writer: str = "w1") -> list[int]:
    """Return the sequences that a table holds of one writer, in order, with every repetition."""
    rows = client.query(f"SELECT sequence FROM {table} WHERE writer = {{writer:String}} ORDER BY sequence", parameters={"writer": writer}).result_rows
    return [sequence for (sequence,) in rows]
