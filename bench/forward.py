"""A Driftline worker that forwards and keeps nothing: `python -m bench.forward PORT UPSTREAM_PORT DIRECTORY`.

Not a way to run the product, which exists to keep records; the difference to `driftline proxy` is what keeping them costs.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import uvloop

from config.addresses import Url
from config.settings import ProxySettings, RouteSettings
from config.units import Bytes
from proxy.worker import Worker
from records.exchange import Exchange
from records.outcome import Outcome
from store.spool.ledger import LedgerWriter


class ForgetfulTap:
    """Implements `records.ports.Tap` by dropping everything."""

    def append(self, _exchange: Exchange) -> int:
        """Drop it."""
        return 0

    def amend(self, sequence: int, outcome: Outcome) -> None:
        """Drop it."""


async def serve(port: int, upstream: str, directory: Path) -> None:
    """Forward until the process is ended; `directory` is for the counters."""
    ledger = LedgerWriter(directory)
    worker = Worker(ProxySettings(capture=Bytes(0)), [RouteSettings(upstream=(Url.parse(upstream),))], ForgetfulTap(), ledger)
    await worker.serve(socket.create_server(("127.0.0.1", port)), asyncio.Event())


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), f"http://127.0.0.1:{sys.argv[2]}", Path(sys.argv[3])))
