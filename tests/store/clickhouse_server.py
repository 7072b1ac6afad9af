"""A ClickHouse server for tests: the HTTP protocol that clickhouse-connect speaks, in front of chDB, with faults on request.

It knows what this project uses: statements, bound parameters, settings, databases, inserts with their data after the statement. It has no
users, no sessions and no TLS, and merges, limits and concurrency are chDB's: it shows what the client does, not what a server would do.
"""

from __future__ import annotations

import re
import socket
import struct
import sys
import tempfile
import threading
import time
from collections import deque
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import chdb
import lz4.frame

# Parameters of a request that are not settings of the engine.
_TRANSPORT = {
    "query",
    "query_id",
    "database",
    "session_id",
    "default_format",
    "client_protocol_version",
    "wait_end_of_query",
    "enable_http_compression",
    "send_progress_in_http_headers",
    "http_headers_progress_interval_ms",
    "cancel_http_readonly_queries_on_client_close",
}
_STATUS_BY_CODE = {60: 404, 81: 404}


class Fault(Enum):
    """What happens to an insert instead of what should."""

    UNAVAILABLE = auto()  # 503, nothing is stored
    RESET = auto()  # the connection is closed before anything is stored
    RESET_MIDWAY = auto()  # the connection is reset when half of the rows have arrived
    ERROR = auto()  # 500 with an exception about the server's state, `trouble`; nothing is stored
    STORE_THEN_RESET = auto()  # the rows are stored, and the connection is closed instead of an answer
    STORE_THEN_ERROR = auto()  # the rows are stored, and the answer is 500
    FORGET = auto()  # acknowledged and not stored, as after a kill between the token and the rows
    HANG = auto()  # no answer until the test releases it, then nothing is stored
    STORE_THEN_HANG = auto()  # the rows are stored, and no answer comes
    SLOW = auto()  # the rows are stored, and the answer comes in drops


class ClickHouseServer:
    """Listens on 127.0.0.1, by default on a free port. Each insert into `exchanges` takes the next of `faults`, if there is one."""

    def __init__(self, path: Path, port: int = 0) -> None:
        self.path = str(path.resolve())
        self.trouble = (243, "Cannot reserve space. (NOT_ENOUGH_SPACE)")
        self.faults: deque[Fault] = deque()
        self.inserts: list[dict[str, str]] = []
        self.logins: set[str | None] = set()
        self.released = threading.Event()
        self.closed = False
        self._keep_open = chdb.connect(self.path)
        handler = type("Handler", (_Handler,), {"clickhouse": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def port(self) -> int:
        return self._http.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self.closed = True
        self.released.set()
        self._http.shutdown()
        self._http.server_close()
        self._keep_open.close()

    def has_seen(self, parameters: dict[str, str]) -> bool:
        """Whether an insert with this one's token came before: only then can a server take it for done and store nothing."""
        token = parameters.get("insert_deduplication_token")
        return [insert.get("insert_deduplication_token") for insert in self.inserts].count(token) > 1

    def run(self, statement: str, data: bytes, parameters: dict[str, str]) -> bytes:
        """Run one statement on a connection of its own, so that no setting outlives it."""
        connection = chdb.connect(self.path)
        try:
            if database := parameters.get("database"):
                connection.query(f"USE `{database}`")
            for name, value in parameters.items():
                if name not in _TRANSPORT and not name.startswith("param_"):
                    connection.query(f"SET {name} = '{value}'")
            bound = {name.removeprefix("param_"): value for name, value in parameters.items() if name.startswith("param_")}
            with tempfile.NamedTemporaryFile() as file:
                if data:
                    file.write(data)
                    file.flush()
                    into, data_format = re.fullmatch(r"(?s)\s*(INSERT INTO .*?)\s+FORMAT\s+(\w+)\s*", statement).groups()
                    statement = f"{into} FROM INFILE '{file.name}' FORMAT {data_format}"
                return connection.query(statement, "TabSeparated", params=bound).bytes() or b""
        finally:
            connection.close()


class _Handler(BaseHTTPRequestHandler):
    clickhouse: ClickHouseServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True  # 40 ms for every answer otherwise

    def do_GET(self):
        self._handle(b"")

    def do_POST(self):
        if self.clickhouse.faults and self.clickhouse.faults[0] is Fault.RESET_MIDWAY and "exchanges" in urlsplit(self.path).query:
            self.clickhouse.faults.popleft()
            self._reset_midway()
        else:
            self._handle(self._body())

    def log_message(self, *arguments):
        pass

    def _handle(self, body):
        self.clickhouse.logins.add(self.headers.get("Authorization"))
        parameters = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        statement = parameters.get("query", "").encode()
        if not statement:
            head = re.match(rb"\s*INSERT INTO .*? FORMAT \w+\n", body, re.DOTALL)
            statement, body = (head[0], body[head.end() :]) if head else (body, b"")
        fault = None
        if b"INSERT INTO exchanges" in statement.replace(b"`", b""):
            self.clickhouse.inserts.append(parameters)
            fault = self.clickhouse.faults.popleft() if self.clickhouse.faults else None
            if fault is Fault.FORGET and not self.clickhouse.has_seen(parameters):
                fault = None
        self._answer(fault, statement.decode(), body, parameters)

    def _answer(self, fault, statement, data, parameters):
        if self.clickhouse.closed:  # to connections that were kept
            return self._close()
        if fault is Fault.HANG:
            self.clickhouse.released.wait(30)
        if fault is Fault.UNAVAILABLE:
            return self._reply(503, b"unavailable\n")
        if fault is Fault.ERROR:
            code, text = self.clickhouse.trouble
            return self._reply(500, f"Code: {code}. DB::Exception: {text}\n".encode(), code=code)
        if fault is Fault.FORGET:
            return self._reply(200, b"")
        if fault in {Fault.RESET, Fault.HANG}:
            return self._close()
        try:
            result = self.clickhouse.run(statement, data, parameters)
        except chdb.ChdbError as error:
            text = str(error)
            code = int(re.search(r"Code: (\d+)", text)[1])
            return self._reply(_STATUS_BY_CODE.get(code, 500), text[text.index("Code: ") :].encode(), code=code)
        return self._answer_after(fault, result)

    def _answer_after(self, fault, result):
        if fault is Fault.STORE_THEN_HANG:
            self.clickhouse.released.wait(30)
        if fault in {Fault.STORE_THEN_RESET, Fault.STORE_THEN_HANG}:
            return self._close()
        if fault is Fault.SLOW:
            return self._reply_slowly()
        if fault is Fault.STORE_THEN_ERROR:
            return self._reply(500, b"Code: 159. DB::Exception: Timeout exceeded. (TIMEOUT_EXCEEDED)\n", code=159)
        return self._reply(200, result)

    def _reply(self, status, content, code=0):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "text/plain; charset=UTF-8")
        self.send_header("X-ClickHouse-Timezone", "UTC")
        if code:
            self.send_header("X-ClickHouse-Exception-Code", str(code))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def _reply_slowly(self):
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(0.01)

    def _reset_midway(self):
        self.rfile.read1(1024)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _close(self):
        self.close_connection = True

    def _body(self):
        data = self._chunks() if self.headers.get("Transfer-Encoding") == "chunked" else self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.headers.get("Content-Encoding") != "lz4":
            return data
        frames = []
        while data:  # one frame per block
            frame = lz4.frame.LZ4FrameDecompressor()
            frames.append(frame.decompress(data))
            data = frame.unused_data or b""
        return b"".join(frames)

    def _chunks(self):
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)


if __name__ == "__main__":  # for benchmarks: `python -m tests.store.clickhouse_server DIRECTORY` says where it listens
    print(ClickHouseServer(Path(sys.argv[1])).url, flush=True)
    threading.Event().wait()
