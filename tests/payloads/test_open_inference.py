import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.payload import Failed, Tensor, Undecodable

PATH = "/v2/models/fraud/infer"
CODES = {"UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q", "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q"}
FLOAT_BITS = {"FP16": 16, "FP32": 32, "FP64": 64}
FLOAT_CODES = {"FP16": "e", "FP32": "f", "FP64": "d"}


def described(name, datatype, shape, **rest):
    return {"name": name, "datatype": datatype, "shape": list(shape), **rest}


def integers(datatype):
    bits = 8 * struct.calcsize(CODES[datatype])
    return st.integers(0, 2**bits - 1) if datatype.startswith("U") else st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def elements(datatype):
    if datatype == "BYTES":
        return st.text(max_size=5)
    if datatype == "BOOL":
        return st.booleans()
    if datatype in CODES:
        return integers(datatype)
    if datatype == "BF16":
        # every bfloat16 is a float32 whose lower half is zero
        return st.integers(0, 2**16 - 1).map(lambda half: struct.unpack("<f", struct.pack("<I", half << 16))[0]).filter(math.isfinite)
    return st.floats(width=FLOAT_BITS[datatype], allow_nan=False, allow_infinity=False)


@st.composite
def tensors(draw):
    datatype = draw(st.sampled_from(["BOOL", "BYTES", "BF16", *CODES, *FLOAT_BITS]))
    shape = tuple(draw(st.lists(st.integers(0, 3), min_size=1, max_size=3)))
    count = math.prod(shape)
    values = draw(st.lists(elements(datatype), min_size=count, max_size=count))
    return Tensor(draw(st.text(max_size=4)), datatype, shape, values)


def nested(values, shape):
    if len(shape) < 2:
        return values
    step = math.prod(shape[1:])
    return [nested(values[row * step : (row + 1) * step], shape[1:]) for row in range(shape[0])]


def packed(tensor):
    if tensor.datatype == "BYTES":
        return b"".join(struct.pack("<I", len(value.encode())) + value.encode() for value in tensor.values)
    if tensor.datatype == "BF16":
        return b"".join(struct.pack("<f", value)[2:] for value in tensor.values)
    code = "?" if tensor.datatype == "BOOL" else (CODES | FLOAT_CODES)[tensor.datatype]
    return struct.pack(f"<{len(tensor.values)}{code}", *tensor.values)


def binary_body(body, document, blobs):
    head = body(document).content
    return body(head + blobs, content_type="application/octet-stream", fields={"inference-header-content-length": str(len(head))})


@given(sent=st.lists(tensors(), min_size=1, max_size=3), is_nested=st.booleans())
def test_json_tensors_arrive_as_they_were_sent(decode_request, sent, is_nested):
    inputs = [described(t.name, t.datatype, t.shape, data=nested(t.values, t.shape) if is_nested else t.values) for t in sent]
    assert decode_request(PATH, {"id": "7", "parameters": {"sequence_id": 3}, "inputs": inputs}).tensors == sent


@given(sent=st.lists(tensors(), min_size=1, max_size=3), in_json=st.sets(st.integers(0, 2)))
def test_binary_tensors_arrive_as_they_were_sent_also_beside_json_ones(decode_reply, body, sent, in_json):
    blobs = [b"" if index in in_json else packed(tensor) for index, tensor in enumerate(sent)]
    outputs = [
        described(t.name, t.datatype, t.shape, **({"data": t.values} if index in in_json else {"parameters": {"binary_data_size": len(blobs[index])}}))
        for index, t in enumerate(sent)
    ]
    assert decode_reply(PATH, binary_body(body, {"outputs": outputs}, b"".join(blobs))).tensors == sent


@given(tensor=tensors(), data=st.data())
def test_a_binary_body_that_is_cut_or_extended_is_malformed(decode_request, body, tensor, data):
    blob = packed(tensor)
    inputs = [described(tensor.name, tensor.datatype, tensor.shape, parameters={"binary_data_size": len(blob)})]
    other = data.draw(st.integers(0, max(0, len(blob) - 1)).map(lambda end: blob[:end]).filter(lambda cut: cut != blob) if blob else st.just(b"\0"))
    assert decode_request(PATH, binary_body(body, {"inputs": inputs}, other)) == Failed("v2", Undecodable.MALFORMED, "fraud")


@pytest.mark.parametrize("length", ["-1", "ten", "1e2", "9999", "9" * 5_000, "٣", "²", ""])
def test_a_json_length_that_is_none_is_malformed(decode_request, body, length):
    message = body({"inputs": [described("x", "FP32", [1], data=[1])]}, fields={"inference-header-content-length": length})
    assert decode_request(PATH, message).reason is Undecodable.MALFORMED


def test_a_raw_binary_request_does_not_say_what_its_bytes_are(decode_request, body):
    message = body(bytes(120), content_type="application/octet-stream", fields={"inference-header-content-length": "0"})
    assert decode_request(PATH, message).reason is Undecodable.NO_DATA


def test_bytes_that_are_not_text_are_escaped(decode_request, body):
    inputs = [described("image", "BYTES", [1], parameters={"binary_data_size": 7})]
    assert decode_request(PATH, binary_body(body, {"inputs": inputs}, b"\x03\0\0\0a\xff\xfe")).tensors[0].values == ["a\\xff\\xfe"]


def test_tensors_in_shared_memory_are_left_out(decode_request):
    shared = described("image", "FP32", [1, 3], parameters={"shared_memory_region": "r", "shared_memory_byte_size": 12})
    assert [t.name for t in decode_request(PATH, {"inputs": [shared, described("age", "INT64", [1], data=[41])]}).tensors] == ["age"]
    assert decode_request(PATH, {"inputs": [shared]}).reason is Undecodable.NO_DATA


def test_the_reply_names_the_model_and_version_that_answered(decode_bodies):
    outputs = [described("y", "INT64", [1], data=[1])]
    _, reply = decode_bodies(PATH, b"", {"model_name": "fraud", "model_version": "12", "outputs": outputs})
    assert (reply.model, reply.version) == ("fraud", "12")
    _, reply = decode_bodies("/v2/models/fraud/versions/3/infer", b"", {"model_name": "fraud", "model_version": None, "outputs": outputs})
    assert (reply.model, reply.version) == ("fraud", "3")


def test_a_scalar_is_one_row(decode_request):
    assert decode_request(PATH, {"inputs": [described("x", "FP32", [], data=[1.5])]}).tensors == [Tensor("x", "FP32", (1,), [1.5])]


def test_null_is_missing_and_nan_is_a_number(decode_request):
    values = decode_request(PATH, b'{"inputs":[{"name":"x","shape":[4],"datatype":"FP64","data":[null,NaN,-Infinity,2]}]}').tensors[0].values
    assert values[0] is None
    assert math.isnan(values[1])
    assert values[2:] == [-math.inf, 2]


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (described("x", "FP32", [2], data=[1]), Undecodable.MALFORMED),
        (described("x", "FP32", [-1, -1], data=[1]), Undecodable.MALFORMED),
        (described("x", "FP32", [1], data=["1"]), Undecodable.MALFORMED),
        (described("x", "BYTES", [1], data=[1]), Undecodable.MALFORMED),
        (described("x", "FP32", [1], data={"a": 1}), Undecodable.MALFORMED),
        (described("x", "FP32", [1], data=[{"a": 1}]), Undecodable.MALFORMED),
        (described("x", "FP8", [1], data=[1]), Undecodable.MALFORMED),
        (described("x", "FP32", [1], parameters={"binary_data_size": -4}), Undecodable.MALFORMED),
        (described("x", "FP32", [2, 2], data=[[1, 2], [3]]), Undecodable.RAGGED),
        (described("x", "FP32", [2, 2], data=[[1, 2], 3, 4]), Undecodable.RAGGED),
        (described("x", "FP32", [2**62, 4], data=[]), Undecodable.TOO_LARGE),
        (described("x", "FP32", [2**62, 0], data=[]), Undecodable.TOO_LARGE),
        (described("x", "FP32", [0, 2**62], data=[]), Undecodable.TOO_LARGE),
        ({"name": "x", "data": [1]}, Undecodable.MALFORMED),
    ],
)
def test_what_the_protocol_does_not_allow_is_refused_with_its_reason(decode_request, tensor, reason):
    assert decode_request(PATH, {"inputs": [tensor]}) == Failed("v2", reason, "fraud")


@pytest.mark.parametrize("document", [b"[]", b"null", b"{}", b'{"inputs": 1}', b'{"inputs": [1]}', b"{", b"\xff", b'{"inputs": []} x'])
def test_other_documents_are_malformed(decode_request, document):
    assert decode_request(PATH, document).reason is Undecodable.MALFORMED


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (b"18446744073709551615", 2**64 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b"18446744073709551616", 2.0**64),
        (b"-9223372036854775809", -(2.0**63)),
        (b"1" + b"0" * 300, 1e300),
        (b"true", True),
    ],
)
def test_integers_that_do_not_fit_64_bits_become_floats(decode_request, written, value):
    decoded = decode_request(PATH, b'{"inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "data": [%b]}]}' % written)
    assert [(type(each), each) for each in decoded.tensors[0].values] == [(type(value), value)]


@pytest.mark.parametrize("written", [b"1" + b"0" * 309, b"-1" + b"0" * 4_300, b"1e400", b"01", b'"\\ud800"', b"[" * 2_000 + b"]" * 2_000])
def test_values_that_no_reader_could_hold_are_malformed(decode_request, written):
    document = b'{"inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "data": [%b]}]}' % written
    assert decode_request(PATH, document) == Failed("v2", Undecodable.MALFORMED, "fraud")
