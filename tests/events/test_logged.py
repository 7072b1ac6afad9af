"""Events as the loggers of KServe and Seldon write them."""

import pytest

from events.cloudevents import CloudEvent, NotAnEventError
from events.logged import read_half
from records.exchange import Body

KSERVE = {
    "id": "9009d198-e8d9-42d9-9f8e-ab0cf469f28d",
    "type": "org.kubeflow.serving.inference.request",
    "source": "http://localhost:9081/",
    "time": "2025-11-20T12:00:00.5Z",
    "inferenceservicename": "fraud",
    "namespace": "risk",
    "component": "predictor",
    "endpoint": "default",
}
SELDON = {"id": "e-7", "type": "io.seldon.serving.inference.response", "requestid": "r-1", "modelid": "iris", "specversion": "0.3"}


def half(attributes, data=b'{"instances":[[1]]}', content_type="application/json"):
    return read_half(CloudEvent(attributes, data, content_type), 100)


def test_a_request_of_kserve():
    request = half(KSERVE)
    assert (request.request_id, request.model, request.arm, request.is_request) == (KSERVE["id"], "fraud", "default", True)
    assert request.at_ns == 1_763_640_000_500_000_000
    assert request.path == "/v1/models/fraud:predict"
    assert request.body == Body(b'{"instances":[[1]]}', 19, content_type="application/json")


def test_a_reply_of_seldon_is_named_by_its_request():
    reply = half(SELDON, b'{"data":{"ndarray":[1]}}')
    assert (reply.event_id, reply.request_id, reply.model, reply.is_request, reply.path) == ("e-7", "r-1", "iris", False, "")


@pytest.mark.parametrize(
    ("attributes", "data", "path"),
    [
        (KSERVE, b'{"inputs":[{"name":"x"}]}', "/v2/models/fraud/infer"),
        ({**KSERVE, "inferenceservicename": "a/b"}, b'{"instances":[]}', "/v1/models/a%2Fb:predict"),
        ({**SELDON, "type": "io.seldon.serving.inference.request"}, b'{"data":{"ndarray":[1]}}', "/api/v1.0/predictions"),
        (KSERVE, b"1,2", "/"),
    ],
)
def test_the_path_is_the_one_that_the_body_belongs_to(attributes, data, path):
    assert half(attributes, data).path == path


def test_a_transformer_is_another_model():
    assert half({**KSERVE, "component": "transformer"}).model == "fraud-transformer"


def test_a_reply_that_is_json_says_so_whatever_its_event_says():
    assert half(SELDON, b"[1]", "text/csv").body.content_type == "application/json"
    assert half(SELDON, b"1,2", "text/csv").body.content_type == "text/csv"


def test_a_long_body_is_cut_and_says_so():
    body = half(KSERVE, b"x" * 101).body
    assert (len(body.content), body.size_bytes, body.truncated) == (100, 101, True)


@pytest.mark.parametrize("wrong", [{**KSERVE, "type": "com.example.other"}, {**KSERVE, "id": ""}, {}])
def test_other_events_are_refused(wrong):
    with pytest.raises(NotAnEventError, match="expected an event"):
        half(wrong)


def test_a_time_that_cannot_be_read_is_none():
    assert half({**KSERVE, "time": "noon"}).at_ns == 0
