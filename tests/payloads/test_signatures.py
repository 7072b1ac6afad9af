import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payloads.decoding import decode
from payloads.signatures import read_signature
from records.exchange import Exchange, Role
from records.payload import Failed, Tensor, Undecodable

MLMODEL = """
artifact_path: model
flavors: {sklearn: {pickled_model: model.pkl}}
signature:
  inputs: '[{"type": "double", "name": "age", "required": true}, {"type": "string", "name": "city", "required": true}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
  params: null
"""
METADATA = {
    "name": "m",
    "versions": ["1"],
    "platform": "onnxruntime_onnx",
    "inputs": [{"name": name, "datatype": "FP64", "shape": [-1, 1]} for name in ("age", "height")],
    "outputs": [{"name": "label", "datatype": "INT64", "shape": [-1]}],
}


@pytest.fixture(scope="session")
def completed(body):
    def completed(signature, path, request, response=b"", **fields):
        request, response = (body(content, fields=fields) for content in (request, response))
        exchange = Exchange(bytes(16), "r", Role.SERVED, "default", "upstream", 1, "POST", path, status=200, request=request, response=response)
        return read_signature(signature if isinstance(signature, str) else json.dumps(signature)).completed(exchange, *decode(exchange))

    return completed


@pytest.mark.parametrize(("signature", "names"), [(MLMODEL, ("age", "city")), (METADATA, ("age", "height"))])
def test_a_matrix_gets_the_names_of_the_models_inputs(completed, signature, names):
    request, _ = completed(signature, "/invocations", {"inputs": [[41, 1.5], [23, 2.5]]})
    assert request.tensors == [Tensor("inputs", "FP64", (2, 2), [41, 1.5, 23, 2.5], names)]


@pytest.mark.parametrize(
    "document", [{"inputs": [[1, 2, 3]]}, {"inputs": [1, 2]}, {"instances": [{"age": 1, "height": 2}]}, {"inputs": {"x": [[1, 2]], "y": [1]}}]
)
def test_what_names_its_columns_or_has_others_stays_as_it_is(completed, document):
    request, _ = completed(METADATA, "/invocations", document)
    assert all(tensor.columns == () for tensor in request.tensors)


def test_a_column_of_several_values_gives_no_names(completed):
    metadata = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}, {"name": "y", "datatype": "FP32", "shape": [-1]}]}
    assert completed(metadata, "/invocations", {"inputs": [[1, 2]]})[0].tensors[0].columns == ()


def test_outputs_are_named_likewise(completed):
    metadata = METADATA | {"outputs": [{"name": name, "datatype": "FP32", "shape": [-1]} for name in ("low", "high")]}
    _, reply = completed(metadata, "/v1/models/m:predict", b"", {"predictions": [[0.25, 0.75]]})
    assert reply.tensors[0].columns == ("low", "high")


RAW = {"inference-header-content-length": "0"}
INFER = "/v2/models/m/infer"


def raw(datatype, *shape):
    return {"inputs": [{"name": "x", "datatype": datatype, "shape": list(shape)}]}


@given(rows=st.integers(1, 3), values=st.data())
def test_a_raw_request_is_the_bytes_of_the_only_input(completed, rows, values):
    numbers = values.draw(st.lists(st.floats(width=32, allow_nan=False), min_size=2 * rows, max_size=2 * rows))
    request, _ = completed(raw("FP32", -1, 2), INFER, struct.pack(f"<{len(numbers)}f", *numbers), **RAW)
    assert request.tensors == [Tensor("x", "FP32", (rows, 2), numbers)]


@pytest.mark.parametrize(
    ("metadata", "content", "tensor"),
    [
        (raw("BYTES", 1), b"a text", Tensor("x", "BYTES", (1,), ["a text"])),
        (raw("BF16", 2), bytes.fromhex("803f 00c0"), Tensor("x", "BF16", (2,), [1.0, -2.0])),
        (raw("BOOL"), b"\1", Tensor("x", "BOOL", (1,), [True])),
    ],
)
def test_raw_requests_of_fixed_shapes_are_read(completed, metadata, content, tensor):
    assert completed(metadata, INFER, content, **RAW)[0].tensors == [tensor]


@pytest.mark.parametrize(
    ("metadata", "content", "reason"),
    [
        (METADATA, bytes(8), Undecodable.NO_DATA),
        (raw("FP32", -1, 2), bytes(12), Undecodable.MALFORMED),
        (raw("FP32", -1, 2), bytes(7), Undecodable.MALFORMED),
        (raw("FP32", 2), bytes(12), Undecodable.MALFORMED),
        (raw("FP32", -1, -1), bytes(16), Undecodable.MALFORMED),
        (raw("FP32", -1, 0), bytes(16), Undecodable.MALFORMED),
        (raw("UINT8", -1), bytes(100_001), Undecodable.TOO_LARGE),
    ],
)
def test_raw_requests_that_do_not_fit_have_their_reason(completed, metadata, content, reason):
    assert completed(metadata, INFER, content, **RAW)[0] == Failed("v2", reason, "m")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: [", "while parsing"),
        ("text", "Expected `object`"),
        ("{}", "none of its inputs"),
        ("signature: {inputs: '['}", "was truncated"),
        ("signature: {outputs: '[]'}", "none of its inputs"),
        ("inputs: [{name: x, datatype: FLOAT, shape: [1]}]", "Invalid enum value"),
    ],
)
def test_a_file_that_has_no_signature_says_what_was_expected_in_one_line(text, found):
    with pytest.raises(ValueError, match="expected MLflow's MLmodel with a signature, or the metadata") as error:
        read_signature(text)
    assert found in str(error.value)
    assert "\n" not in str(error.value)
