"""The service that the documentation puts Driftline in front of does what it says, and Driftline understands it."""

import json
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from payloads.decoding import decode
from records.exchange import Body, Exchange, Role
from records.payload import Decoded

EXAMPLE = Path(__file__).parents[2] / "examples/service.py"
PATH = "/v2/models/iris/infer"


@pytest.fixture(scope="module")
def example():
    spec = spec_from_file_location("example_service", EXAMPLE)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
async def url(example):
    application = web.Application()
    application.router.add_post(PATH, example.infer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
    await runner.cleanup()


async def test_its_own_example_request_is_answered_with_what_driftline_decodes(example, url):
    body = re.search(r"'(\{.*\})'", example.__doc__)[1].encode()
    async with ClientSession() as session, session.post(url, data=body) as response:
        assert response.status == 200
        reply = await response.read()
    json_type = "application/json"
    exchange = Exchange(
        exchange_id=bytes(16),
        request_id="",
        role=Role.SERVED,
        route="",
        arm="",
        started_at_ns=0,
        method="POST",
        path=PATH,
        status=200,
        request=Body(content=body, size_bytes=len(body), content_type=json_type),
        response=Body(content=reply, size_bytes=len(reply), content_type=json_type),
    )
    asked, answered = decode(exchange)
    assert isinstance(asked, Decoded)
    assert isinstance(answered, Decoded)
    assert asked.model == "iris"
    assert [(tensor.name, tensor.values) for tensor in asked.tensors] == [("petals", [4.7, 1.4])]
    assert [(tensor.name, tensor.shape) for tensor in answered.tensors] == [("species", (1,)), ("probabilities", (1, 3))]


@pytest.mark.parametrize("body", [b"nonsense", b"[]", b'{"inputs": []}', b'{"inputs": [{"data": [1, 2, 3]}]}'])
async def test_a_body_that_it_does_not_understand_is_an_error_of_the_client(url, body):
    async with ClientSession() as session, session.post(url, data=body) as response:
        assert response.status == 400
        assert "expected one input of shape [n, 2]" in json.loads(await response.read())["error"]
