"""What strangers send leads to no other place and to no more memory; and the threat model names tests that exist."""

from __future__ import annotations

import ast
import gzip
import io
import re
import tracemalloc
import zlib
from functools import cache
from pathlib import Path

import pytest

from config.addresses import Url
from config.settings import ShadowSettings
from console.bodies import BODY_AT_MOST_BYTES
from events.cloudevents import read_events
from labels.reading import read_labels, records_of
from records.ports import UnreadableEventsError, UnreadableLabelsError
from tests.console.conftest import accept, audit, client, guard, take_events, take_labels, views  # noqa: F401 - fixtures
from tests.proxy.conftest import answering, bench  # noqa: F401 - a fixture

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/threat-model.md").read_text(encoding="utf-8")
DEEP = b"[" * 1_000_000


@pytest.mark.parametrize("target", [b"http://{elsewhere}/latest/meta-data/", b"/latest/meta-data/"])
async def test_a_request_reaches_its_route_s_upstream_whatever_it_names(bench, target):  # noqa: F811
    seen, others = [], []
    upstream, elsewhere = await bench.upstream(answering(b"ok", seen=seen)), await bench.upstream(answering(b"no", seen=others))
    proxy = await bench.proxy(upstream)
    host = elsewhere.removeprefix("http://").encode()
    reply = await proxy.exchange(
        b"GET %b HTTP/1.1\r\nHost: %b\r\nX-Forwarded-Host: %b\r\nConnection: close\r\n\r\n" % (target.replace(b"{elsewhere}", host), host, host)
    )
    assert reply.endswith(b"ok")
    assert len(seen) == 1
    assert others == []


async def test_redirects_of_an_upstream_and_a_shadow_are_followed_by_nobody(bench):  # noqa: F811
    others = []
    elsewhere = await bench.upstream(answering(b"no", seen=others))

    async def move(reader, writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % elsewhere.encode())
        await reader.read()

    shadow = ShadowSettings(url=(Url.parse(await bench.upstream(move)),), name="candidate")
    proxy = await bench.proxy(await bench.upstream(move), (shadow,))
    assert (await proxy.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).startswith(b"HTTP/1.1 307 ")
    assert {exchange.status for exchange in await proxy.tap.recorded(2)} == {307}
    assert others == []


async def test_a_connect_is_no_way_out(bench):  # noqa: F811
    proxy = await bench.proxy(await bench.upstream(answering(b"ok")))
    assert (await proxy.exchange(b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: a\r\n\r\n")).startswith(b"HTTP/1.1 405 ")


@cache
def bomb_of(coding: str) -> bytes:
    return {"gzip": gzip, "deflate": zlib}[coding].compress(bytes(200_000_000), 1)


@pytest.mark.parametrize("path", ["/api/v1/labels", "/api/v1/cloudevents", "/api/v1/models/fraud/baseline"])
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_bomb_at_the_admin_address_is_413_and_takes_no_more_than_a_body(client, path, coding):  # noqa: F811
    bomb = bomb_of(coding)
    tracemalloc.start()
    try:
        reply = await client.post(path, data=io.BytesIO(bomb), headers={"Content-Encoding": coding, "Content-Type": "application/json"})
        assert reply.status == 413
        assert tracemalloc.get_traced_memory()[1] < len(bomb) + 8 * BODY_AT_MOST_BYTES
    finally:
        tracemalloc.stop()


async def test_a_body_that_is_not_coded_as_it_says_is_400(client):  # noqa: F811
    reply = await client.post("/api/v1/labels", data=b"no gzip", headers={"Content-Encoding": "gzip"})
    assert (reply.status, set(await reply.json())) == (400, {"error"})


@pytest.mark.parametrize("opened", [b"[", b'{"a":'])
def test_nesting_without_end_is_refused_where_strangers_send_json(opened):
    deep = opened * 100_000
    with pytest.raises(UnreadableLabelsError):
        list(read_labels(records_of(deep, "application/json"), received_at_ns=0, source="api"))
    with pytest.raises(UnreadableEventsError):
        list(read_events(deep, {"content-type": "application/cloudevents+json"}))


async def test_nesting_without_end_is_400_at_the_admin_address(client):  # noqa: F811
    assert (await client.post("/api/v1/models/fraud/baseline", data=DEEP[:500_000])).status == 400


def test_every_threat_of_the_threat_model_has_tests_that_exist():
    rows = [row for table in PAGE.split("| threat | answer | shown by |\n| --- | --- | --- |\n")[1:] for row in table.partition("\n\n")[0].splitlines()]
    assert len(rows) > 20
    for row in rows:
        shown_by = row.rpartition(" | ")[2]
        links = re.findall(r"\[([^]]+)\]\(\.\./(tests/[^)]+)\)", shown_by)
        assert links, row
        for name, path in links:
            module = ast.parse((ROOT / path).read_text(encoding="utf-8"))
            tests = {node.name for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
            assert name == path or name.strip("`") in tests, f"{path} has no {name}"
