"""By which names labels find their exchanges."""

import asyncio
import json
import re

import pytest
from aiohttp import ClientSession, web
from msgspec.structs import replace

from config.redaction import Place
from config.settings import RouteSettings
from driftline.label_keys import LabelKeys, feedback_labels
from records.exchange import Body, Role
from records.label import NO_EXCHANGE, Label, LabelSource, Subject

JOINED = re.compile(r"^driftline_labels_joined_total\{.*\} (.*)$", re.MULTILINE)
SELDON, FEEDBACK = "/seldon/risk/fraud/api/v1.0/predictions", "/seldon/risk/fraud/api/v1.0/feedback"


def body(document, **fields):
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Body(content, len(content), content_type="application/json", **fields)


@pytest.fixture
def exchange(stored_exchange):
    def make(path, request, response=None):
        return replace(stored_exchange(1), path=path, request=body(request), response=body(response or {}))

    return make


def keys_at(place):
    return LabelKeys([RouteSettings(upstream=(), label_key=Place.parse(place))])


def test_a_route_s_key_stands_in_the_body_the_query_or_a_header_field(exchange):
    assert keys_at("$.order.id")(exchange("/x", {"order": {"id": "o-1"}})) == "o-1"
    assert keys_at("$.order.id")(exchange("/x", {"order": {"id": 7}})) == "7"
    assert keys_at("?order")(exchange("/x?order=o-2", {})) == "o-2"
    named = exchange("/x", {})
    assert keys_at("header:X-Order")(replace(named, request=body({}, fields={"x-order": "o-3"}))) == "o-3"


@pytest.mark.parametrize("request_body", [{}, {"id": None}, {"id": {}}, {"id": "x" * 201}, b"nonsense", b""])
def test_an_exchange_without_its_key_has_none(exchange, request_body):
    assert keys_at("$.id")(exchange("/x", request_body)) == ""


def test_a_key_that_is_there_twice_is_none(exchange):
    assert keys_at("$.rows[*].id")(exchange("/x", {"rows": [{"id": 1}, {"id": 2}]})) == ""


def test_a_shadow_has_no_key(exchange):
    assert keys_at("?order")(replace(exchange("/x?order=1", {}), role=Role.SHADOW)) == ""


def test_seldon_s_feedback_names_its_prediction_by_puid(exchange):
    made = exchange(SELDON, {"data": {"ndarray": [[1], [2]]}}, {"meta": {"puid": "p-1"}, "data": {"ndarray": [[0], [1]]}})
    told = exchange(FEEDBACK, {"response": {"meta": {"puid": "p-1"}}, "truth": {"data": {"ndarray": [[1], [1]]}}})
    assert LabelKeys([])(made) == "p-1"
    assert list(feedback_labels(told, 5)) == [
        Label(Subject(NO_EXCHANGE, "", "p-1", row), "1", told.started_at_ns, 5 + row, LabelSource.FEEDBACK) for row in (0, 1)
    ]


def test_clipper_s_update_names_its_prediction_by_the_input_however_it_is_written(exchange):
    made = exchange("/digits/predict", b'{"input": [1.0, 2]}', {"query_id": 1, "output": 3, "default": False})
    told = exchange("/digits/update", b'{"input": [1, 2.0], "label": 4}')
    other = exchange("/other/update", b'{"input": [1, 2.0], "label": 4}')
    (label,) = feedback_labels(told, 5)
    assert (label.subject.key, label.label) == (LabelKeys([])(made), "4")
    assert next(feedback_labels(other, 5)).subject.key != label.subject.key


@pytest.mark.parametrize(
    ("path", "document"),
    [
        (FEEDBACK, {"response": {"meta": {"puid": "p-1"}}, "reward": 1.0}),
        (FEEDBACK, {"truth": {"data": {"ndarray": [[1]]}}}),
        (FEEDBACK, b"nonsense"),
        ("/digits/update", {"label": 4}),
        (SELDON, {"data": {"ndarray": [[1]]}}),
    ],
)
def test_feedback_that_names_no_prediction_or_no_truth_is_no_label(exchange, path, document):
    assert list(feedback_labels(exchange(path, document), 5)) == []


async def answer(request):
    asked = json.loads(await request.read())
    if request.path.endswith("/feedback"):
        return web.json_response({"meta": {}})
    if request.path == "/digits/predict":
        return web.json_response({"query_id": 1, "output": 3, "default": False})
    if request.path == "/digits/update":
        return web.Response(text="ok")
    return web.json_response({"meta": {"puid": f"p-{asked['data']['ndarray'][0][0]}"}, "data": {"ndarray": [[0.5]]}})


async def test_feedback_that_passes_through_the_proxy_and_keys_of_the_caller_s_become_labels(up, tmp_path):
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    config = tmp_path / "driftline.yaml"
    config.write_text(
        "routes:\n- {{upstream: {0}}}\n- {{name: orders, path: /orders, upstream: {0}, label_key: 'header:X-Order'}}\n".format(
            "http://{}:{}".format(*runner.addresses[0])
        )
    )
    service = await up("--config", str(config))
    async with ClientSession() as session:

        async def post(path, document, url=service.url, **headers):
            async with session.post(url + path, json=document, headers=headers) as reply:
                assert reply.status == 200, await reply.text()

        await post(SELDON, {"data": {"ndarray": [[7]]}})
        await post(FEEDBACK, {"response": {"meta": {"puid": "p-7"}}, "truth": {"data": {"ndarray": [[0.75]]}}})
        await post("/digits/predict", {"input": [1, 2]})
        await post("/digits/update", {"input": [1, 2], "label": 3})
        await post("/orders" + SELDON, {"data": {"ndarray": [[8]]}}, **{"X-Order": "o-1"})
        await post("/api/v1/labels", {"key": "o-1", "label": 1}, url=service.admin)
    metrics = ""
    while sum(map(float, JOINED.findall(metrics))) < 3:
        await asyncio.sleep(0.1)
        metrics = await service.metrics()
    assert 'driftline_labels_received_total{source="feedback"} 2.0' in metrics
    assert 'driftline_labelled_absolute_error_total{arm="upstream",model="fraud"} 0.75' in metrics  # |0.5 − 0.75| + |0.5 − 1|
    assert 'driftline_labelled_correct_total{arm="upstream",model="digits"} 1.0' in metrics
    await runner.cleanup()
