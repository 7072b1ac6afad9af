"""Queries on the unix socket, asked with the standard library as `driftline sql` does."""

import asyncio
import errno
import http.client
import json
import os
import pwd
import socket
import threading
from datetime import UTC, datetime

import pytest

from console.command_socket import build_socket_app
from console.listening import listen_unix, serving
from records.acceptance import AcceptRequest
from records.forgetting import ForgetReport, ForgetRequest
from records.ports import QueryFailedError, QueryRefusedError


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


def post(path, body, target="/sql", method="POST") -> tuple[int, bytes]:
    connection = UnixConnection(path)
    try:
        connection.request(method, target, body)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def answer(query: str, output_format: str) -> bytes:
    if "refuse" in query:
        raise QueryRefusedError("only SELECT may be asked")
    if "fail" in query:
        raise QueryFailedError("Code: 47. Unknown identifier x")
    return f"{query}|{output_format}|{threading.current_thread() is threading.main_thread()}".encode() + b"\xff"


def forget(wanted: ForgetRequest, who: str) -> ForgetReport:
    if wanted.subject:
        raise ValueError("there is no key")
    if wanted.exchange_id:
        raise OSError(errno.ENOSPC, "No space left on device")
    return ForgetReport(deleted={"exchanges": 2}, unread=3, error=who)


@pytest.fixture
async def ask(tmp_path, take_labels, accept, audit):
    path = tmp_path / "monitor.sock"
    async with serving(build_socket_app(answer, take_labels, forget, accept, audit), listen_unix(path)):
        yield lambda *args, **kwargs: asyncio.to_thread(post, path, *args, **kwargs)


def question(query: str) -> bytes:
    return json.dumps({"query": query, "format": "TSV"}).encode()


async def test_the_result_comes_back_as_it_is_and_was_made_off_the_event_loop(ask):
    assert await ask(question("SELECT 1")) == (200, b"SELECT 1|TSV|False\xff")


async def test_a_refused_query_is_400_and_a_failed_one_422(ask):
    assert await ask(question("refuse this")) == (400, b'{\n  "error": "only SELECT may be asked"\n}\n')
    status, body = await ask(question("fail here"))
    assert (status, json.loads(body)) == (422, {"error": "Code: 47. Unknown identifier x"})


@pytest.mark.parametrize(
    "body", [b"", b"SELECT 1", b"[]", b'{"query": "SELECT 1"}', b'{"query": 1, "format": "TSV"}', b'{"query":"","format":"","x":1}', b"\xff"]
)
async def test_a_malformed_question_is_400_with_an_example(ask, body):
    status, reply = await ask(body)
    assert status == 400
    assert "SELECT count() FROM exchanges" in json.loads(reply)["error"]


async def test_a_huge_question_is_413(ask):
    status, reply = await ask(question("x" * (2 << 20)))
    assert (status, json.loads(reply)) == (413, {"error": "Request Entity Too Large."})


async def test_other_paths_and_methods_are_errors_in_json(ask):
    assert (await ask(None, target="/"))[0] == 404
    assert (await ask(None, method="GET"))[0] == 405


async def test_the_socket_is_gone_when_nobody_serves_it(tmp_path, take_labels, accept, audit):
    path = tmp_path / "monitor.sock"
    async with serving(build_socket_app(answer, take_labels, forget, accept, audit), listen_unix(path)):
        assert path.exists()
    assert not path.exists()


ME = pwd.getpwuid(os.getuid()).pw_name


async def test_who_asks_is_put_on_record_before_there_is_an_answer(ask, audit):
    await ask(question("refuse this"))
    await ask(b'[{"request_id": "r", "label": 1}]', "/labels")
    assert audit.entries == [(ME, "sql", "refuse this"), (ME, "import labels", "33 bytes")]


async def test_what_cannot_be_put_on_record_is_not_done(ask, audit):
    audit.full = True
    status, body = await ask(question("SELECT 1"))
    assert (status, json.loads(body)) == (503, {"error": "This cannot be put on record, so it is not done: No space left on device."})


async def test_a_request_to_forget_is_handed_on_with_who_asks(ask):
    status, body = await ask(b'{"request_id": "order-7"}', "/forget")
    assert (status, json.loads(body)) == (200, {"deleted": {"exchanges": 2}, "unread": 3, "error": ME})


async def test_what_cannot_be_forgotten_is_said(ask):
    assert await ask(b'{"subject": "ada"}', "/forget") == (400, b'{\n  "error": "there is no key"\n}\n')
    status, body = await ask(b'{"exchange_id": "x"}', "/forget")
    assert (status, json.loads(body)["error"]) == (503, "This cannot be put on record, so nothing was deleted: No space left on device.")
    status, body = await ask(b'{"who": "ada"}', "/forget")
    assert status == 400
    assert b"Expected JSON such as" in body


async def test_traffic_is_accepted_as_the_new_baseline_of_a_model_that_the_body_names(ask, accept):
    status, reply = await ask(b'{"model": "fraud", "since": "2026-03-01T00:00:00Z"}', "/accept")
    assert (status, json.loads(reply)["replaced"]) == (200, "00ff00ff00ff00ff")
    assert accept.wanted == [(ME, AcceptRequest(model="fraud", since=datetime(2026, 3, 1, tzinfo=UTC)))]
    assert (await ask(b'{"since": "2026-03-01T00:00:00Z"}', "/accept"))[0] == 400
