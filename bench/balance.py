"""How evenly the workers share the clients: `python -m bench.balance`.

Every connection sends requests at the same pace; the figure is the busiest worker's share of the requests, by what would be its fair share: 1 is
even, the number of workers is all on one. Nothing is saturated, and nothing listens behind the proxy: its own 502 is an answer too.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from bench.processes import CORES, free_port, running
from bench.report import machine_sentence, markdown_table, write_json
from store.spool.ledger import read_ledger

_WORKERS: Final = (2, 4)
_CONNECTIONS: Final = (4, 16, 64)
_ROUNDS: Final = 8
_REQUESTS: Final = 5
_PROMISED: Final = 1.5
_REQUEST: Final = b"GET / HTTP/1.1\r\nHost: model\r\n\r\n"


class Figure(msgspec.Struct, frozen=True):
    """So many workers with so many connections."""

    workers: int
    connections: int
    ratios: list[float]
    """The busiest worker's share by its fair share, in each round."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.balance", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    arguments = parser.parse_args()
    figures = measure()
    print(f"{machine_sentence()}\n\n{report(figures)}")
    if arguments.json:
        write_json(arguments.json, {"figures": msgspec.to_builtins(figures)})


def report(figures: Sequence[Figure]) -> str:
    """Return the figures as Markdown, and how they stand to what is promised."""
    rows = [(str(each.workers), str(each.connections), f"{statistics.mean(each.ratios):.2f}", f"{max(each.ratios):.2f}") for each in figures]
    worst = max(max(each.ratios) for each in figures)
    promise = (
        f"- the busiest worker never had more than {worst:.2f} times its share (promised: at most {_PROMISED}), {'kept' if worst <= _PROMISED else 'NOT kept'}"
    )
    return f"{markdown_table(('workers', 'connections', 'busiest worker, mean', 'worst'), rows)}\n\n{promise}"


def measure() -> list[Figure]:
    """Let clients connect to so many workers, some rounds each."""
    figures = []
    for workers in _WORKERS:
        for connections in _CONNECTIONS:
            with TemporaryDirectory() as directory:
                figures.append(Figure(workers, connections, _measure(workers, connections, Path(directory))))
    return figures


def _measure(workers: int, connections: int, room: Path) -> list[float]:
    """Return the busiest worker's ratio in each of some rounds, whose connections are new."""
    port = free_port()
    options = ["--listen", f"127.0.0.1:{port}", "--workers", str(workers), "--upstream", "http://127.0.0.1:9", "--spool", str(room / "spool")]
    with running("driftline proxy", [sys.executable, "-m", "driftline", "proxy", *options], port=port, cores=CORES, log=room / "log"):
        while b"driftline: listening" not in (room / "log").read_bytes():
            time.sleep(0.05)
        return [_round(port, connections, room / "spool") for _ in range(_ROUNDS)]


def _round(port: int, connections: int, spool: Path) -> float:
    before = _answered(spool)
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    for _ in range(_REQUESTS):
        for client in clients:
            client.sendall(_REQUEST)
        for client in clients:
            client.recv(65536)
    answered = {name: count - before.get(name, 0) for name, count in _answered(spool).items()}
    for client in clients:
        client.close()
    time.sleep(0.1)
    return max(answered.values()) * len(answered) / sum(answered.values())


def _answered(spool: Path) -> dict[str, int]:
    """Return the number of exchanges of each worker."""
    return {directory.name: read_ledger(directory).sequence for directory in spool.iterdir() if directory.is_dir()}


if __name__ == "__main__":
    main()
