from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingUnixStreamServer

import pytest

from driftline.cli import main
from driftline.store_access import SOCKET_NAME
from store.clickhouse.client import LOCK_NAME, EmbeddedStore


@pytest.fixture
def data_directory(tmp_path):
    store = EmbeddedStore(tmp_path)
    client = store.client()
    client.command("INSERT INTO alerts (name, summary) VALUES ('ModelInputDrift', 'drift')")
    client.close()
    store.close()
    return tmp_path


class Monitor(ThreadingUnixStreamServer):
    """Answers on the socket of a data directory with what the test says, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self, data_directory, status, body, *, promised=None):
        self.questions = []
        monitor = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                monitor.questions.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
                self.send_response(status)
                self.send_header("Content-Length", str(promised or len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

            def address_string(self):
                return "unix"

        super().__init__(os.fspath(data_directory / SOCKET_NAME), Handler)
        threading.Thread(target=partial(self.serve_forever, poll_interval=0.01), daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


@pytest.fixture
def monitor(tmp_path):
    monitors = []
    yield lambda *arguments, **keywords: monitors.append(Monitor(tmp_path, *arguments, **keywords)) or monitors[0]
    for monitor in monitors:
        monitor.close()


def sql(directory, query, *options):
    return main(["sql", "--data-dir", str(directory), *options, query])


def test_the_embedded_store_is_asked_where_no_monitor_holds_it(data_directory, capfdbinary):
    assert sql(data_directory, "SELECT name, summary FROM alerts") == 0
    assert capfdbinary.readouterr().out == b"ModelInputDrift\tdrift\n"


def test_the_format_is_an_option(data_directory, capfdbinary):
    assert sql(data_directory, "SELECT name FROM alerts", "--format", "JSONEachRow") == 0
    assert capfdbinary.readouterr().out == b'{"name":"ModelInputDrift"}\n'


def test_a_refused_query_ends_with_2_and_the_engine_s_objection_with_1(data_directory, capfd):
    assert sql(data_directory, "SELECT * FROM file('/etc/passwd')") == 2
    assert "the function file is not allowed" in capfd.readouterr().err
    assert sql(data_directory, "SELECT nope FROM alerts") == 1
    assert capfd.readouterr().err.count("\n") == 1
    assert sql(data_directory, "SELECT * FROM nope") == 1
    assert "Unknown table expression identifier 'nope'" in capfd.readouterr().err


def test_the_monitor_is_asked_where_it_answers(tmp_path, monitor, capfdbinary):
    answering = monitor(200, b"1\n" * 100_000)
    assert sql(tmp_path, "SELECT 1", "--format", "CSV") == 0
    assert capfdbinary.readouterr().out == b"1\n" * 100_000
    assert answering.questions == [("/sql", {"query": "SELECT 1", "format": "CSV"})]


@pytest.mark.parametrize(("status", "exit_status"), [(400, 2), (422, 1), (503, 1)])
def test_what_the_monitor_objects_to_is_told(status, exit_status, tmp_path, monitor, capfd):
    monitor(status, b'{"error": "because"}')
    assert sql(tmp_path, "SELECT 1") == exit_status
    assert capfd.readouterr() == ("", "driftline sql: because\n")


def test_an_answer_that_is_cut_short_is_a_failure(tmp_path, monitor, capfd):
    monitor(200, b"1\n", promised=10)
    assert sql(tmp_path, "SELECT 1") == 1
    assert "broke off" in capfd.readouterr().err


def test_a_socket_that_a_dead_monitor_left_does_not_matter(data_directory, capfdbinary):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(os.fspath(data_directory / SOCKET_NAME))
    assert sql(data_directory, "SELECT 1") == 0


def test_a_store_that_another_process_holds_is_explained(data_directory, capfd):
    code = "import sys, pathlib, store.clickhouse.client as c; c.EmbeddedStore(pathlib.Path(sys.argv[1])); print(1, flush=True); sys.stdin.read()"
    owner = subprocess.Popen([sys.executable, "-c", code, str(data_directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    owner.stdout.readline()
    assert sql(data_directory, "SELECT 1") == 1
    error = capfd.readouterr().err
    assert f"held by another process (process {owner.pid}: " in error
    assert SOCKET_NAME in error
    owner.communicate()


def test_a_directory_without_a_store_stays_as_it_is(tmp_path, capfd):
    assert sql(tmp_path / "none", "SELECT 1") == 1
    assert "there is no store in" in capfd.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_server_that_does_not_answer_is_told_in_one_line(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    command = [sys.executable, "-m", "driftline.cli", "sql", "--clickhouse", url, "SELECT 1"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, text=True)
    assert told.stderr == f"driftline sql: ClickHouse at {url} does not answer (Connection refused): is it running, and is that its address?\n"
    assert told.returncode == 1


def test_a_reader_that_has_seen_enough_ends_the_command_quietly(data_directory):
    command = [sys.executable, "-m", "driftline.cli", "sql", "--data-dir", str(data_directory), "SELECT number FROM numbers(100000)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_asking_the_monitor_loads_no_engine(tmp_path, monitor):
    monitor(200, b"1\n")
    code = f"import sys; from driftline.cli import main; main({['sql', '--data-dir', str(tmp_path), 'SELECT 1']!r}); assert 'chdb' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_only_the_owner_may_read_who_holds_the_store(data_directory):
    assert (data_directory / LOCK_NAME).stat().st_mode & 0o777 == 0o600
