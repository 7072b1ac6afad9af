from collections import Counter

import orjson
import pytest
from aiohttp import web

from driftline.demo.plan import Plan
from driftline.demo.traffic import TWIN_EVERY, Traffic, encode, measure_capacity

PLAN = Plan(requests=60, rate_per_second=5_000.0, window_rows=200, drift_at=30)


class Recorder:
    """A service that keeps what it was asked, and answers with `reply`."""

    def __init__(self, reply=b"{}", status=200):
        self.bodies = []
        self.request_ids = []
        self.reply = reply
        self.status = status

    async def answer(self, request):
        self.bodies.append(await request.read())
        self.request_ids.append(request.headers["X-Request-Id"])
        return web.Response(body=self.reply, status=self.status)

    def application(self):
        application = web.Application()
        application.router.add_post("/", self.answer)
        return application


@pytest.fixture
def send(serving, data):
    async def send(proxy, service):
        async with serving(proxy.application()) as proxy_url, serving(service.application()) as service_url:
            traffic = Traffic(PLAN, data.pool[: PLAN.requests], proxy_url=proxy_url, service_url=service_url)
            await traffic.run()
        return traffic

    return send


async def test_every_row_goes_through_the_proxy_once_under_an_id_of_its_own(send, data):
    proxy = Recorder()
    traffic = await send(proxy, Recorder())
    assert Counter(proxy.bodies) == Counter(encode(row) for row in data.pool[: PLAN.requests])
    assert sorted(proxy.request_ids) == sorted(f"demo-{index}" for index in range(PLAN.requests))
    assert (traffic.sent, traffic.failed) == (PLAN.requests, 0)


async def test_every_fifth_row_goes_straight_to_the_service_as_well(send, data):
    service = Recorder()
    await send(Recorder(), service)
    assert Counter(service.bodies) == Counter(encode(row) for row in data.pool[: PLAN.requests : TWIN_EVERY])


async def test_a_reply_that_differs_from_the_services_own_is_a_failure(send):
    traffic = await send(Recorder(b"altered"), Recorder(b"original"))
    assert traffic.failed == PLAN.requests // TWIN_EVERY
    assert "is not the service's" in traffic.failures[0]


async def test_an_error_status_is_a_failure_and_gives_no_latency(send):
    traffic = await send(Recorder(status=502), Recorder())
    assert traffic.failed == PLAN.requests
    assert "status 502" in traffic.failures[0]
    assert traffic.latency_added is None


async def test_a_proxy_that_does_not_listen_is_a_failure_of_every_request(data):
    traffic = Traffic(PLAN, data.pool[: PLAN.requests], proxy_url="http://127.0.0.1:1", service_url="http://127.0.0.1:1")
    await traffic.run()
    assert traffic.failed == PLAN.requests
    assert len(traffic.failures) == 5


async def test_it_knows_when_the_first_drifted_row_left(send):
    traffic = await send(Recorder(), Recorder())
    assert traffic.drift_began_at_seconds is not None
    assert traffic.latency_added is not None


async def test_the_capacity_of_a_service_is_measured_with_rows_that_it_understands(service, data):
    assert await measure_capacity(f"{service}/v2/models/tumour/infer", data.pool) > 50


def test_a_row_is_written_exactly(data):
    (tensor,) = orjson.loads(encode(data.pool[7]))["inputs"]
    assert tensor["data"] == data.pool[7].tolist()
    assert (tensor["shape"], tensor["datatype"]) == ([1, 30], "FP64")
