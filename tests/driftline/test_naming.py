"""Which model an exchange was for."""

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


def test_a_baseline_names_what_the_request_does_not():
    assert Naming({"front": BASELINE}, Decoding(()).identify)(asked("/invocations")) == ("fraud", "")
    assert Naming({"front": BASELINE}, Decoding(()).identify)(asked("/v2/models/m/infer")) == ("m", "")


def test_a_path_names_a_model_in_the_format_of_its_route():
    clippers = asked("/fraud/predict", b'{"input": [1]}')
    route = RouteSettings(upstream=(Url.parse("http://127.0.0.1:9000"),), name="front", format=Format.JSON)
    assert Naming({}, Decoding(()).identify)(clippers) == ("fraud", "")
    assert Naming({}, Decoding((route,)).identify)(clippers) == ("front", "")
    assert Naming({}, Decoding(()).identify)(asked("/api/predict", b'{"features": [1]}')) == ("front", "")
