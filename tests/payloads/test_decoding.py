import gzip
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payloads.decoding import recognise
from payloads.refusal import MAX_CONTENT_BYTES
from records.exchange import Role
from records.payload import Decoded, Failed, Undecodable

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
        ("/invocations", "mlflow", "", ""),
    ],
)
def test_the_path_tells_format_model_and_version(path, name, model, version):
    target = recognise(path)
    assert target is not None
    assert (target.wire_format.NAME, target.model, target.version) == (name, model, version)


@pytest.mark.parametrize(
    "path", ["/", "/v2/models/fraud", "/v2/models/fraud/ready", "/v1/models/fraud", "/score", "/other?next=/v2/models/fraud/infer", "*", ""]
)
def test_other_paths_are_of_no_format(path):
    assert recognise(path) is None


def test_both_bodies_of_an_exchange_are_decoded(decode_bodies):
    request, reply = decode_bodies(V2, REQUEST, REPLY)
    assert (request.tensors[0].name, request.tensors[0].values) == ("x", [1.5, 2.5])
    assert (reply.tensors[0].name, reply.tensors[0].values) == ("y", [1])


def test_an_unknown_path_with_bodies_is_an_unknown_format(decode_bodies):
    assert decode_bodies("/score", b"{}", b"{}") == (Failed("", Undecodable.UNKNOWN_FORMAT),) * 2


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
    assert decode_bodies("/score", REQUEST, REPLY, status=status) == (Failed("", Undecodable.UNKNOWN_FORMAT), Failed("", Undecodable.ERROR_REPLY))


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
        ("br", REQUEST),
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


PATHS = st.sampled_from([V2, "/v1/models/m:predict", "/v1/models/m:classify", "/invocations", "/score"])
CONTENT_TYPES = st.sampled_from(["application/json", "text/csv", "application/octet-stream", ""])
TENSOR_KEYS = ["name", "shape", "datatype", "data", "parameters", "binary_data_size"]
FORM_KEYS = ["inputs", "outputs", "instances", "predictions", "results", "examples", "context", "dataframe_split", "dataframe_records", "columns", "b64"]
KEYS = st.sampled_from([*TENSOR_KEYS, *FORM_KEYS, "other"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["FP32", "BYTES", "x", "aGk=", "\ud800"])
DOCUMENTS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20)


@given(path=PATHS, content_type=CONTENT_TYPES, content=st.binary(max_size=60), length=st.text(max_size=3) | st.integers(0, 60).map(str))
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
            assert len(tensor.values) == size
            assert all(value is None or type(value) in {bool, int, float, str} for value in tensor.values)
            assert all(type(value) is not int or -(2**63) <= value < 2**64 for value in tensor.values)
            "".join(value for value in tensor.values if type(value) is str).encode()
