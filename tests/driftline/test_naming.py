"""Which model an exchange was for."""

import gzip

import msgspec
import pytest

from config.addresses import Url
from config.settings import RouteSettings
from driftline.decoding import Decoding
from driftline.naming import Naming
from records.baseline import Baseline
from records.exchange import Body, Exchange, Role
from records.payload import Format

BASELINE = Baseline(baseline_id="b", model="fraud", source="t.csv", rows=200, created_at_ns=1, features=())


def asked(path, request=b"", fields=None, **named):
    return Exchange(bytes(16), "r", Role.SERVED, "front", "upstream", 1, "POST", path, request=Body(request, len(request), fields=fields or {}), **named)


@pytest.mark.parametrize(
    ("exchange", "name"),
    [
        (asked("/v2/models/m/versions/3/infer", model="given", version="9"), ("given", "9")),
        (asked("/v2/models/m/versions/3/infer"), ("m", "3")),
        (asked("/v2/models/m/infer", version="9"), ("m", "9")),
        (asked("/v2/models/m/infer", fields={"seldon-model": "canary"}), ("canary", "")),
        (asked("/v1/chat/completions", b'{"model": "llama"}'), ("llama", "")),
        (asked("/ask"), ("front", "")),
    ],
)
def test_a_model_is_named_by_its_route_else_by_the_request_else_after_the_route(exchange, name):
    assert Naming({}, Decoding(()).identify)(exchange) == name


def replied(path, reply, fields=None, coding="", **named):
    return msgspec.structs.replace(asked(path, **named), response=Body(reply, len(reply), content_encoding=coding, fields=fields or {}))


REPLY = b'{"model_name":"m","model_version":"4","outputs":[{"name":"y","shape":[1],"datatype":"FP32","data":[1]}]}'


@pytest.mark.parametrize(
    ("exchange", "name"),
    [
        (replied("/v2/models/m/infer", REPLY, status=200), ("m", "4")),
        (replied("/v2/models/m/infer", REPLY + b"\x00\xff", {"inference-header-content-length": str(len(REPLY))}, status=200), ("m", "4")),
        (replied("/v2/models/m/infer", gzip.compress(REPLY), coding="gzip", status=200), ("m", "4")),
        (replied("/v2/models/m/generate", b'{"model_version":"4","text_output":"a"}', status=200), ("m", "4")),
        (replied("/v2/models/m/versions/3/infer", REPLY, status=200), ("m", "3")),
        (replied("/v2/models/m/infer", REPLY, status=200, model="given"), ("given", "4")),
        (replied("/v2/models/m/infer", REPLY, status=200, model="given", version="9"), ("given", "9")),
        (replied("/v2/models/m/infer", REPLY, status=500), ("m", "")),
        (replied("/v2/models/m/infer", REPLY[:60], status=200), ("m", "")),
        (replied("/v2/models/m/infer", REPLY.replace(b'"4"', b"[4]"), status=200), ("m", "")),
        (replied("/v2/models/m/infer", REPLY.replace(b'"4"', b'"' + b"4" * 300 + b'"'), status=200), ("m", "")),
        (replied("/v2/models/m/infer", b'{"outputs":[{"name":"\\"model_version\\":\\"4\\""}]}', status=200), ("m", "")),
        (replied("/v2/models/m/infer", b'{"outputs":[{"parameters":{"model_version":"4"}}]}', status=200), ("m", "")),
        (replied("/v2/models/m/infer", b'{"model_version":"\xff"}', status=200), ("m", "")),
        (replied("/v2/models/m/infer", b'"model_version"' + b"[" * 100_000, status=200), ("m", "")),
        (replied("/v1/models/m:predict", REPLY, status=200), ("m", "")),
    ],
)
def test_the_reply_names_the_version_that_answered_where_nothing_else_does(exchange, name):
    decoding = Decoding(())
    naming = Naming({}, decoding.identify)
    _, reply = decoding(exchange)
    assert naming(exchange) == name
    assert naming(exchange, reply) == name  # what the store calls a model is what the detectors call it


def test_a_reply_that_was_decoded_is_not_read_again_for_its_version():
    decoding = Decoding(())
    _, reply = decoding(replied("/v2/models/m/infer", REPLY, status=200))
    assert Naming({}, decoding.identify)(replied("/v2/models/m/infer", b"", status=200), reply) == ("m", "4")


def test_the_first_event_of_a_stream_names_the_version():
    reply = b'data: {"model_version":"4","text_output":"a"}\n\ndata: {"text_output":"b"}\n\n'
    exchange = replied("/v2/models/m/generate_stream", reply, status=200)
    stream = msgspec.structs.replace(exchange, response=msgspec.structs.replace(exchange.response, content_type="text/event-stream"))
    assert Naming({}, Decoding(()).identify)(stream) == ("m", "4")


def test_a_baseline_names_what_the_request_does_not():
    assert Naming({"front": BASELINE}, Decoding(()).identify)(asked("/invocations")) == ("fraud", "")
    assert Naming({"front": BASELINE}, Decoding(()).identify)(asked("/v2/models/m/infer")) == ("m", "")


def test_a_path_names_a_model_in_the_format_of_its_route():
    clippers = asked("/fraud/predict", b'{"input": [1]}')
    route = RouteSettings(upstream=(Url.parse("http://127.0.0.1:9000"),), name="front", format=Format.JSON)
    assert Naming({}, Decoding(()).identify)(clippers) == ("fraud", "")
    assert Naming({}, Decoding((route,)).identify)(clippers) == ("front", "")
    assert Naming({}, Decoding(()).identify)(asked("/api/predict", b'{"features": [1]}')) == ("front", "")
