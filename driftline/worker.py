"""The process of one proxy worker: a socket from the supervisor, a writer of its own in the spool."""

from __future__ import annotations

import socket
import sys

import uvloop

from access.gate import make_gate
from driftline.children import BAD_INPUT, log_to_stderr, read_task, say_ready, stop_event
from driftline.spooling import open_writer
from driftline.worker_task import WorkerTask
from privacy.tap import private
from proxy.occupancy import Occupancy
from proxy.tracing import Tracing
from proxy.worker import Worker
from store.spool.ledger import LedgerWriter
from store.spool.writer import create_writer_directory


async def _serve(task: WorkerTask) -> int:
    stop = stop_event(supervised=True)
    settings = task.settings
    directory = create_writer_directory(task.spool, task.number)
    ledger = LedgerWriter(directory)
    writer = open_writer(directory, ledger, settings.spool)
    try:
        tap = private(writer, settings.routes, settings.privacy, ledger)
        occupancy = Occupancy.shared(task.occupancy_fd, task.number)
        tracing = Tracing(settings.traces.sample) if settings.traces.endpoint else None
        worker = Worker(settings.proxy, settings.routes, tap, ledger, occupancy, make_gate(settings.access, settings.proxy), tracing)
    except ValueError as error:
        sys.stderr.write(f"driftline: {error}\n")
        return BAD_INPUT
    await worker.serve(socket.socket(fileno=task.listening_fd), stop, say_ready)
    writer.close()
    ledger.close()
    return 0


def main() -> int:
    """Run a worker until it is told to stop."""
    task: WorkerTask = read_task()
    log_to_stderr(f"worker-{task.number}")
    try:
        return uvloop.run(_serve(task))
    except OSError as error:
        sys.stderr.write(f"driftline: a worker cannot run: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
