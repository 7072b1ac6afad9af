"""Spans of a running service, as a collector gets them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from multidict import CIMultiDictProxy
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector:
    """Takes OTLP over HTTP, or refuses it."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.services: set[str] = set()
        self.status = 200
        self.came = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        if self.status != 200:
            return web.Response(status=self.status)
        message = ExportTraceServiceRequest.FromString(await request.read())
        for resource in message.resource_spans:
            self.services |= {attribute.value.string_value for attribute in resource.resource.attributes if attribute.key == "service.name"}
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        self.came.set()
        return web.Response(body=ExportTraceServiceResponse().SerializeToString(), content_type="application/x-protobuf")

    async def has(self, count: int) -> list[Span]:
        async with asyncio.timeout(40):
            while len(self.spans) < count:
                self.came.clear()
                await self.came.wait()
        return self.spans


class TracedUpstream:
    """Remembers the fields that it was sent, by path."""

    def __init__(self) -> None:
        self.url = ""
        self.told: dict[str, CIMultiDictProxy[str]] = {}

    async def answer(self, request: web.Request) -> web.Response:
        self.told[request.path] = request.headers
        return web.json_response({})


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    collector.url = "http://{}:{}/v1/traces".format(*runner.addresses[0])
    yield collector
    await runner.cleanup()


def attributes(span: Span) -> dict[str, str | int]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


async def test_a_collector_gets_the_server_the_upstream_and_each_shadow(tmp_path: Path, up, upstream, collector: Collector) -> None:
    config = tmp_path / "driftline.yaml"
    config.write_text(
        f"routes: [{{name: fraud, upstream: '{upstream.url}', shadows: [{{name: candidate, url: '{upstream.url}'}}]}}]\n"
        f"traces: {{endpoint: '{collector.url}', sample: 100%, service: scoring}}\n"
    )
    service = await up("--config", str(config))
    async with ClientSession() as session:
        headers = {"X-Request-Id": "r", "traceparent": f"00-{TRACE}-{PARENT}-01"}
        async with session.post(f"{service.url}/v2/models/m/infer?key=secret", data=b"{}", headers=headers) as reply:
            assert reply.status == 200
    spans = {attributes(span).get("driftline.arm", "served"): span for span in await collector.has(3)}
    assert spans.keys() == {"served", "upstream", "candidate"}
    served = spans["served"]
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE}
    assert served.parent_span_id.hex() == PARENT
    assert spans["upstream"].parent_span_id == spans["candidate"].parent_span_id == served.span_id
    assert (served.name, served.kind) == ("POST fraud", Span.SPAN_KIND_SERVER)
    assert attributes(served)["http.response.status_code"] == 200
    assert attributes(served)["driftline.model"] == "m"
    assert collector.services == {"scoring"}
    async with asyncio.timeout(40):  # counted when the collector's answer is here
        while "driftline_spans_exported_total 3.0" not in await service.metrics():
            await asyncio.sleep(0.1)
    assert b"secret" not in b"".join(span.SerializeToString() for span in spans.values())


@pytest.fixture
async def traced() -> AsyncIterator[TracedUpstream]:
    upstream = TracedUpstream()
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", upstream.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    upstream.url = "http://{}:{}".format(*runner.addresses[0])
    yield upstream
    await runner.cleanup()


async def test_what_an_arm_is_told_is_the_id_of_its_span(tmp_path: Path, up, traced: TracedUpstream, collector: Collector) -> None:
    config = tmp_path / "driftline.yaml"
    config.write_text(
        f"routes: [{{name: fraud, upstream: '{traced.url}/served', shadows: [{{name: candidate, url: '{traced.url}/shadow'}}]}}]\n"
        f"traces: {{endpoint: '{collector.url}', sample: 100%}}\n"
    )
    service = await up("--config", str(config))
    callers = [{"traceparent": f"00-{TRACE}-{PARENT}-00", "tracestate": "vendor=1"}, {}]
    async with ClientSession() as session:
        for number, headers in enumerate(callers):
            async with session.post(f"{service.url}/{number}", data=b"{}", headers=headers) as reply:
                assert reply.status == 200
    spans = await collector.has(6)
    for number in range(len(callers)):
        mine = {attributes(span).get("driftline.arm", "server"): span for span in spans if attributes(span)["url.path"] == f"/{number}"}
        for arm, span in (("served", mine["upstream"]), ("shadow", mine["candidate"])):
            version, trace, parent, flags = traced.told[f"/{arm}/{number}"]["traceparent"].split("-")
            assert (version, trace, parent) == ("00", span.trace_id.hex(), span.span_id.hex())
            assert int(flags, 16) & 1, "it is recorded"
            assert span.parent_span_id == mine["server"].span_id
    assert traced.told["/served/0"]["tracestate"] == traced.told["/shadow/0"]["tracestate"] == "vendor=1"
    assert traced.told["/served/0"]["traceparent"].split("-")[1] == TRACE


async def test_only_failures_are_sent_where_the_share_is_nothing(tmp_path: Path, up, upstream, collector: Collector) -> None:
    config = tmp_path / "driftline.yaml"
    config.write_text(
        f"routes: [{{name: good, path: /good, upstream: '{upstream.url}'}}, {{name: bad, path: /bad, upstream: 'http://127.0.0.1:9'}}]\n"
        f"traces: {{endpoint: '{collector.url}', sample: 0%}}\n"
    )
    service = await up("--config", str(config))
    async with ClientSession() as session:
        for path in ("/good", "/bad", "/good"):
            async with session.post(service.url + path, data=b"{}", headers={"X-Request-Id": path}):
                pass
    (span,) = await collector.has(1)
    assert (span.name, span.status.code) == ("POST bad", Status.STATUS_CODE_ERROR)
    assert attributes(span)["error.type"] == "connect_failed"


async def test_a_collector_that_refuses_costs_spans_and_nothing_else(tmp_path: Path, up, upstream, collector: Collector) -> None:
    collector.status = 400  # for good: the SDK does not try again
    config = tmp_path / "driftline.yaml"
    config.write_text(f"routes: [{{upstream: '{upstream.url}'}}]\ntraces: {{endpoint: '{collector.url}', sample: 100%}}\n")
    service = await up("--config", str(config))
    async with ClientSession() as session, session.post(service.url, data=b"{}", headers={"X-Request-Id": "r"}) as reply:
        assert reply.status == 200
    async with asyncio.timeout(40):
        while "driftline_spans_failed_total 2.0" not in await service.metrics():
            await asyncio.sleep(0.2)
    assert (await service.settled_counts())["stored"] == 1
    assert await service.stop() == 0
