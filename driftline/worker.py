"""The process of one proxy worker: a socket from the supervisor, a writer of its own in the spool."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import NamedTuple

import uvloop

from config.settings import Settings
from driftline.children import log_to_stderr, read_task, say_ready, stop_event
from proxy.worker import Worker
from store.spool.ledger import LedgerWriter
from store.spool.writer import SpoolWriter, create_writer_directory


class WorkerTask(NamedTuple):
    """What the supervisor hands to a worker."""

    settings: Settings
    spool: Path
    number: int
    listening_fd: int


async def _serve(task: WorkerTask) -> None:
    stop = stop_event(supervised=True)
    settings = task.settings
    directory = create_writer_directory(task.spool, task.number)
    ledger = LedgerWriter(directory)
    tap = SpoolWriter(directory, ledger, segment_bytes=settings.spool.segment_size, max_bytes=settings.spool.max_size)
    worker = Worker(settings.proxy, settings.routes, tap, ledger)
    say_ready()
    await worker.serve(socket.socket(fileno=task.listening_fd), stop)
    tap.close()
    ledger.close()


def main() -> int:
    """Run a worker until it is told to stop."""
    task: WorkerTask = read_task()
    log_to_stderr(f"worker-{task.number}")
    try:
        uvloop.run(_serve(task))
    except OSError as error:
        sys.stderr.write(f"driftline: a worker cannot run: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
