"""The process of the runtime: a socket from the supervisor, a directory of models."""

from __future__ import annotations

import os
import socket
import sys

import uvloop

from driftline.children import BAD_INPUT, log_to_stderr, read_task, say_ready, stop_event
from driftline.runtime_task import RuntimeTask
from runtime.server import Server
from runtime.session import ModelError
from runtime.tally import Samples


def render_metrics(samples: Samples, accept: str) -> tuple[bytes, str]:
    """Return the metrics page; what writes it is loaded when somebody asks for it first."""
    from console.metrics import page_of  # noqa: PLC0415 - a runtime that nobody scrapes is smaller

    return page_of(samples, accept)


async def _serve(task: RuntimeTask) -> int:
    stop = stop_event(supervised=True)
    try:
        server = Server(task.settings, render_metrics)
    except ModelError as error:
        sys.stderr.write(f"driftline: {error}\n")
        return BAD_INPUT
    clients, operators = (None if fd is None else socket.socket(fileno=fd) for fd in task.sockets)
    assert clients is not None
    await server.serve(clients, stop, say_ready, operators)
    return 0


def main() -> int:
    """Run a runtime until it is told to stop."""
    task: RuntimeTask = read_task()
    log_to_stderr("runtime")
    return uvloop.run(_serve(task))


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # a thread that a model has hung in would keep the interpreter from ending
