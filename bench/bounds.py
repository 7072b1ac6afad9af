"""What a worker holds and adds where many wait or much passes: `python -m bench.bounds`.

- Memory of one worker with 10,000 kept-alive client connections, each of which has had one reply.
- What is added to the time until the first byte of a streaming reply: asked in turns, directly and through the proxy, on new connections.
- The most memory that a worker ever held while 2 GB went up and 2 GB came down.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import msgspec

from bench.processes import CORES, BenchmarkError, Group, exit_on_sigterm, free_port, resident_bytes, running
from bench.report import machine_sentence, markdown_table, write_json

_OPENED_AT_ONCE = 50
_PIECE = bytes(10**6)
_READY = b"GET /ready HTTP/1.1\r\nHost: model\r\n\r\n"
_STREAM = b"GET /stream HTTP/1.1\r\nHost: model\r\n\r\n"


class Figures(msgspec.Struct, frozen=True):
    """What was measured; megabytes are 10⁶ bytes and resident."""

    idle_connections: int
    started_mb: float
    idle_mb: float
    streams: int
    direct_first_byte_us: float
    first_byte_us: float
    passed_mb: int
    upload_mb_per_second: float
    download_mb_per_second: float
    peak_mb: float


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.bounds", description="Idle connections, time to first byte, large bodies.")
    parser.add_argument("--quick", action="store_true", help="1,000 connections, 10 streams and 100 MB instead of 10,000, 100 and 2 GB")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    arguments: Any = parser.parse_args()
    exit_on_sigterm()
    print(f"{machine_sentence()}.\n", flush=True)
    try:
        figures = measure(*((1_000, 10, 100) if arguments.quick else (10_000, 100, 2_000)))
    except BenchmarkError as error:
        print(f"bench.bounds: {error}", file=sys.stderr)
        return 1
    print(report(figures))
    if arguments.json:
        write_json(arguments.json, {"figures": msgspec.to_builtins(figures)})
    return 0


def report(figures: Figures) -> str:
    """Return the figures as Markdown."""
    per_connection_kb = (figures.idle_mb - figures.started_mb) * 1e3 / figures.idle_connections
    added_us = figures.first_byte_us - figures.direct_first_byte_us
    rows = [
        ("a worker that has just started", f"{figures.started_mb:.0f} MB"),
        (f"with {figures.idle_connections:,} idle kept-alive connections", f"{figures.idle_mb:.0f} MB, {per_connection_kb:.1f} KB each"),
        (f"after {figures.passed_mb:,} MB up and as much down, the most it ever held", f"{figures.peak_mb:.0f} MB"),
        ("upload, download", f"{figures.upload_mb_per_second:,.0f} MB/s, {figures.download_mb_per_second:,.0f} MB/s"),
        (f"median time to the first byte of {figures.streams} streaming replies", f"{figures.first_byte_us:.0f} µs"),
        ("of it added by the proxy", f"{added_us:.0f} µs"),
    ]
    promises = [
        (f"a worker with {figures.idle_connections:,} idle connections: {figures.idle_mb:.0f} MB (promised: at most 150)", figures.idle_mb <= 150),
        (f"large bodies: never more than {figures.peak_mb:.0f} MB (promised: at most 100, whatever their size)", figures.peak_mb <= 100),
    ]
    return markdown_table(("what", "figure"), rows) + "\n\n" + "\n".join(f"- {text}, {'kept' if kept else 'NOT kept'}" for text, kept in promises)


def measure(idle_connections: int, streams: int, megabytes: int) -> Figures:
    """Measure each with a proxy of its own."""
    _allow_descriptors(idle_connections + 1_000)
    with tempfile.TemporaryDirectory(prefix="driftline-bounds-") as directory, _service() as service:
        with _proxy(Path(directory) / "idle", service) as (group, port):
            started_mb = _worker_mb(group)
            idle_mb = asyncio.run(_idle(port, idle_connections, group))
        with _proxy(Path(directory) / "streams", service) as (_, port):
            first_byte_us = {service: [], port: []}
            for _ in range(streams):
                for asked, taken in first_byte_us.items():
                    taken.append(_first_byte_us(asked))
        with _Store() as store, _proxy(Path(directory) / "bulk", store.port) as (group, port):
            upload = megabytes / _timed(_upload, port, megabytes)
            download = megabytes / _timed(_download, port, megabytes)
            peak_mb = _peak_bytes(_worker(group)) / 1e6
    direct, proxied = (statistics.median(taken) for taken in first_byte_us.values())
    return Figures(idle_connections, started_mb, idle_mb, streams, direct, proxied, megabytes, upload, download, peak_mb)


@contextmanager
def _service() -> Iterator[int]:
    """Run the service of the soak, which answers at once or streams; yield its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        descriptor = listening.fileno()
        process = subprocess.Popen([sys.executable, "-m", "bench.soak_upstream", str(descriptor)], pass_fds=[descriptor])
        try:
            yield listening.getsockname()[1]
        finally:
            process.kill()
            process.wait()


@contextmanager
def _proxy(room: Path, upstream: int) -> Iterator[tuple[Group, int]]:
    room.mkdir()
    port = free_port()
    program = Path(sys.executable).with_name("driftline")
    command = [str(program), "proxy", "--listen", f"127.0.0.1:{port}", "--upstream", f"http://127.0.0.1:{upstream}", "--spool", str(room / "spool")]
    with running("driftline", command, port=port, cores=CORES, log=room / "log") as group:
        _ask(port, _READY)
        yield group, port


class _Store:
    """Takes bodies and counts them, gives bodies of the size that the target names; one connection at a time."""

    def __enter__(self) -> Self:
        self._listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                with connection, suppress(OSError):
                    while self._answer(connection):
                        pass

    def _answer(self, connection: socket.socket) -> bool:
        head, rest = _read_head(connection)
        if not head:
            return False
        if head.startswith(b"POST"):
            _read_exactly(connection, _length(head) - len(rest))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        else:
            megabytes = int(head.split(b" ")[1].rpartition(b"/")[2] or 0) if head.startswith(b"GET /bulk/") else 0
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (megabytes * len(_PIECE)))
            for _ in range(megabytes):
                connection.sendall(_PIECE)
        return True


def _upload(port: int, megabytes: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"POST /bulk HTTP/1.1\r\nHost: model\r\nContent-Length: %d\r\n\r\n" % (megabytes * len(_PIECE)))
        for _ in range(megabytes):
            connection.sendall(_PIECE)
        head, _ = _read_head(connection)
    _require(head)


def _download(port: int, megabytes: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /bulk/%d HTTP/1.1\r\nHost: model\r\n\r\n" % megabytes)
        head, rest = _read_head(connection)
        _require(head)
        _read_exactly(connection, _length(head) - len(rest))


def _ask(port: int, request: bytes) -> float:
    """Send a request on a connection of its own, read its reply's head, and return when its first byte came."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request.replace(b"Host:", b"Connection: close\r\nHost:"))
        first = connection.recv(65536)
        came = time.perf_counter()
        _require(first)
        while connection.recv(65536):
            pass
    return came


def _first_byte_us(port: int) -> float:
    began = time.perf_counter()
    return (_ask(port, _STREAM) - began) * 1e6


async def _idle(port: int, count: int, group: Group) -> float:
    """Open so many connections, have a reply on each, and return what the worker holds then."""
    gate = asyncio.Semaphore(_OPENED_AT_ONCE)

    async def open_one() -> asyncio.StreamWriter:
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
            writer.write(_READY)
            head = await reader.readuntil(b"\r\n\r\n")
            _require(head)
            await reader.readexactly(_length(head))
            return writer

    writers = await asyncio.gather(*(open_one() for _ in range(count)))
    held_mb = _worker_mb(group)
    open_still = sum(not writer.transport.is_closing() for writer in writers)
    if open_still < count:
        raise BenchmarkError(f"{count - open_still} of {count} idle connections were closed before all were open; the figure would mean nothing")
    for writer in writers:
        writer.transport.abort()
    await asyncio.sleep(0)
    return held_mb


def _read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    """Return a head and what came of the body with it; both empty where the peer closed."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            return b"", b""
        received += piece
    head, _, rest = received.partition(b"\r\n\r\n")
    return head, rest


def _read_exactly(connection: socket.socket, count: int) -> None:
    room = bytearray(1 << 20)
    while count > 0:
        received = connection.recv_into(room, min(count, len(room)))
        if not received:
            raise BenchmarkError(f"the connection closed with {count} bytes of a body still to come")
        count -= received


def _length(head: bytes) -> int:
    return next(int(line.partition(b":")[2]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))


def _require(head: bytes) -> None:
    if not head.startswith(b"HTTP/1.1 200"):
        raise BenchmarkError(f"a request was not answered with 200 but with {head[:200]!r}")


def _timed(what: Any, *arguments: int) -> float:
    began = time.perf_counter()
    what(*arguments)
    return time.perf_counter() - began


def _worker(group: Group) -> int:
    """Return the only child of the supervisor."""
    (pid,) = set(group.processes()) - {group.leader}
    return pid


def _worker_mb(group: Group) -> float:
    return resident_bytes(_worker(group)) / 1e6


def _peak_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise BenchmarkError("the kernel does not say how much memory a process held at most")


def _allow_descriptors(count: int) -> None:
    """Raise the soft limit of open files, which the proxy inherits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise BenchmarkError(f"a process may open {hard} files here and this needs {count}: raise `ulimit -Hn`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))


if __name__ == "__main__":
    sys.exit(main())
