"""uvicorn, gunicorn, Node and nginx as upstreams."""

from __future__ import annotations

import httpx
import pytest

from .conftest import gunicorn, nginx, node, proxying, serving, uvicorn

BODY = bytes(range(256)) * 2048


@pytest.fixture(params=[uvicorn, gunicorn, node], ids=lambda command: command.__name__)
def client(request, tmp_path):
    with (
        serving(tmp_path / request.param.__name__, request.param) as upstream,
        serving(tmp_path / "driftline", proxying(upstream)) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client,
    ):
        yield client


def test_a_server_answers_bodies_of_either_framing_streams_and_requests_without_a_body(client):
    for content in (BODY, b"", iter([BODY, b"x", BODY])):
        expected = content if isinstance(content, bytes) else BODY + b"x" + BODY
        reply = client.post("/echo", content=content)
        assert (reply.status_code, reply.content) == (200, expected)
    assert client.get("/stream").content == b"".join(b"data: %d\n\n" % number for number in range(5))
    assert client.delete("/echo").headers["X-Method"] == "DELETE"
    assert client.head("/echo").content == b""


def test_nginx_serves_ranges_compressed_files_uploads_and_not_modified_ones(tmp_path):
    with (
        serving(tmp_path / "nginx", nginx) as upstream,
        serving(tmp_path / "driftline", proxying(upstream)) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client,
    ):
        (tmp_path / "nginx" / "files" / "model.txt").write_bytes(BODY)
        whole = client.get("/model.txt", headers={"Accept-Encoding": "identity"})
        assert whole.content == BODY
        assert client.get("/model.txt", headers={"Range": "bytes=10-19", "Accept-Encoding": "identity"}).content == BODY[10:20]
        packed = client.get("/model.txt")
        assert (packed.headers["Content-Encoding"], packed.content) == ("gzip", BODY)
        same = client.get("/model.txt", headers={"If-None-Match": whole.headers["ETag"], "Accept-Encoding": "identity"})
        assert (same.status_code, same.content) == (304, b"")
        assert client.put("/new.txt", content=iter([BODY] * 10)).status_code == 201
        assert client.get("/new.txt", headers={"Accept-Encoding": "identity"}).content == BODY * 10
