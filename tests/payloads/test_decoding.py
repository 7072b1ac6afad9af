import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payloads.decoding import FORMATS, decode, identify, recognise, wire_format
from payloads.refusal import MAX_CONTENT_BYTES
from records.exchange import Exchange, Role
from records.payload import Decoded, Failed, Format, Undecodable

V2 = "/v2/models/fraud/infer"
REQUEST = b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1.5,2.5]}]}'
REPLY = b'{"model_name":"fraud","outputs":[{"name":"y","shape":[1],"datatype":"INT64","data":[1]}]}'


@pytest.mark.parametrize(
    ("path", "name", "model", "version"),
    [
        ("/v2/models/fraud/infer", "v2", "fraud", ""),
        ("/v2/models/fraud/versions/7/infer", "v2", "fraud", "7"),
        ("/serving/ns/v2/models/fraud/infer?timeout=1", "v2", "fraud", ""),
        ("http://host:8080/v2/models/credit%20risk/infer", "v2", "credit risk", ""),
        ("/v1/models/fraud:predict", "v1", "fraud", ""),
        ("/v1/models/fraud/versions/3:classify", "v1", "fraud", "3"),
        ("/v1/models/fraud/labels/stable:regress", "v1", "fraud", "stable"),
        ("/v1/models/fraud:explain", "v1", "fraud", ""),
        ("/v2/models/llama/generate", "generate", "llama", ""),
        ("/v2/models/llama/versions/2/generate_stream", "generate", "llama", "2"),
        ("/predictions/fraud/1.0", "torchserve", "fraud", "1.0"),
        ("/explanations/fraud", "torchserve", "fraud", ""),
        ("/seldon/models/fraud/api/v1.0/predictions", "seldon", "fraud", ""),
        ("/api/v0.1/predictions", "seldon", "", ""),
        ("/invocations", "mlflow", "", ""),
        ("/score", "azureml", "", ""),
        ("/openai/v1/chat/completions", "openai", "", ""),
        ("/openai/deployments/gpt/embeddings?api-version=1", "openai", "gpt", ""),
        ("/fraud/predict", "clipper", "fraud", ""),
    ],
)
def test_the_path_tells_format_model_and_version(path, name, model, version):
    target = recognise(path)
    assert target is not None
    assert (target.wire_format.NAME, target.model, target.version) == (name, model, version)


@pytest.mark.parametrize(
    "path", ["/", "/v2/models/fraud", "/v2/models/fraud/ready", "/v1/models/fraud", "/chat/completions", "/other?next=/v2/models/fraud/infer", "*", ""]
)
def test_other_paths_are_of_no_format(path):
    assert recognise(path) is None


def test_both_bodies_of_an_exchange_are_decoded(decode_bodies):
    request, reply = decode_bodies(V2, REQUEST, REPLY)
    assert (request.tensors[0].name, request.tensors[0].values) == ("x", [1.5, 2.5])
    assert (reply.tensors[0].name, reply.tensors[0].values) == ("y", [1])


def test_an_unknown_path_with_bodies_is_an_unknown_format(decode_bodies):
    assert decode_bodies("/ask", b"{}", b"{}") == (Failed("", Undecodable.UNKNOWN_FORMAT),) * 2


def test_a_health_probe_without_a_body_is_empty_and_not_a_format_that_we_fail_to_know(decode_bodies):
    assert decode_bodies("/v2/health/ready") == (Failed("", Undecodable.EMPTY),) * 2


def test_a_shadows_exchange_gives_its_reply_alone(decode_bodies, body):
    request, reply = decode_bodies(V2, body(b"", size_bytes=80), REPLY, role=Role.SHADOW)
    assert request == Failed("v2", Undecodable.EMPTY, "fraud")
    assert isinstance(reply, Decoded)


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_a_reply_with_an_error_status_carries_no_prediction(decode_bodies, status):
    request, reply = decode_bodies(V2, REQUEST, REPLY, status=status)
    assert isinstance(request, Decoded)
    assert reply == Failed("v2", Undecodable.ERROR_REPLY, "fraud")
    assert decode_bodies("/ask", REQUEST, REPLY, status=status) == (Failed("", Undecodable.UNKNOWN_FORMAT), Failed("", Undecodable.ERROR_REPLY))


@pytest.mark.parametrize("content", [REQUEST, REQUEST[:40], b""])
def test_a_truncated_body_is_not_decoded_even_where_the_rest_would_parse(decode_request, body, content):
    assert decode_request(V2, body(content, size_bytes=5_000, truncated=True)) == Failed("v2", Undecodable.TRUNCATED, "fraud")


def raw_deflate(content):
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(content) + compressor.flush()


@pytest.mark.parametrize(
    ("coding", "compress"), [("gzip", gzip.compress), ("GZIP", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate)]
)
def test_compressed_bodies_are_decoded(decode_request, body, coding, compress):
    assert decode_request(V2, body(compress(REQUEST), content_encoding=coding)) == decode_request(V2, REQUEST)


@pytest.mark.parametrize(
    ("coding", "content"),
    [
        ("compress", REQUEST),
        ("gzip, gzip", gzip.compress(gzip.compress(REQUEST))),
        ("gzip", REQUEST),
        ("gzip", gzip.compress(REQUEST)[:-1]),
        ("gzip", gzip.compress(REQUEST) + b"more"),
        ("gzip", gzip.compress(bytes(MAX_CONTENT_BYTES + 1))),
        ("deflate", zlib.compress(bytes(200_000_000))),
    ],
    ids=["unknown", "twice", "not compressed", "cut", "followed by more", "past the bound", "a bomb"],
)
def test_a_coding_that_does_not_decompress_within_its_bound_is_refused(decode_request, body, coding, content):
    assert decode_request(V2, body(content, content_encoding=coding)).reason is Undecodable.ENCODED


def test_a_body_past_the_bound_is_not_parsed(decode_request):
    assert decode_request(V2, REQUEST + b" " * MAX_CONTENT_BYTES).reason is Undecodable.TOO_LARGE


@pytest.mark.parametrize(
    ("path", "request_body"),
    [
        (V2, {"inputs": [{"name": "x", "shape": [100_001], "datatype": "INT8", "data": [1] * 100_001}]}),
        (V2, {"inputs": [{"name": f"x{i}", "shape": [50_001], "datatype": "INT8", "data": [1] * 50_001} for i in range(2)]}),
        ("/v1/models/m:predict", {"instances": [[1] * 50_001] * 2}),
        ("/v1/models/m:predict", {"instances": [{f"f{row}": 1} for row in range(1_000)]}),
        ("/v1/models/m:classify", {"context": {"a": [0] * 1_000, "b": [0] * 1_000}, "examples": [{}] * 60}),
        ("/v1/models/m:classify", {"context": {f"c{i}": 0 for i in range(1_000)}, "examples": [{}] * 1_000}),
    ],
    ids=["one tensor", "several tensors", "rows", "a name of its own per row", "wide context", "context of many names"],
)
def test_more_values_than_are_worth_it_are_refused_however_they_are_written(decode_request, path, request_body):
    assert decode_request(path, request_body).reason is Undecodable.TOO_LARGE


@pytest.mark.parametrize("path", [V2, "/v1/models/m:predict", "/invocations"])
@pytest.mark.parametrize("depth", [100, 2_000, 300_000])
def test_deep_nesting_is_malformed(decode_request, path, depth):
    for key in (b"inputs", b"instances"):
        content = b'{"' + key + b'": ' + b"[" * depth + b"NaN" + b"]" * depth + b"}"
        assert decode_request(path, content).reason in {Undecodable.MALFORMED, Undecodable.UNKNOWN_FORMAT}


MEBIBYTE = 1 << 20
HALF = MEBIBYTE // 2
HOSTILE = {
    "a shape of many lengths": (V2, "", b'{"inputs":[{"name":"x","datatype":"INT8","data":[1],"shape":[' + b"99999," * 80_000 + b"9]}]}"),
    "many tensors": (V2, "", b'{"inputs":[' + b",".join([b'{"name":"x","datatype":"INT8","data":[1],"shape":[1]}'] * 9_000) + b"]}"),
    "many rows": ("/v1/models/m:predict", "", b'{"instances":[' + b",".join([b'{"a":1}'] * 65_000) + b"]}"),
    "objects in objects": ("/v1/models/m:predict", "", b'{"instances":[' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"]}"),
    "lists of objects in each other": ("/v1/models/m:predict", "", b'{"instances":[' + b'{"a":[' * 400 + b'{"a":1}' + b"]}" * 400 + b"]}"),
    "long names over many values": ("/score", "", b'{"data":[{"' + b"k" * 150 + b'":{' + b",".join(b'"%d":1' % i for i in range(40_000)) + b"}}]}"),
    "empty cells": ("/invocations", "text/csv", b"," * HALF),
    "a quote without its end": ("/invocations", "text/csv", b'"' + b"a\n" * (HALF // 2)),
    "short lines": ("/invocations", "application/jsonlines", b"1\n" * (HALF // 2)),
    "empty lines": ("/v1/chat/completions", "text/event-stream", b"\n" * HALF),
    "many events": ("/v1/chat/completions", "text/event-stream", b'data: {"choices":[{"text":"a"}]}\n\n' * 15_000),
    "many parts": ("/predictions/m", "multipart/form-data; boundary=b", b"\r\n--b" * (HALF // 5)),
    "parts with long heads": ("/predictions/m", "multipart/form-data; boundary=b", (b"--b\r\nX: " + b"x*1=;" * 700 + b"\r\n\r\n1\r\n") * 140 + b"--b--"),
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_hostile_bodies_take_bounded_memory(decode_bodies, body, attack):
    path, content_type, content = HOSTILE[attack]
    message = body(content, content_type=content_type)
    tracemalloc.start()
    try:
        decode_bodies(path, message, message)
        assert tracemalloc.get_traced_memory()[1] < 40 * MEBIBYTE
    finally:
        tracemalloc.stop()


PATHS = st.sampled_from(
    [
        V2,
        "/v2/models/m/generate_stream",
        "/v1/models/m:predict",
        "/v1/models/m:classify",
        "/predictions/m",
        "/api/v1.0/predictions",
        "/invocations",
        "/score",
        "/v1/chat/completions",
        "/v1/embeddings",
        "/m/predict",
        "/ask",
    ]
)
CONTENT_TYPES = st.sampled_from(
    [
        "application/json",
        "text/csv",
        "text/plain",
        "text/event-stream",
        "application/jsonlines",
        "application/x-recordio-protobuf",
        "application/octet-stream",
        "application/vnd.sagemaker-triton.binary+json;json-header-size=2",
        "multipart/form-data; boundary=b",
        "",
    ]
) | st.text(max_size=30).map("multipart/form-data; boundary={}".format)
SERVICE_KEYS = ["ndarray", "tensor", "tftensor", "values", "tensorShape", "dim", "size", "int64Val", "stringVal", "strData", "jsonData", "input_data"]
SERVICE_KEYS += ["messages", "prompt", "input", "content", "text_input", "text_output", "choices", "delta", "text", "index", "usage", "embedding", "batch"]
SERVICE_KEYS += ["input_batch", "output", "batch_predictions", "Inputs", "Results", "result", "tool_calls", "finish_reason", "names"]
TENSOR_KEYS = ["name", "shape", "datatype", "data", "parameters", "binary_data_size"]
FORM_KEYS = ["inputs", "outputs", "instances", "predictions", "results", "examples", "context", "dataframe_split", "dataframe_records", "columns", "b64"]
KEYS = st.sampled_from([*TENSOR_KEYS, *FORM_KEYS, *SERVICE_KEYS, "other"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["FP32", "BYTES", "x", "aGk=", "\ud800"])
DATATYPES = {"BOOL", "UINT8", "INT64", "FP32", "FP64", "BYTES", "JSON", "TEXT"}
DOCUMENTS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20)


FRAGMENTS = st.sampled_from(
    [b"data: ", b"{}", b"[DONE]", b"\n\n", b"\r\n", b"--b", b"--b--", b"1,2", b'{"choices":[{"text":"a"}]}', b"Content-Disposition: form-data; name=x"]
)


@given(
    path=PATHS,
    content_type=CONTENT_TYPES,
    content=st.binary(max_size=60) | st.lists(FRAGMENTS, max_size=9).map(b"".join),
    length=st.text(max_size=3) | st.integers(0, 60).map(str),
)
def test_arbitrary_bytes_never_raise(decode_bodies, body, path, content_type, content, length):
    message = body(content, content_type=content_type, fields={"inference-header-content-length": length})
    assert all(isinstance(result, Decoded | Failed) for result in decode_bodies(path, message, message))


@given(path=PATHS, document=st.dictionaries(KEYS, DOCUMENTS, max_size=3))
@example(path="/invocations", document={"dataframe_split": {"columns": ["a", "b"], "data": [[1]]}})
@example(path="/v1/models/m:predict", document={"instances": [{"a": [1, 2]}, {}]})
def test_arbitrary_documents_never_raise_and_tensors_are_whole(decode_bodies, path, document):
    for result in decode_bodies(path, document, document):
        for tensor in result.tensors if isinstance(result, Decoded) else []:
            size = 1
            for length in tensor.shape:
                size *= length
            assert tensor.shape
            assert tensor.datatype in DATATYPES
            assert len(tensor.values) == size
            assert all(value is None or type(value) in {bool, int, float, str} for value in tensor.values)
            assert all(type(value) is not int or -(2**63) <= value < 2**64 for value in tensor.values)
            "".join(value for value in tensor.values if type(value) is str).encode()


def test_the_formats_are_those_that_settings_name():
    assert [*(known.NAME for known in FORMATS), "json"] == list(Format)
    assert [wire_format(name).NAME for name in Format] == list(Format)


def test_a_route_that_sets_a_format_is_read_by_it_whatever_the_path(body):
    exchange = make_exchange("/any", body({"instances": [[1.5]]}))
    assert decode(exchange)[0].reason is Undecodable.UNKNOWN_FORMAT
    assert decode(exchange, wire_format("v1"))[0].tensors[0].values == [1.5]
    named = make_exchange("/v1/models/fraud:predict", body({"instances": [[1.5]]}))
    assert decode(named, wire_format("v1"))[0].model == "fraud"


def make_exchange(path, request):
    return Exchange(bytes(16), "r", Role.SERVED, "default", "upstream", 1, "POST", path, status=200, request=request)


@pytest.mark.parametrize(
    ("path", "fields", "document", "model"),
    [
        (V2, {}, {}, "fraud"),
        (V2, {"seldon-model": "canary"}, {}, "canary"),
        (V2, {"inference-header-content-length": "2"}, {}, "fraud"),
        ("/invocations", {"x-amzn-sagemaker-target-model": "a.tar.gz"}, {}, "a.tar.gz"),
        ("/score", {"azureml-model-deployment": "blue"}, {}, "blue"),
        ("/v1/chat/completions", {}, {"model": "llama"}, "llama"),
        ("/v1/chat/completions", {}, {}, ""),
        ("/any", {}, {"model": "llama"}, ""),
    ],
)
def test_the_model_is_named_by_a_field_the_path_or_the_body(body, path, fields, document, model):
    assert identify(make_exchange(path, body(document, fields=fields))) == (model, "")


def test_what_a_path_names_depends_on_the_format_that_the_route_sets(body):
    exchange = make_exchange("/api/predict", body({"model": "llama"}))
    assert identify(exchange) == ("", "")
    assert identify(make_exchange("/fraud/predict", body({"input": [1]}))) == ("fraud", "")
    assert identify(exchange, wire_format("json")) == ("", "")
    assert identify(exchange, wire_format("openai")) == ("llama", "")
