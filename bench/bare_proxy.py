"""What a proxy cannot do without, and nothing else: `python -m bench.bare_proxy PORT UPSTREAM_PORT [SHADOW_PORT]`.

Each client's connection has a connection to the upstream of its own, and one to the shadow; bytes pass as they come, unread, out of the one buffer that they were read into. What the shadow
answers never leaves the kernel. So what it takes is a read and a write for each message, which copy it from the kernel and back, and one more of each for a shadow.
"""

from __future__ import annotations

import select
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

_BUFFER_BYTES: Final = 256_000
"""As uvloop's."""


def serve(port: int, upstream: int, shadow: int | None) -> None:
    """Pass bytes on until the process is ended."""
    listening = socket.create_server(("127.0.0.1", port), backlog=4096)
    poll = select.epoll()
    poll.register(listening, select.EPOLLIN)
    passes: dict[int, tuple[socket.socket, Sequence[socket.socket]]] = {}
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == listening.fileno():
                client, _ = listening.accept()
                others = [_connection(to) for to in (upstream, shadow) if to is not None]
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for source, sinks in ((client, others), (others[0], [client]), *((other, []) for other in others[1:])):
                    passes[source.fileno()] = (source, sinks)
                    poll.register(source, select.EPOLLIN)
                continue
            source, sinks = passes[descriptor]
            try:
                size = source.recv_into(buffer, 0, 0 if sinks else socket.MSG_TRUNC)
                for sink in sinks if size else ():
                    sink.sendall(buffer[:size])
            except OSError:  # one side is gone
                size = 0
            if not size:
                poll.unregister(source)
                for sink in sinks:
                    with suppress(OSError):
                        sink.shutdown(socket.SHUT_RDWR)


def _connection(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


if __name__ == "__main__":
    serve(*map(int, sys.argv[1:3]), int(sys.argv[3]) if len(sys.argv) > 3 else None)
