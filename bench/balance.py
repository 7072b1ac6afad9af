"""How evenly the workers share the clients: `python -m bench.balance`.

Every connection sends requests at the same pace; the figure is the busiest worker's share of the requests, by what would be its fair share: 1 is
even, the number of workers is all on one. Nothing is saturated, and nothing listens behind the proxy: its own 502 is an answer too.
"""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.processes import CORES, free_port, running
from store.spool.ledger import read_ledger

_WORKERS = (2, 4)
_CONNECTIONS = (4, 16, 64)
_ROUNDS = 8
_REQUESTS = 5
_REQUEST = b"GET / HTTP/1.1\r\nHost: model\r\n\r\n"


def main() -> None:
    """Print a row per number of workers and connections."""
    print(f"{'workers':>8} {'connections':>12} {'mean':>6} {'worst':>6}")
    for workers in _WORKERS:
        for connections in _CONNECTIONS:
            with TemporaryDirectory() as directory:
                ratios = _measure(workers, connections, Path(directory))
            print(f"{workers:>8} {connections:>12} {sum(ratios) / len(ratios):>6.2f} {max(ratios):>6.2f}")


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
